//! `annotations.acting`: annotations that the runtime itself obeys.

use super::prelude::*;
use std::collections::BTreeMap;

pub(crate) const ACTING: Control = Control {
    id: ControlId::Annotations,
    name: "annotations.acting",
    allow: &["annotations.systemd"],
    modes: [OFF, ON, ON, ON],
    summary: "an annotation sets no property of a systemd unit but harmless ones",
};

/// What runc and crun take as a property of the container's scope.
const SYSTEMD: &str = "org.systemd.property.";

/// Properties that say how the scope ends and is called, and nothing of what its processes may do (systemd.kill(5),
/// systemd.unit(5)). podman writes the first two.
const HARMLESS: [&str; 6] =
    ["KillSignal", "TimeoutStopUSec", "TimeoutStopSec", "Description", "After", "CollectMode"];

/// Takes out the properties that may loosen what limits and device rules say.
pub(crate) fn acting(
    draft: &mut Draft<'_>,
    mut asked: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let (control, pointer) = (ControlId::Annotations, "/annotations");
    let acts = |key: &str| key.strip_prefix(SYSTEMD).is_some_and(|name| !HARMLESS.contains(&name));
    let acting: Vec<String> = asked.keys().filter(|key| acts(key)).cloned().collect();
    if acting.is_empty() {
        let reason = "no annotation acts on the host's side";
        draft.log.note(control, pointer, Verdict::Kept, reason);
        return Ok(asked);
    }
    if let Some(source) = draft.allows("annotations.systemd") {
        let reason = format!("systemd's unit gets what annotations say: {}", acting.join(", "));
        draft.log.waive(control, pointer, source, reason);
        return Ok(asked);
    }
    for key in &acting {
        asked.remove(key);
    }
    let reason =
        "a property of the container's unit may loosen what its limits and device rules say";
    draft.log.change(control, pointer, Verdict::Tightened, values(&acting, &()), reason);
    Ok(asked)
}
