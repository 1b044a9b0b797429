//! The floor, asked about the finished process.

use super::read;
use crate::procfs;
use anyhow::{bail, Result};
use casemate_kernel::id_map::IdRange;
use casemate_kernel::mountinfo::{self, Mount};
use casemate_kernel::status::Status;
use casemate_kernel::Fact;
use casemate_policy::floor::{
    self, Caller, Host, Limit, Namespace, Observed, Part, Phase, Violation,
};
use casemate_policy::{Allow, HardenedSpec, HostFacts, PlanFacts, ProfileName, Remedy};
use casemate_sys::ns::flag;
use rustix::fd::OwnedFd;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The kinds of namespaces that the floor asks about.
const NAMESPACES: [(u64, Namespace); 7] = [
    (flag::MNT, Namespace::Mount),
    (flag::NET, Namespace::Network),
    (flag::PID, Namespace::Pid),
    (flag::IPC, Namespace::Ipc),
    (flag::UTS, Namespace::Uts),
    (flag::CGROUP, Namespace::Cgroup),
    (flag::USER, Namespace::User),
];

const RLIMIT_CORE: u32 = 4;

/// Which floor it is, and what of it cannot be seen in the process.
#[derive(Clone, Debug)]
pub(super) struct Question {
    pub(super) profile: ProfileName,
    granted: BTreeSet<String>,
    /// There is a program to confine. A container that is created without one has nothing but the runtime in it.
    has_program: bool,
    caller: Caller,
    unmappable: Option<String>,
    /// The state root, which is nobody's to see.
    pub(super) own_places: Vec<String>,
    /// The program that runs here.
    pub(super) program: Option<String>,
    /// Places for data that the node's policy names.
    data: Vec<String>,
    /// The host's mountinfo, read when the plan is looked at; containers mount nothing there.
    host: Option<Vec<u8>>,
}

/// What the plan of a container depends on.
pub(crate) struct PlanOf<'a> {
    pub(crate) spec: &'a HardenedSpec,
    pub(crate) facts: &'a HostFacts,
    pub(crate) rootfs: &'a Path,
    pub(crate) bundle: &'a Path,
}

/// What was read of the process.
pub(super) struct Seen<'a> {
    pub(super) status: &'a Status,
    pub(super) uid_map: &'a [IdRange],
    pub(super) gid_map: &'a [IdRange],
    /// Kinds of namespaces that are ours too; `None`: they are not shown to us.
    pub(super) shared: Option<u64>,
    pub(super) limits: &'a str,
    /// Its mounts, where they were made by us.
    pub(super) mounts: Option<&'a [Mount<'a>]>,
}

impl Question {
    pub(super) fn of(
        spec: &HardenedSpec,
        caller: &crate::decide::caller::Caller,
        unmappable: Option<String>,
    ) -> Self {
        Self {
            profile: spec.profile(),
            granted: spec.names_for_floor(),
            has_program: spec.process.is_some(),
            caller: Caller {
                privileged: caller.privileged && caller.initial_user_namespace,
                euid: caller.euid,
            },
            unmappable,
            own_places: Vec::new(),
            program: None,
            data: spec.places_for_data(),
            host: None,
        }
    }

    /// An error for the first violation in what is planned.
    pub(super) fn ask_plan(&mut self, proc: &OwnedFd, plan: &PlanOf<'_>) -> Result<()> {
        if !self.is_asked() {
            return Ok(());
        }
        // As the controls saw it: a second look costs as much as the host has mounts.
        let host = match plan.facts.mountinfo.is_empty() {
            true => procfs::read_bytes(proc, "self/mountinfo")?,
            false => plan.facts.mountinfo.clone(),
        };
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let rootfs = plan.facts.root.as_ref().map(|root| root.path.clone());
        let found = plan.spec.below_floor(&PlanFacts {
            host: &host,
            rootfs: &rootfs.unwrap_or_else(|| text(plan.rootfs)),
            bundle: &text(plan.bundle),
            sources: &plan.facts.sources,
            host_namespaces: &plan.facts.host_namespaces,
            caller: self.caller,
            own_places: &[],
        })?;
        self.host = Some(host);
        refuse(&found)
    }

    /// True when there is a floor at all.
    pub(super) fn is_asked(&self) -> bool {
        self.profile != ProfileName::Privileged
    }

