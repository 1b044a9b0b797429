//! `process`: identity, limits, scheduling; the same for init and exec.

use crate::resolve::ids::IdMaps;
use anyhow::{anyhow, bail, Context, Result};
use casemate_kernel::InnerId;
use casemate_policy::spec::{
    Capabilities, IoPriorityClass, Linux, MemoryPolicy, MemoryPolicyFlag, MemoryPolicyMode,
    NamespaceKind, PersonalityDomain, Process, RlimitKind, Scheduler, SchedulerFlag,
    SchedulerPolicy,
};
use casemate_policy::HardenedSpec;
use casemate_sandbox::plan::{CapabilityPlan, Early, LandlockPlan, ProcessPlan, SeccompFilter};
use casemate_sys::sched::SchedAttr;
use casemate_sys::tty::Size;
use casemate_sys::Context as _;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::path::PathBuf;

/// File mode creation mask when the spec has none.
const DEFAULT_UMASK: u32 = 0o022;

/// What lowering a process has to know besides the spec.
#[derive(Debug)]
pub(crate) struct ProcessContext<'a> {
    /// Ids of streams on the host's side of the user namespace.
    pub stdio_ids: &'a IdMaps,
    /// setgroups(2) may be denied in the container's user namespace.
    pub groups_may_fail: bool,
    /// The session keyring to join.
    pub keyring: Option<String>,
    /// Compiled filters.
    pub seccomp: Vec<SeccompFilter>,
    /// The Landlock layer.
    pub landlock: Option<LandlockPlan>,
    /// Descriptors from 3 on that are kept.
    pub keep_fds: u32,
    /// Environment added behind the spec's own.
    pub extra_env: Vec<String>,
    /// `keep_original_groups`.
    pub keep_groups: bool,
}

/// The part that needs the caller's privilege.
pub(crate) fn early(
    process: &Process,
    linux: &Linux,
    context: &ProcessContext<'_>,
) -> Result<Early> {
    Ok(Early {
        oom_score_adj: process.oom_score_adj,
        rlimits: process.rlimits.iter().map(|l| (resource(l.kind), l.soft, l.hard)).collect(),
        rlimits_may_shrink: false,
        scheduler: process
            .scheduler
            .as_ref()
            .map(scheduler)
            .transpose()
            .context("process.scheduler")?,
        io_priority: process.io_priority.map(|p| (io_class(p.class), p.priority.unsigned_abs())),
        affinity: None,
        mempolicy: linux
            .memory_policy
            .as_ref()
            .map(mempolicy)
            .transpose()
            .context("linux.memoryPolicy")?,
        keyring: context.keyring.clone(),
        keyring_label: process.selinux_label.clone(),
        stdio_owner: stdio_owner(process, context)?,
    })
}

/// Who is to own the standard streams.
fn stdio_owner(process: &Process, context: &ProcessContext<'_>) -> Result<u32> {
    let uid = process.user.uid;
    let owner = context.stdio_ids.host_uid(InnerId(uid));
    let owner = owner
        .ok_or_else(|| anyhow!("process.user.uid {uid}: not mapped into the user namespace"))?;
    Ok(owner.0)
}

/// The name of the session keyring that the container's processes share. runc's way is a name that can be guessed, so that
/// other containers with keyctl(2) can join it; a profile that hardens gives each process one without a name, and one
/// with a secret name to a container that was granted the calls.
pub(crate) fn keyring_name(spec: &HardenedSpec, id: &str) -> Result<String> {
    if spec.is_verbatim() {
        return Ok(format!("_ses.{id}"));
    }
    if !spec.extras().seccomp_features.contains("keyring") {
        return Ok(String::new());
    }
    let mut secret = [0u8; 16];
    rustix::rand::getrandom(&mut secret, rustix::rand::GetRandomFlags::empty())
        .call(|| "getrandom()")?;
    Ok(secret.iter().fold("_ses.".to_owned(), |name, byte| format!("{name}{byte:02x}")))
}

