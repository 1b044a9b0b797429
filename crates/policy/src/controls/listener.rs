//! `process.seccomp-listener`: to whom system calls are handed for an answer.

use super::mounts;
use super::prelude::*;
use crate::facts::{FileFact, SourceFact};
use crate::spec::SeccompProfile;

/// **What.** If a filter passes system calls to an agent (`SCMP_ACT_NOTIFY`), the runtime connects
/// to the socket that `linux.seccomp.listenerPath` names, with the caller's rights. It refuses the
/// sockets that `mounts.sources` refuses: those of engines and systemd, and other sockets of root.
/// It permits a socket of a seccomp agent, whose file or directory has `seccomp` in its name
/// (`/run/seccomp-agent.socket`, CRI-O's in `/run/crio/seccomp`), and any socket that does not
/// belong to root. What cannot be checked is refused: a path through the mounts of another process
/// (`/proc/PID/root`), and one that does not exist. casemate checks the path with all links
/// resolved, and connects to that.
///
/// **Why.** Otherwise a configuration could make the runtime, as root, send text of its choice and
/// a descriptor of the container to any listener on the host.
///
/// **What breaks.** Agents whose socket has another name.
///
/// **Override.**
///
/// - `process.seccomp-listener`: any socket of the host as the agent
///
/// **In the profiles.**
///
/// - privileged: Any socket that the configuration names.
/// - hardened: A configuration must not choose a socket of the host that only root may connect to;
///   agents are recognised by the name of their socket.
pub(crate) const AGENT: Control = Control {
    id: ControlId::SeccompListener,
    name: "process.seccomp-listener",
    allow: &["process.seccomp-listener"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "system calls are passed only to the socket of a seccomp agent",
};

/// Where the path leads is the runtime's to find out.
pub(crate) fn judged(
    draft: &mut Draft<'_>,
    asked: Option<SeccompProfile>,
) -> Result<Option<SeccompProfile>, Refusal> {
    let (rule, pointer) = (ControlId::SeccompListener, "/linux/seccomp/listenerPath");
    let notifying = asked.as_ref().filter(|filter| filter.uses_notify());
    let Some(path) = notifying.and_then(|filter| filter.listener_path.clone()) else {
        draft.log.note(rule, pointer, Verdict::Kept, "no system call is passed to an agent");
        return Ok(asked);
    };
    let note = match &draft.facts.listener {
        Some(SourceFact::Found(file)) if !is_agents(file) => mounts::refused(draft, file),
        Some(SourceFact::Found(_)) => None,
        // Connecting need not fail: the path may lead over a mount that is not seen here, such as another process's root.
        Some(SourceFact::Missing(why)) => Some(format!(" cannot be judged: {why}")),
        None => Some(" was not looked at".to_owned()),
    };
    let Some(note) = note else {
        draft.log.note(rule, pointer, Verdict::Kept, "system calls are passed to an agent");
        return Ok(asked);
    };
    let reason = format!("linux.seccomp.listenerPath {path}{note}");
    if let Some(source) = draft.allows("process.seccomp-listener") {
        draft.log.waive(rule, pointer, source, reason);
        return Ok(asked);
    }
    Err(draft.refuse(rule, pointer, reason, Some("process.seccomp-listener")))
}

/// A socket that is there for this, by the name of its file or of its directory; no engine's is called so.
fn is_agents(file: &FileFact) -> bool {
    file.all_names().all(|name| {
        let mut last = name.rsplit('/').take(2);
        !mounts::is_engines_socket(name) && last.any(|part| part.contains("seccomp"))
    })
}