    /// An error for the first violation.
    pub(super) fn ask(&self, proc: &OwnedFd, pid: i32, seen: &Seen<'_>) -> Result<()> {
        if !self.is_asked() {
            return Ok(());
        }
        let kernel_has = |path: &str| kernel_has(proc, path);
        let of = |shared: u64| NAMESPACES.map(|(bit, kind)| (kind, shared & bit != 0));
        let limit = read::limit(seen.limits, RLIMIT_CORE).map(|(soft, hard)| Limit { soft, hard });
        let observed = Observed {
            mounts: match seen.mounts {
                Some(mounts) => Part::Seen(mounts.to_vec()),
                None => Part::NotLooked,
            },
            host: match &self.host {
                Some(table) => Part::of(mountinfo::parse(table).map(|mounts| Host {
                    mounts,
                    own_places: self.own_places.clone(),
                    program: self.program.clone(),
                    data: self.data.clone(),
                })),
                None => Part::NotLooked,
            },
            kernel_has: &kernel_has,
            status: self.of_program(|| Part::Seen(seen.status.clone())),
            uid_map: Part::Seen(seen.uid_map.to_vec()),
            gid_map: Part::Seen(seen.gid_map.to_vec()),
            namespaces: match seen.shared {
                Some(shared) => Part::Seen(BTreeMap::from(of(shared))),
                None => Part::NotLooked,
            },
            core_limit: self.of_program(|| Part::of(limit)),
            core_pattern: self.core_pattern(proc),
            oom_score_adj: self.of_program(|| Part::of(oom_score_adj(proc, pid))),
            unmappable: self.unmappable.clone(),
            // The filters are loaded last of all, the device program is attached when all nodes are made, and the count of
            // user namespaces shows to who is in the namespace only.
            ..Observed::nothing(self.caller)
        };
        refuse(&floor::check(self.profile, &self.granted, Phase::BeforeExec, &observed))
    }

    fn of_program<T>(&self, part: impl FnOnce() -> Part<T>) -> Part<T> {
        if self.has_program {
            part()
        } else {
            Part::NotLooked
        }
    }

    /// Only `restricted` has something to say about it.
    fn core_pattern(&self, proc: &OwnedFd) -> Part<String> {
        if self.profile < ProfileName::Restricted {
            return Part::NotLooked;
        }
        let text = procfs::read(proc, "sys/kernel/core_pattern");
        Part::of(text.map(|text| text.trim_end().to_owned()))
    }
}

fn oom_score_adj(proc: &OwnedFd, pid: i32) -> Result<i32> {
    let text = procfs::read(proc, &format!("{pid}/oom_score_adj"))?;
    Ok(text.trim().parse()?)
}

/// Whether a file is in this kernel's procfs or sysfs.
fn kernel_has(proc: &OwnedFd, path: &str) -> Fact {
    let found = match path.strip_prefix("/proc/") {
        Some(name) => rustix::fs::statat(proc, name, AtFlags::SYMLINK_NOFOLLOW),
        None => rustix::fs::lstat(Path::new(path)),
    };
    match found {
        Ok(_) => Fact::Yes,
        Err(Errno::NOENT | Errno::NOTDIR) => Fact::No,
        Err(error) => Fact::Unreadable(format!("stat({path}): {error}")),
    }
}

fn refuse(found: &[Violation]) -> Result<()> {
    match found.split_first() {
        None => Ok(()),
        Some((first, rest)) => bail!("{}", message(first, rest.len())),
    }
}

/// One line, with a remedy that can be pasted.
fn message(first: &Violation, more: usize) -> String {
    let mut text = format!("below the floor: {} (invariant {}", first.what, first.invariant);
    if more > 0 {
        text.push_str(&format!(", and {more} more"));
    }
    text.push(')');
    match first.allow {
        // Not every name that the floor knows is one that can be asked for.
        Some(name) if Allow::parse(name).is_ok() => {
            text.push_str(&format!("; {}", Remedy::of_anybody(name)));
        }
        _ => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_one_line_with_a_remedy_that_exists() {
        let violation = |allow| Violation {
            invariant: "mounts.types",
            what: "proc is mounted on /mnt".to_owned(),
            allow,
        };
        let text = message(&violation(Some("mounts.host-proc")), 2);
        assert_eq!(
            text,
            "below the floor: proc is mounted on /mnt (invariant mounts.types, and 2 more); allow \
             with --allow mounts.host-proc, or annotation org.casemate.allow/mounts.host-proc=true \
             once the node permits it: casemate policy permit mounts.host-proc"
        );
        let none = message(&violation(Some("mounts.no-such-name")), 0);
        assert_eq!(none, "below the floor: proc is mounted on /mnt (invariant mounts.types)");
    }

    #[test]
    fn what_the_kernel_has_is_told_from_what_cannot_be_looked_for() {
        let proc = procfs::open().unwrap();
        assert_eq!(kernel_has(&proc, "/proc/sys"), Fact::Yes);
        assert_eq!(kernel_has(&proc, "/proc/no-such-file"), Fact::No);
        let long = format!("/proc/{}", "x/".repeat(3000));
        assert!(matches!(kernel_has(&proc, &long), Fact::Unreadable(_)));
    }
}
