//! `namespaces.*`: what must be the container's own.

use crate::control::RuleId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::spec::NamespaceKind;

/// Rule `namespaces.mount`.
pub(crate) fn mount(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (RuleId::MOUNT_NAMESPACE, "/linux/namespaces");
    if draft.spec.namespace(NamespaceKind::Mount).is_none() {
        let reason = "a container without a mount namespace cannot be confined; add one, \
                      or use the profile privileged";
        return Err(draft.refuse(rule, pointer, reason, None));
    }
    draft.log.note(rule, pointer, Verdict::Kept, "the container has a mount namespace");
    Ok(())
}
