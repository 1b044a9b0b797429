//! `seccomp.default`: the default filter, alone or on top of the engine's.

use super::prelude::*;
use crate::spec::SeccompProfile;

pub(crate) const FILTER: Control = Control {
    id: ControlId::DefaultSeccomp,
    name: "seccomp.default",
    allow: &["seccomp.unconfined", "seccomp.*"],
    modes: [OFF, ON, ON, ON],
    summary: "the default system call filter is loaded",
};

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
    let own = asked.as_ref().is_some_and(|profile| !profile.is_empty());
    if own && !draft.profile.stack_filter {
        draft.log.note(rule, pointer, Verdict::Kept, "the configuration has a filter");
        return Ok(asked);
    }
    draft.extras.default_seccomp = true;
    draft.extras.strict_seccomp = draft.profile.strict_filter;
    let (verdict, reason) = match own {
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
