//! `bundle.*`: the configuration as a whole.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::spec::{Capability, DeviceRule, DeviceRuleKind, Spec};

/// A configuration with this many capabilities was given all that its engine knows of; engines know different kernels.
const NEARLY_ALL: u32 = 35;

/// Rule `bundle.privileged`. Other rules cut such a configuration back piece by piece; this one says what it is, and where
/// it enforces, that nobody meant to run it here.
pub(crate) fn privileged(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::PrivilegedBundle, "");
    if !asks_for_everything(&draft.spec) {
        draft.log.note(rule, pointer, Verdict::Kept, "is not what engines make of --privileged");
        return Ok(());
    }
    let reason = "the configuration asks for everything, as engines' --privileged does";
    if let Some(source) = draft.allows("bundle.privileged") {
        draft.log.waive(rule, pointer, source, reason);
        return Ok(());
    }
    Err(draft.refuse(rule, pointer, reason, Some("bundle.privileged")))
}

/// All capabilities, all devices, and nothing of /proc hidden: no single option of an engine gives all three.
fn asks_for_everything(spec: &Spec) -> bool {
    let Some(capabilities) = spec.process.as_ref().and_then(|p| p.capabilities.as_ref()) else {
        return false;
    };
    let bounding = &capabilities.bounding;
    let admin = Capability::from_name("CAP_SYS_ADMIN").is_some_and(|c| bounding.contains(c));
    let devices = spec.linux.resources.as_ref().map_or(&[][..], |limits| &limits.devices);
    admin
        && bounding.mask.count_ones() >= NEARLY_ALL
        && spec.linux.masked_paths.is_empty()
        && devices.last().is_some_and(allows_all)
}

fn allows_all(rule: &DeviceRule) -> bool {
    let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
    let kind = matches!(rule.kind, None | Some(DeviceRuleKind::All));
    rule.allow && kind && any(rule.major) && any(rule.minor)
}
