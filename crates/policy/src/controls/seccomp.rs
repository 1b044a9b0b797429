//! `seccomp.default`: the default filter, alone or on top of the engine's.

use super::prelude::*;
use crate::spec::SeccompProfile;

/// **What.** The filter of [profiles/seccomp/default.json](../profiles/seccomp/default.json) is
/// loaded: alone if the configuration has none, beside the engine's if it has one. The kernel takes
/// the stricter answer. The filter follows the capabilities that are left after the ceiling.
/// Unknown and newer calls get ENOSYS, so that programs fall back; known and refused ones get
/// EPERM.
///
/// **Why.** Kubernetes starts containers without a filter unless told otherwise, and engines'
/// filters are made for the capabilities that the engine granted. Compared with engines' defaults
/// it also refuses:
///
/// - new namespaces by any call (CVE-2022-0185, CVE-2024-1086), and with them user namespaces in
///   the container;
/// - io_uring (CVE-2022-29582, CVE-2023-2598), userfaultfd, keyrings (CVE-2016-0728), bpf,
///   perf_event_open;
/// - socket families but local, IPv4, IPv6, some of netlink, and packet sockets with CAP_NET_RAW.
///   AF_ALG is closed (CVE-2026-31431), AF_VSOCK too;
/// - typing into the caller's terminal with TIOCSTI and TIOCLINUX (CVE-2019-10063, CVE-2023-1523);
/// - sockets that name one family and are another (SOCK_PACKET), DCCP and L2TP, which the kernel
///   loads modules for;
/// - block and character device nodes; 32-bit and x32 system calls on 64-bit machines.
///
/// Under `restricted` also tracing and reading other processes' memory, vmsplice, modify_ldt,
/// remap_file_pages, cachestat, SCTP, UDP-Lite, and all of netlink but routes and socket lists.
/// Rules compare the 32 bits of an argument that the kernel looks at, and no more: bits above them
/// change no answer. Each rule of the file says why it is there, and each combination of profile,
/// capabilities and features is compared with it, call by call, by `cargo test -p
/// casemate-seccomp`.
///
/// **What breaks.** Browsers and build tools that make their own sandbox of namespaces, containers
/// in containers, 32-bit programs on 64-bit machines, some debuggers and profilers.
///
/// **Override.** One feature at a time; it adds its rules and leaves all others:
///
/// - `seccomp.FEATURE`, `+FEATURE`: one feature of the kernel, such as `seccomp.io_uring`; the list
///   is printed for a name that is unknown
/// - `seccomp.unconfined`: no filter but the engine's
///
/// <!-- features of profiles/seccomp/default.json -->
///
/// `seccomp.unconfined` leaves the default filter out as a whole. Both concern this filter only:
/// the engine's own stays beside it, and the kernel takes the stricter answer. So with an engine
/// whose filter refuses io_uring, `seccomp.io_uring` is not enough; `casemate explain` names the
/// calls that are still refused, and the engine wants a profile that allows them (`--security-opt
/// seccomp=FILE`). AppArmor and SELinux have a say of their own where they are on: mounts and, with
/// some profiles, user namespaces take a profile that allows them (`apparmor.unconfined`) as well.
/// The other way round, the engine's `--security-opt seccomp=unconfined` takes only the engine's
/// away.
///
/// **In the profiles.**
///
/// - privileged: No filter but the configuration's.
/// - baseline: Only where the configuration has no filter: "unconfined" is what the standard
///   forbids. One that does not refuse kernel modules, kexec and swap whatever their arguments are
///   (every engine's does) counts as none, and stays beside the default filter.
/// - hardened: The filter of profiles/seccomp/default.json is loaded when the configuration has
///   none, and in addition to the engine's when it has one: the kernel takes the stricter answer of
///   the two.
pub(crate) const FILTER: Control = Control {
    id: ControlId::DefaultSeccomp,
    name: "seccomp.default",
    allow: &["seccomp.unconfined", "seccomp.*"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "the default system call filter is loaded",
};

/// What no engine's filter lets a container do to the host's kernel.
const REFUSED_BY_EACH: [&str; 5] =
    ["delete_module", "finit_module", "init_module", "kexec_load", "swapon"];

/// A filter that lets pass what each engine's refuses is none, whatever else it has rules for: one call that
/// nobody makes, or one argument that nobody gives, is refused quickly.
fn confines(filter: &SeccompProfile) -> bool {
    REFUSED_BY_EACH.iter().all(|call| refuses(filter, call))
}

/// Refused whatever its arguments are. Tracers and listeners may let a call pass.
fn refuses(filter: &SeccompProfile, call: &str) -> bool {
    let stops = |action: &str| {
        let kills = ["SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS"];
        kills.contains(&action) || matches!(action, "SCMP_ACT_ERRNO" | "SCMP_ACT_TRAP")
    };
    let mut rules =
        filter.syscalls.iter().filter(|rule| rule.names.iter().any(|name| name == call)).peekable();
    if rules.peek().is_none() {
        return stops(&filter.default_action);
    }
    let (mut always, mut never) = (stops(&filter.default_action), false);
    for rule in rules {
        never |= !stops(&rule.action);
        always |= stops(&rule.action) && rule.args.is_empty();
    }
    always && !never
}

/// The kernel evaluates all filters and takes the most restrictive answer, so two
/// filters together are never weaker than either. Ours follows the capabilities that are left; the
/// engine's was made for those that it granted.
pub(crate) fn default_filter(
    draft: &mut Draft<'_>,
    asked: Option<SeccompProfile>,
) -> Result<Option<SeccompProfile>, Refusal> {
    let (rule, pointer) = (ControlId::DefaultSeccomp, "/linux/seccomp");
    if let Some(source) = draft.allows("seccomp.unconfined") {
        draft.log.waive(rule, pointer, source, "the default filter is not loaded");
        return Ok(asked);
    }
    let own = asked.as_ref().is_some_and(confines);
    if own && !draft.profile.stack_filter {
        draft.log.note(rule, pointer, Verdict::Kept, "the configuration has a filter");
        return Ok(asked);
    }
    draft.extras.default_seccomp = true;
    draft.extras.strict_seccomp = draft.profile.strict_filter;
    let (verdict, reason) = match own {
        false if asked.as_ref().is_some_and(|filter| !filter.syscalls.is_empty()) => (
            Verdict::Added,
            "the configuration's filter lets kernel modules and kexec pass: the default one is loaded beside it",
        ),
        false => (Verdict::Added, "the configuration has no filter: the default one is loaded"),
        true => (Verdict::Tightened, "the default filter is loaded beside the configuration's"),
    };
    draft.log.note(rule, pointer, verdict, reason);
    for (feature, source) in draft.choice.overrides.seccomp_features() {
        let reason = format!("the default filter lets pass what {feature} needs");
        draft.log.waive(rule, pointer, source, reason);
        draft.extras.seccomp_features.insert(feature.to_owned());
    }
    Ok(asked)
}
