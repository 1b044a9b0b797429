//! `seccomp.default`: the default filter, alone or on top of the engine's.

use super::capabilities;
use super::prelude::*;
use crate::facts::FilterFact;
use crate::spec::SeccompProfile;

/// **What.** casemate loads the filter of
/// [profiles/seccomp/default.json](../profiles/seccomp/default.json): alone if the configuration
/// has no filter, otherwise in addition to the engine's. The kernel uses the stricter result. The
/// filter depends on the capabilities that are left after the ceiling. Unknown and newer calls
/// return ENOSYS, so that programs fall back; known calls that are refused return EPERM.
///
/// **Why.** Kubernetes starts containers without a filter unless told otherwise, and engines'
/// filters are written for the capabilities that the engine grants. Compared with engines'
/// defaults, this filter also refuses:
///
/// - new namespaces by any call (CVE-2022-0185, CVE-2024-1086), including user namespaces in the
///   container;
/// - io_uring (CVE-2022-29582, CVE-2023-2598), userfaultfd, keyrings (CVE-2016-0728), bpf,
///   perf_event_open;
/// - socket families other than local, IPv4, IPv6, some of netlink, and packet sockets with
///   CAP_NET_RAW; AF_ALG (CVE-2026-31431) and AF_VSOCK are among those refused;
/// - typing into the caller's terminal with TIOCSTI and TIOCLINUX (CVE-2019-10063, CVE-2023-1523);
/// - sockets that name one family and are another (SOCK_PACKET), and DCCP and L2TP, for which the
///   kernel loads modules;
/// - block and character device nodes; 32-bit and x32 system calls on 64-bit machines.
///
/// Under `restricted`, it also refuses tracing and reading other processes' memory, vmsplice,
/// modify_ldt, remap_file_pages, cachestat, SCTP, UDP-Lite, and all of netlink except routes and
/// socket lists. Rules compare only the 32 bits of an argument that the kernel uses: the bits above
/// them do not change the result. Each rule of the file says why it is there, and
/// `cargo test -p casemate-seccomp` compares each combination of profile, capabilities and features
/// with the file, call by call.
///
/// **What breaks.** Browsers and build tools that build their own sandbox from namespaces,
/// containers in containers, 32-bit programs on 64-bit machines, some debuggers and profilers.
///
/// **Override.** One feature at a time; it adds its rules and changes no others:
///
/// - `seccomp.FEATURE`, `+FEATURE`: one feature of the kernel, such as `seccomp.io_uring`; an
///   unknown name prints the list
/// - `seccomp.unconfined`: no filter but the engine's
///
/// <!-- features of profiles/seccomp/default.json -->
///
/// `seccomp.unconfined` omits the default filter entirely. Both overrides affect only this filter.
/// The engine's own filter stays in force, and the kernel uses the stricter result. If the engine's
/// filter refuses io_uring, `seccomp.io_uring` is therefore not enough. `casemate explain` lists
/// the calls that are still refused, and the engine needs a profile that allows them
/// (`--security-opt seccomp=FILE`). AppArmor and SELinux also apply, if they are on: mounts and,
/// with some profiles, user namespaces also need a profile that allows them
/// (`apparmor.unconfined`). Conversely, the engine's `--security-opt seccomp=unconfined` removes
/// only the engine's filter.
///
/// **In the profiles.**
///
/// - privileged: No filter except the configuration's.
/// - baseline: Only if the configuration has no filter: the standard forbids "unconfined". A filter
///   counts as none, and stays in addition to the default filter, if it permits anything that the
///   default filters of Docker, containerd, Podman and CRI-O all refuse for any arguments: kernel
///   modules, kexec, swap, the clock, add_key and request_key, bpf, perf_event_open, userfaultfd,
///   fanotify_init, open_by_handle_at and similar calls. It need not refuse what engines permit for
///   a capability that the container keeps. A filter that permits what it does not name must also
///   refuse mounts, new namespaces, keyctl, io_uring and reboot. (Podman's default filter permits
///   these, but it is not a filter of this kind.) The check uses the program that would be loaded.
/// - hardened: The filter of profiles/seccomp/default.json is loaded if the configuration has none,
///   and in addition to the engine's if it has one: the kernel uses the stricter result of the two.
pub(crate) const FILTER: Control = Control {
    id: ControlId::DefaultSeccomp,
    name: "seccomp.default",
    allow: &["seccomp.unconfined", "seccomp.*"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "the default system call filter is loaded",
};

/// A call that engines refuse a container.
struct Guarded {
    call: &'static str,
    /// The capabilities that open it in one engine's filter or the other.
    opened_by: u64,
}

const fn guarded(call: &'static str, opened_by: u64) -> Guarded {
    Guarded { call, opened_by }
}

// By number, see `Capability`.
const DAC_READ_SEARCH: u64 = 1 << 2;
const SYS_MODULE: u64 = 1 << 16;
const SYS_RAWIO: u64 = 1 << 17;
const SYS_PACCT: u64 = 1 << 20;
const SYS_ADMIN: u64 = 1 << 21;
const SYS_BOOT: u64 = 1 << 22;
const SYS_TIME: u64 = 1 << 25;
const PERFMON: u64 = 1 << 38;
const BPF: u64 = 1 << 39;

/// What the default filters of Docker, containerd, Podman and CRI-O all refuse, whatever the arguments are. Podman's, which is
/// CRI-O's, leaves mounts, new namespaces and keyctl to the kernel's own checks: these are not among them.
const BY_EACH: [Guarded; 24] = [
    guarded("acct", SYS_PACCT),
    guarded("add_key", 0),
    guarded("bpf", SYS_ADMIN | BPF),
    guarded("clock_settime", SYS_TIME),
    guarded("delete_module", SYS_MODULE),
    guarded("fanotify_init", SYS_ADMIN),
    guarded("finit_module", SYS_MODULE),
    guarded("init_module", SYS_MODULE),
    guarded("ioperm", SYS_RAWIO),
    guarded("iopl", SYS_RAWIO),
    guarded("kexec_file_load", 0),
    guarded("kexec_load", 0),
    guarded("open_by_handle_at", DAC_READ_SEARCH),
    guarded("perf_event_open", SYS_ADMIN | PERFMON),
    guarded("quotactl", SYS_ADMIN),
    guarded("quotactl_fd", SYS_ADMIN),
    guarded("request_key", 0),
    guarded("setdomainname", SYS_ADMIN),
    guarded("sethostname", SYS_ADMIN),
    guarded("settimeofday", SYS_TIME),
    guarded("stime", SYS_TIME),
    guarded("swapoff", 0),
    guarded("swapon", 0),
    guarded("userfaultfd", 0),
];

/// What a filter that lets calls pass which it does not name has to refuse beside these: it is no engine's, and what it forgets
/// is open. These are Docker's; `clone` is asked about for a new user namespace.
const BY_LISTS: [Guarded; 17] = [
    guarded("clone", SYS_ADMIN),
    guarded("clone3", SYS_ADMIN),
    guarded("fsconfig", SYS_ADMIN),
    guarded("fsmount", SYS_ADMIN),
    guarded("fsopen", SYS_ADMIN),
    guarded("fspick", SYS_ADMIN),
    guarded("io_uring_setup", 0),
    guarded("keyctl", 0),
    guarded("mount", SYS_ADMIN),
    guarded("mount_setattr", SYS_ADMIN),
    guarded("move_mount", SYS_ADMIN),
    guarded("open_tree", SYS_ADMIN),
    guarded("pivot_root", SYS_ADMIN),
    guarded("reboot", SYS_BOOT),
    guarded("setns", SYS_ADMIN),
    guarded("umount2", SYS_ADMIN),
    guarded("unshare", SYS_ADMIN),
];

/// The calls that a filter of the configuration is asked about ([`FilterFact`]).
pub fn guarded_calls() -> impl Iterator<Item = &'static str> {
    BY_EACH.iter().chain(&BY_LISTS).map(|guarded| guarded.call)
}

