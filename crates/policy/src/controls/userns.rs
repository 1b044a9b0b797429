//! `userns.nested`: no user namespaces below the container's own.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::spec::NamespaceKind;

const POINTER: &str = "/linux/namespaces";

/// Rule `userns.nested`. The system call filter refuses the calls already; this is the kernel's own count
/// (user.max_user_namespaces of the container's user namespace is 0), which also holds when the filter is overridden. The
/// feature `seccomp.userns` lifts both, or it would be of no use. Comes after every rule that gives the container a user
/// namespace.
pub(crate) fn nested(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::NestedUserns;
    if let Some(source) = draft.allows("userns.nested").or(draft.allows("seccomp.userns")) {
        draft.log.waive(rule, POINTER, source, "user namespaces can be made in the container");
        return Ok(());
    }
    draft.extras.no_nested_userns = true;
    let (verdict, reason) = match draft.spec.namespace(NamespaceKind::User).map(|n| &n.path) {
        Some(None) => (Verdict::Added, "none can be made below the container's"),
        None if draft.extras.auto_userns.is_some() => {
            (Verdict::Added, "none can be made below the one that the container is given")
        }
        Some(Some(_)) => (Verdict::Kept, "whoever made the one that is joined has decided"),
        None => {
            (Verdict::Waived, "the container has none of its own; the system call filter remains")
        }
    };
    draft.log.note(rule, POINTER, verdict, reason);
    Ok(())
}
