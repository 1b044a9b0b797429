//! `spec.unknown`: properties that this release does not know.

use super::prelude::*;

/// **What.** A property that this release's model of the specification does not have is dropped,
/// and the record names it. This is not an error, because the specification requires it
/// ("Extensibility"). A name in other letters (`Namespaces`, `pagesize`) is the property that it is
/// for runc, whose parser accepts any letter case; for a `config.json`, `casemate explain` reports
/// it.
///
/// **Why.** A new property reaches a container only after a control lets it in.
///
/// **What breaks.** Features of a specification that is newer than this release.
///
/// **Override.** None.
///
/// **In the profiles.**
///
/// - privileged: Everything that the configuration has.
/// - hardened: What a newer specification or an engine adds has no control here yet, so it does not
///   reach the container.
pub(crate) const UNKNOWN: Control = Control {
    id: ControlId::UnknownProperties,
    name: "spec.unknown",
    allow: &[],
    modes: [OFF, ON, ON, ON],
    severity: LOW,
    summary: "what a newer specification or an engine adds does not reach the container",
};

/// How many names a record repeats.
const SHOWN: usize = 20;

/// The model has no place for them, so they are gone already, as the specification demands (config.md, "Extensibility"); this
/// says so.
pub(crate) fn drop_all(draft: &mut Draft<'_>, asked: Vec<String>) -> Result<Vec<String>, Refusal> {
    let (control, pointer) = (ControlId::UnknownProperties, "");
    if asked.is_empty() {
        let reason = "every property is one that this release knows";
        draft.log.note(control, pointer, Verdict::Kept, reason);
        return Ok(asked);
    }
    let mut shown: Vec<&str> = asked.iter().take(SHOWN).map(String::as_str).collect();
    let more = format!("and {} more", asked.len().saturating_sub(SHOWN));
    if asked.len() > SHOWN {
        shown.push(&more);
    }
    let reason = "unknown to this release, and left out";
    draft.log.change(control, pointer, Verdict::Tightened, values(&shown, &()), reason);
    Ok(Vec::new())
}