/// The first call that a filter lets pass although every engine's refuses it to who has no more than these capabilities. A filter
/// that nobody has looked at lets everything pass.
fn gap(filter: Option<&FilterFact>, capabilities: u64) -> Option<&str> {
    let Some(filter) = filter else { return Some("every call") };
    let passes = |guarded: &&Guarded| {
        guarded.opened_by & capabilities == 0 && filter.lets_pass.iter().any(|c| c == guarded.call)
    };
    let lists = BY_LISTS.iter().filter(|_| filter.is_open);
    BY_EACH.iter().chain(lists).find(passes).map(|guarded| guarded.call)
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
    let own = asked.as_ref().is_some_and(|filter| !filter.is_empty());
    let gap = gap(draft.facts.own_filter.as_ref(), capabilities::left(draft));
    if own && !draft.profile.stack_filter && gap.is_none() {
        draft.log.note(rule, pointer, Verdict::Kept, "the configuration has a filter");
        return Ok(asked);
    }
    draft.extras.default_seccomp = true;
    draft.extras.strict_seccomp = draft.profile.strict_filter;
    draft.extras.record_denials = draft.choice.record_denials;
    let (verdict, reason) = match (own, gap) {
        (false, _) => {
            let reason = "the configuration has no filter: the default one is loaded";
            (Verdict::Added, reason.to_owned())
        }
        (true, Some(call)) if !draft.profile.stack_filter => {
            let reason = format!(
                "the configuration's filter lets {call} pass, which every engine's refuses: the default one is loaded beside it"
            );
            (Verdict::Added, reason)
        }
        (true, _) => {
            let reason = "the default filter is loaded beside the configuration's";
            (Verdict::Tightened, reason.to_owned())
        }
    };
    draft.log.note(rule, pointer, verdict, reason);
    for (feature, source) in draft.choice.overrides.seccomp_features() {
        let reason = format!("the default filter lets pass what {feature} needs");
        draft.log.waive(rule, pointer, source, reason);
        draft.extras.seccomp_features.insert(feature.to_owned());
    }
    Ok(asked)
}
