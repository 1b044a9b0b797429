//! `seccomp.default`: the default filter, alone or on top of the engine's.

use crate::decision::{Refusal, RuleId, Verdict};
use crate::harden::Draft;

/// Rule `seccomp.default`. The kernel evaluates all filters and takes the most restrictive answer, so two
/// filters together are never weaker than either. Ours follows the capabilities that are left; the
/// engine's was made for those that it granted.
pub(crate) fn default_filter(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    if !draft.profile.default_filter {
        return Ok(());
    }
    draft.extras.default_seccomp = true;
    let own = draft.spec.linux.seccomp.as_ref().filter(|profile| !profile.is_empty());
    let (verdict, reason) = match own {
        None => (Verdict::Added, "the configuration has no filter: the default one is loaded"),
        Some(_) => (Verdict::Tightened, "the default filter is loaded beside the configuration's"),
    };
    draft.log.note(RuleId::SECCOMP, "/linux/seccomp", verdict, reason);
    Ok(())
}
