//! `capabilities.ceiling`: cuts all five sets.

use crate::decision::{Refusal, RuleId, Verdict};
use crate::harden::{Draft, Log};
use crate::spec::{CapSet, Capabilities};
use serde_json::{json, Value};

/// Rule `capabilities.ceiling` for a container.
pub(crate) fn ceiling(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let Some(ceiling) = draft.profile.capability_ceiling else { return Ok(()) };
    let process = draft.spec.process.as_mut();
    match process.and_then(|process| process.capabilities.as_mut()) {
        Some(capabilities) => cut(capabilities, ceiling, &mut draft.log),
        None => draft.log.note(
            RuleId::CAPABILITIES,
            "/process/capabilities",
            Verdict::Kept,
            "none are asked for",
        ),
    }
    Ok(())
}

/// Cuts each set to `ceiling`. Unknown names go too: what has no number here might get one in a newer
/// kernel, and the ceiling is a list of what is allowed.
pub(crate) fn cut(capabilities: &mut Capabilities, ceiling: u64, log: &mut Log) {
    let mut changed = false;
    for (name, set) in capabilities.sets_mut() {
        let kept = CapSet::from_mask(set.mask & ceiling);
        if kept == *set {
            continue;
        }
        changed = true;
        let before = std::mem::replace(set, kept);
        let after = names(set);
        let dropped = CapSet { mask: before.mask & !ceiling, unknown: before.unknown.clone() };
        let reason = format!("not under the profile's ceiling: {}", join(&dropped));
        let pointer = format!("/process/capabilities/{name}");
        let values = (names(&before), after);
        log.change(RuleId::CAPABILITIES, pointer, Verdict::Tightened, values, reason);
    }
    if !changed {
        let reason = "all sets are under the profile's ceiling";
        log.note(RuleId::CAPABILITIES, "/process/capabilities", Verdict::Kept, reason);
    }
}

fn names(set: &CapSet) -> Value {
    json!(set)
}

fn join(set: &CapSet) -> String {
    let known = set.iter().map(|capability| capability.name());
    let all: Vec<&str> = known.chain(set.unknown.iter().map(String::as_str)).collect();
    all.join(", ")
}