/// The Landlock layer of a process of this container, if the profile wants one.
pub(crate) fn landlock(spec: &HardenedSpec) -> Option<LandlockPlan> {
    let shared = |kind| spec.namespace(kind).is_none_or(|namespace| namespace.path.is_some());
    let values = &spec.overrides().values;
    let ports = |list: &Option<BTreeSet<u16>>| list.as_ref().map(|l| l.iter().copied().collect());
    spec.extras().landlock.then(|| LandlockPlan {
        signals: shared(NamespaceKind::Pid),
        abstract_sockets: shared(NamespaceKind::Network),
        tcp_bind: ports(&values.tcp_bind),
        tcp_connect: ports(&values.tcp_connect),
    })
}

/// The part that is done inside.
pub(crate) fn plan(
    process: &Process,
    linux: &Linux,
    context: ProcessContext<'_>,
) -> Result<ProcessPlan> {
    let strings = |list: &[String], what: &str| {
        list.iter()
            .map(|s| CString::new(s.as_str()))
            .collect::<Result<Vec<_>, _>>()
            .context(what.to_owned())
    };
    Ok(ProcessPlan {
        args: strings(&process.args, "process.args")?,
        env: strings(&environment(&process.env, &context.extra_env), "process.env")?,
        cwd: PathBuf::from(&process.cwd),
        uid: process.user.uid,
        gid: process.user.gid,
        groups: (!context.keep_groups).then(|| process.user.additional_gids.clone()),
        groups_may_fail: context.groups_may_fail,
        umask: process.user.umask.unwrap_or(DEFAULT_UMASK),
        personality: linux.personality.as_ref().map(|p| match p.domain {
            PersonalityDomain::Linux => 0,
            PersonalityDomain::Linux32 => 8,
        }),
        caps: capabilities(process.capabilities.as_ref()),
        no_new_privs: process.no_new_privileges,
        apparmor: label(
            process.apparmor_profile.as_ref(),
            crate::decide::caller::apparmor,
            "process.apparmorProfile",
            "AppArmor",
        )?,
        selinux: label(
            process.selinux_label.as_ref(),
            crate::decide::caller::selinux,
            "process.selinuxLabel",
            "SELinux",
        )?,
        seccomp: context.seccomp,
        landlock: context.landlock,
        keep_fds: context.keep_fds,
    })
}

/// A label that cannot be applied is an error: running without it is not what was asked.
fn label(
    asked: Option<&String>,
    enabled: fn() -> Result<bool>,
    path: &str,
    module: &str,
) -> Result<Option<String>> {
    let Some(label) = asked else { return Ok(None) };
    if enabled()? {
        return Ok(Some(label.clone()));
    }
    match label.as_str() {
        "unconfined" => Ok(None),
        _ => bail!("{path} {label:?}: {module} is not enabled on this host"),
    }
}

/// Later entries win over earlier ones of the same name, and keep their place at the end.
fn environment(env: &[String], extra: &[String]) -> Vec<String> {
    let mut all: Vec<String> = Vec::with_capacity(env.len() + extra.len());
    for entry in env.iter().chain(extra) {
        let name = entry.split('=').next().unwrap_or(entry);
        all.retain(|seen| {
            !(seen.starts_with(name) && seen.as_bytes().get(name.len()) == Some(&b'='))
        });
        all.push(entry.clone());
    }
    all
}

/// No `capabilities` at all means none.
fn capabilities(asked: Option<&Capabilities>) -> CapabilityPlan {
    asked.map_or_else(CapabilityPlan::default, |c| CapabilityPlan {
        bounding: c.bounding.mask,
        effective: c.effective.mask,
        permitted: c.permitted.mask,
        inheritable: c.inheritable.mask,
        ambient: c.ambient.mask,
    })
}

/// The terminal's size, if there is to be a terminal.
pub(crate) fn terminal(process: &Process) -> Option<Size> {
    let clamp = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    process.terminal.then(|| {
        process
            .console_size
            .map_or_else(Size::default, |s| Size { rows: clamp(s.height), cols: clamp(s.width) })
    })
}

