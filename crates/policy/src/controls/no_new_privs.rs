//! `process.no-new-privileges`: prctl(PR_SET_NO_NEW_PRIVS).

use super::prelude::*;

/// **What.** casemate sets prctl(PR_SET_NO_NEW_PRIVS) for the container and every process that
/// `exec` adds.
///
/// **Why.** A set-user-ID program or a file capability in an image is the shortest way from a bug
/// in a service to all capabilities of the bounding set. no_new_privs also disables inherited
/// capabilities in combination with file capabilities (CVE-2022-24769, CVE-2022-29162).
///
/// **What breaks.** sudo, su, doas, and ping with file capabilities.
///
/// **Workaround.** Start the program as the user that it should run as.
///
/// **Override.**
///
/// - `process.new-privileges`: set-user-ID files and file capabilities work
///
/// **In the profiles.**
///
/// - privileged: Set-user-ID binaries gain privileges unless the configuration forbids it.
/// - baseline: The standard leaves this to the pod: sudo and su continue to work.
/// - hardened: A set-user-ID binary or a file capability in an image is the shortest way from a bug
///   in a service to all capabilities of the bounding set. sudo, su and old versions of ping no
///   longer gain privileges.
pub(crate) const FORCED: Control = Control {
    id: ControlId::NoNewPrivileges,
    name: "process.no-new-privileges",
    allow: &["process.new-privileges"],
    modes: [OFF, WARN, ON, ON],
    severity: MEDIUM,
    summary: "set-user-ID files and file capabilities grant nothing",
};

/// A process that joins may gain what the container's first one may, and no more.
pub(crate) fn force(draft: &mut Draft<'_>, asked: bool) -> Result<bool, Refusal> {
    let (control, pointer) = (ControlId::NoNewPrivileges, "/process/noNewPrivileges");
    let first = |container: &HardenedSpec| {
        container.process.as_ref().is_some_and(|init| !init.no_new_privileges)
    };
    let gained = draft.joining.is_none_or(first);
    if asked {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(true);
    }
    if let Some(source) = draft.allows("process.new-privileges").filter(|_| gained) {
        draft.log.waive(control, pointer, source, "set-user-ID files may add privileges");
        return Ok(false);
    }
    let reason = "set-user-ID files and file capabilities must not add privileges";
    draft.log.change(control, pointer, Verdict::Tightened, values(&false, &true), reason);
    Ok(true)
}
