//! The floor in a report, apart from the controls: what is below it whatever was decided.

use super::finding::{Finding, Level};
use super::material::Material;
use crate::observe::evidence::Answer;
use casemate_policy::floor::Violation;
use casemate_policy::ProfileName;
use serde::Serialize;

/// Id of findings about the floor as a whole; of single invariants, before their names.
const ID: &str = "floor";

/// What the floor has to say.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FloorReport {
    /// Whose floor: the profile in force, or the one that it is compared with.
    pub profile: &'static str,
    /// The release that compared the container with its floor before the program ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compared_by: Option<String>,
    /// What is below it.
    pub violations: Vec<FloorViolation>,
    /// What the host may have mounted in the container since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub propagated: Vec<Propagated>,
    /// Whether it was compared is not known.
    #[serde(skip)]
    unreadable: bool,
    /// The container is casemate's.
    #[serde(skip)]
    ours: bool,
}

/// One invariant that does not hold.
#[derive(Clone, Debug, Serialize)]
pub struct FloorViolation {
    /// Which.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// The override that would permit it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow: Option<&'static str>,
}

/// A mount.
#[derive(Clone, Debug, Serialize)]
pub struct Propagated {
    /// Where in the container.
    pub point: String,
    /// File system type.
    pub kind: String,
}

/// Of a process that runs; a configuration shows nothing of what the kernel makes of it.
pub(super) fn report(material: &Material<'_>) -> Option<FloorReport> {
    let evidence = material.effective.evidence.as_ref()?;
    let profile = material.in_force.unwrap_or(material.profile.name);
    let Answer { violations, propagated } = evidence.ask(profile, &evidence.maker.granted);
    let violation =
        |Violation { invariant, what, allow }| FloorViolation { invariant, what, allow };
    Some(FloorReport {
        profile: profile.as_str(),
        compared_by: material.floor.compared_by.clone(),
        unreadable: material.floor.unreadable,
        violations: violations.into_iter().map(violation).collect(),
        propagated: propagated
            .into_iter()
            .map(|(point, kind)| Propagated { point, kind })
            .collect(),
        ours: material.in_force.is_some(),
    })
}

impl FloorReport {
    /// Only of casemate's own containers: nobody else promised a floor.
    pub(super) fn findings(&self) -> Vec<Finding> {
        if !self.ours || self.profile == ProfileName::Privileged.as_str() {
            return Vec::new();
        }
        let finding =
            |level, control, message| Finding { level, control, message, pointer: String::new() };
        let mut found: Vec<Finding> = self
            .violations
            .iter()
            .map(|violation| {
                let id = format!("{ID}.{}", violation.invariant);
                let by = violation.allow.map(|name| format!(" (override: {name})"));
                let message = format!("{}{}", violation.what, by.unwrap_or_default());
                finding(Level::High, id, message)
            })
            .collect();
        if self.compared_by.is_none() && !self.unreadable {
            let message = "made by a release that did not compare it with a floor: what is below \
                           was let in when it was made; make it anew";
            found.push(finding(Level::Low, ID.to_owned(), message.to_owned()));
        }
        found
    }
}