/// RLIMIT_* numbers (the generic table of asm-generic/resource.h, which x86 and arm use).
fn resource(kind: RlimitKind) -> u32 {
    match kind {
        RlimitKind::Cpu => 0,
        RlimitKind::Fsize => 1,
        RlimitKind::Data => 2,
        RlimitKind::Stack => 3,
        RlimitKind::Core => 4,
        RlimitKind::Rss => 5,
        RlimitKind::Nproc => 6,
        RlimitKind::Nofile => 7,
        RlimitKind::Memlock => 8,
        RlimitKind::As => 9,
        RlimitKind::Locks => 10,
        RlimitKind::Sigpending => 11,
        RlimitKind::Msgqueue => 12,
        RlimitKind::Nice => 13,
        RlimitKind::Rtprio => 14,
        RlimitKind::Rttime => 15,
    }
}

fn io_class(class: IoPriorityClass) -> u32 {
    match class {
        IoPriorityClass::RealTime => 1,
        IoPriorityClass::BestEffort => 2,
        IoPriorityClass::Idle => 3,
    }
}

fn scheduler(s: &Scheduler) -> Result<SchedAttr> {
    let policy = match s.policy {
        SchedulerPolicy::Other => 0,
        SchedulerPolicy::Fifo => 1,
        SchedulerPolicy::Rr => 2,
        SchedulerPolicy::Batch => 3,
        SchedulerPolicy::Iso => bail!("policy SCHED_ISO was never implemented by Linux"),
        SchedulerPolicy::Idle => 5,
        SchedulerPolicy::Deadline => 6,
    };
    let flags = s.flags.iter().fold(0, |bits, flag| {
        bits | match flag {
            SchedulerFlag::ResetOnFork => 0x01,
            SchedulerFlag::Reclaim => 0x02,
            SchedulerFlag::DlOverrun => 0x04,
            SchedulerFlag::KeepPolicy => 0x08,
            SchedulerFlag::KeepParams => 0x10,
            SchedulerFlag::UtilClampMin => 0x20,
            SchedulerFlag::UtilClampMax => 0x40,
        }
    });
    let mut attr = SchedAttr::default();
    attr.policy = policy;
    attr.flags = flags;
    attr.nice = s.nice;
    attr.priority = u32::try_from(s.priority).context("priority")?;
    (attr.runtime, attr.deadline, attr.period) = (s.runtime, s.deadline, s.period);
    Ok(attr)
}

fn mempolicy(p: &MemoryPolicy) -> Result<(u32, Vec<u64>)> {
    let mode = match p.mode {
        MemoryPolicyMode::MpolDefault => 0,
        MemoryPolicyMode::MpolPreferred => 1,
        MemoryPolicyMode::MpolBind => 2,
        MemoryPolicyMode::MpolInterleave => 3,
        MemoryPolicyMode::MpolLocal => 4,
        MemoryPolicyMode::MpolPreferredMany => 5,
        MemoryPolicyMode::MpolWeightedInterleave => 6,
    };
    let flags = p.flags.iter().fold(0, |bits, flag| {
        bits | match flag {
            MemoryPolicyFlag::MpolFStaticNodes => 1 << 15,
            MemoryPolicyFlag::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlag::MpolFNumaBalancing => 1 << 13,
        }
    });
    Ok((mode | flags, mask(&p.nodes)?))
}

/// A list such as "0-3,7" as bits, lowest word first.
pub(crate) fn mask(list: &str) -> Result<Vec<u64>> {
    /// More than any machine has; keeps a typing error from asking for gigabytes.
    const MAX: usize = 8192;
    let mut words = Vec::new();
    for part in list.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.trim().parse()?, last.trim().parse()?);
        if first > last || last >= MAX {
            bail!("{part:?}: not a range of numbers below {MAX}");
        }
        words.resize(words.len().max(last / 64 + 1), 0);
        for n in first..=last {
            words[n / 64] |= 1 << (n % 64);
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_bits() {
        assert_eq!(mask("0-3,7").unwrap(), [0b1000_1111]);
        assert_eq!(mask("64").unwrap(), [0, 1]);
        assert_eq!(mask("").unwrap(), Vec::<u64>::new());
        assert!(mask("3-1").is_err());
        assert!(mask("99999999").is_err());
    }

    #[test]
    fn the_last_value_of_a_variable_wins() {
        let env = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            environment(&env(&["A=1", "AB=2", "A=3"]), &env(&["AB=4"])),
            env(&["A=3", "AB=4"])
        );
    }
}
