//! `process.root`: no process runs as root or in its group.

use super::prelude::*;
use crate::spec::User;

/// **What.** restricted refuses uid 0, gid 0 and group 0, also in `exec` and in a user namespace.
/// hardened records it if there is no user namespace.
///
/// **Why.** Root of the host's user namespace is one bug away from the host. Many images make files
/// of root's group writable for any user.
///
/// **What breaks.** Under restricted, every image without a `USER`, and the sandbox of podman's
/// pods.
///
/// **Override.**
///
/// - `process.root`: uid 0 and gid 0 (restricted)
///
/// It is better to use `--user 1000:1000`, or `runAsUser` and `runAsGroup`.
///
/// **In the profiles.**
///
/// - privileged: Any user that the configuration names.
/// - baseline: Not in the standard.
/// - hardened: Root of the host is one kernel bug away from the host; root of a user namespace is
///   not root. Most images start as root and switch users later, so this profile only warns, and
///   only without a user namespace.
/// - restricted: The standard's runAsNonRoot, and root's group too, whose files are writable in
///   many images. exec as root is refused as well.
pub(crate) const USER: Control = Control {
    id: ControlId::RootUser,
    name: "process.root",
    allow: &["process.root"],
    modes: [OFF, OFF, WARN, ON],
    severity: LOW,
    summary: "no process runs as root or in its group",
};

pub(crate) fn user(draft: &mut Draft<'_>, asked: User) -> Result<User, Refusal> {
    let (control, pointer) = (ControlId::RootUser, "/process/user");
    let Some(reason) = as_root(&asked) else {
        let reason = "is an ordinary user in ordinary groups";
        draft.log.note(control, pointer, Verdict::Kept, reason);
        return Ok(asked);
    };
    let own = draft.extras.auto_userns.is_some() || draft.has_userns();
    if draft.profile.root_in_userns && own {
        draft.log.note(control, pointer, Verdict::Kept, "is root of a user namespace only");
        return Ok(asked);
    }
    match draft.allows("process.root") {
        Some(source) => draft.log.waive(control, pointer, source, reason),
        None => return Err(draft.refuse(control, pointer, reason, Some("process.root"))),
    }
    Ok(asked)
}

/// What of root there is in a user's ids. The group too: its files are writable in many images, and it is what the
/// standard does not ask about.
fn as_root(User { uid, gid, umask: _, additional_gids }: &User) -> Option<&'static str> {
    match (uid, gid) {
        (0, _) => Some("the process runs as root (uid 0)"),
        (_, 0) => Some("the process runs in root's group (gid 0)"),
        _ if additional_gids.contains(&0) => {
            Some("the process has root's group (gid 0) beside its own")
        }
        _ => None,
    }
}
