//! `rlimits.core` and `process.core-pattern`: what a crash writes, and what it starts.

use super::prelude::*;
use crate::facts::CorePattern;
use crate::spec::{Rlimit, RlimitKind};

/// **What.** RLIMIT_CORE is 0, soft and hard. If the host's `kernel.core_pattern` starts a program,
/// it is 1 byte, soft and hard. The kernel starts that program for every other limit, including 0
/// (core(5); tested on Linux 7.2), and writes no file that small. `ulimit -c` shows 0 in both
/// cases. If the caller's own hard limit is 0, it stays 0, because raising it needs a privilege on
/// the host. `exec` uses the same values.
///
/// **Why.** A core dump contains the process's secrets and goes where `kernel.core_pattern` says:
/// often to a program that runs as root on the host and reads data that the container made.
///
/// **What it does not do.** A program may lower its own limit to 0, and its crash then starts the
/// host's program again: ssh-agent and gpg do so to avoid core files, an attacker on purpose. In a
/// user namespace of its own, the crashing process has ids without privileges;
/// `process.core-pattern` covers the rest.
///
/// **What breaks.** Core dumps from containers, and what systemd-coredump would log about their
/// crashes.
///
/// **Override.**
///
/// - `rlimits.core`: core dumps
///
/// **In the profiles.**
///
/// - privileged: Core dumps as the caller's limits allow.
/// - baseline: Somebody may be debugging.
/// - hardened: A core dump passes memory with secrets to whatever kernel.core_pattern names on the
///   host: a program that then parses an attacker's input as root.
pub(crate) const LIMIT: Control = Control {
    id: ControlId::CoreLimit,
    name: "rlimits.core",
    allow: &["rlimits.core"],
    modes: [OFF, WARN, ON, ON],
    severity: LOW,
    summary: "no core dumps",
};

/// **What.** Under `restricted`, a container without a user namespace is refused on a host whose
/// `kernel.core_pattern` starts a program.
///
/// **Why.** The kernel starts that program as root, outside of any container, for every crash, with
/// data that the container made. With such a pattern it ignores RLIMIT_CORE (core(5)).
///
/// **What breaks.** Under restricted, containers without a user namespace (`userns.host`,
/// `userns.fallback`) on hosts with systemd-coredump, apport or abrt.
///
/// **Override.**
///
/// - `process.core-pipe`: a program of the host that is started for crashes (restricted)
///
/// Or change the pattern.
///
/// **In the profiles.**
///
/// - privileged: Not checked.
/// - baseline: Not checked.
/// - hardened: If the pattern is a program, the kernel ignores the limit on core dumps; only
///   restricted checks this.
/// - restricted: The kernel starts the program of kernel.core_pattern for every crash, outside of
///   any container, with data that the container made. From a user namespace, that program is told
///   ids without privileges. Without one, and with such a pattern, the container is refused.
pub(crate) const PATTERN: Control = Control {
    id: ControlId::CorePattern,
    name: "process.core-pattern",
    allow: &["process.core-pipe"],
    modes: [OFF, OFF, OFF, ON],
    severity: LOW,
    summary: "a crash cannot start a program as root of the host, or reach a socket of it",
};

/// The limit that keeps the kernel from starting the host's core dump program: 1 byte, exactly (core(5); fs/coredump.c aborts
/// a pipe at that limit, and a file below a page). 0 does not.
const NO_PIPE: u64 = 1;

pub(crate) fn limit(draft: &mut Draft<'_>, mut asked: Vec<Rlimit>) -> Result<Vec<Rlimit>, Refusal> {
    let (control, pointer) = (ControlId::CoreLimit, "/process/rlimits");
    if let Some(source) = draft.allows("rlimits.core") {
        draft.log.waive(control, pointer, source, "core dumps as the configuration limits them");
        return Ok(asked);
    }
    let limit = match draft.joining {
        None => limit_here(draft),
        Some(container) => limit_of(container),
    };
    if draft.joining.is_none() && draft.facts.core_pattern == CorePattern::Socket {
        let reason =
            "kernel.core_pattern is a socket, for which the kernel does not look at the limit";
        draft.log.note(control, pointer, Verdict::Waived, reason);
    }
    let wanted = Rlimit { kind: RlimitKind::Core, hard: limit, soft: limit };
    let reason = "core dumps leave the container and hold its secrets";
    let found = asked.iter_mut().enumerate().find(|(_, entry)| entry.kind == RlimitKind::Core);
    let Some((index, present)) = found else {
        asked.push(wanted);
        let change = values(&(), &wanted);
        draft.log.change(control, "/process/rlimits/-", Verdict::Added, change, reason);
        return Ok(asked);
    };
    let pipe = limit == NO_PIPE;
    let fits =
        if pipe { (present.soft, present.hard) == (limit, limit) } else { present.hard <= limit };
    if fits {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(asked);
    }
    let soft = if pipe { limit } else { present.soft.min(limit) };
    let before = std::mem::replace(present, Rlimit { soft, ..wanted });
    let change = values(&before, present);
    let pointer = format!("/process/rlimits/{index}");
    draft.log.change(control, pointer, Verdict::Tightened, change, reason);
    Ok(asked)
}

/// Nobody can raise the limit above the caller's without a privilege that the caller may not have.
fn limit_here(draft: &Draft<'_>) -> u64 {
    let reachable = draft.facts.limits.core.is_none_or(|hard| hard >= NO_PIPE);
    let wanted = draft.profile.core_limit;
    if draft.facts.core_pattern == CorePattern::Pipe && wanted < NO_PIPE && reachable {
        NO_PIPE
    } else {
        wanted
    }
}

/// What the container's first process has.
fn limit_of(container: &HardenedSpec) -> u64 {
    let limits = container.process.iter().flat_map(|init| &init.rlimits);
    let own = limits.into_iter().find(|limit| limit.kind == RlimitKind::Core);
    let usual = container.profile().profile().core_limit;
    own.map_or(usual, |limit| if limit.hard == NO_PIPE { NO_PIPE } else { usual })
}

/// A socket gets every core whatever the limit says, and from root of whichever user namespace (Linux 6.16, `@` and `@@`).
pub(crate) fn pattern(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (control, pointer) = (ControlId::CorePattern, "/linux/namespaces");
    // A user namespace that is not required may turn out not to be possible.
    let confined = draft.has_userns()
        || draft.extras.auto_userns.is_some_and(|own| own.required)
        || !draft.facts.in_initial_userns;
    let reason = match draft.facts.core_pattern {
        CorePattern::File => {
            draft.log.note(control, pointer, Verdict::Kept, "a crash writes a file at most");
            return Ok(());
        }
        CorePattern::Pipe if confined => {
            let reason = "the program that a crash starts gets ids without privileges";
            draft.log.note(control, pointer, Verdict::Kept, reason);
            return Ok(());
        }
        CorePattern::Pipe => {
            "a crash would start the program of kernel.core_pattern as root of the host"
        }
        CorePattern::Socket => {
            "a crash would send its memory to the host's socket of kernel.core_pattern"
        }
    };
    if let Some(source) = draft.allows("process.core-pipe") {
        draft.log.waive(control, pointer, source, reason);
        return Ok(());
    }
    Err(draft.refuse(control, pointer, reason, Some("process.core-pipe")))
}
