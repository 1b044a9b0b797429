//! The report: for each control what was asked for, what is in force, and who decided; what follows from that.
//!
//! Its JSON form is stable: keys are added, and not renamed or taken away, within one `version`.

mod control;
mod decision;
mod drift;
mod finding;
mod floor;
mod material;

pub use control::{ControlReport, Status};
pub use decision::Decision;
pub use drift::differences;
pub use finding::{Finding, Level};
pub use floor::{FloorReport, FloorViolation, Propagated};
pub use material::{Material, Peer, RecordedFloor, Subject};

use crate::observe::Unread;
use crate::standards::StandardReport;
use casemate_policy::{ProfileName, CONTROLS};
use serde::Serialize;

/// Version of the JSON form.
pub const VERSION: u32 = 1;

/// As bad as what it may hide.
fn unread(unread: &Unread) -> Finding {
    Finding {
        level: Level::High,
        control: unread.what.to_owned(),
        message: format!("cannot be read: {}", unread.why),
        pointer: String::new(),
    }
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// What it is about.
    pub subject: Subject,
    /// Name of the profile in force; absent for containers of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<&'static str>,
    /// Where the last column comes from: `config` or `kernel`.
    pub seen: crate::observe::Origin,
    /// One entry for each control, then for what else is looked at.
    pub controls: Vec<ControlReport>,
    /// What is below the profile's floor, in terms of what the kernel shows; absent for a configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floor: Option<FloorReport>,
    /// What a reader should know, the worst first.
    pub findings: Vec<Finding>,
    /// Standards that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub standards: Vec<StandardReport>,
    /// Level of the worst finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<Level>,
    /// All of it in one line.
    pub verdict: String,
}

impl Report {
    /// How much does not hold that should: controls that the kernel disagrees about, and invariants of the profile's floor. Of
    /// containers of others nothing was promised.
    #[must_use]
    pub fn violations(&self) -> usize {
        let violated = self.controls.iter().filter(|control| control.status == Status::Violated);
        let below = self.findings.iter().filter(|finding| finding.is_below_floor());
        violated.count() + below.count()
    }
}

impl Material<'_> {
    /// The report, with the standards called `names`.
    pub fn report(self, names: &[&'static crate::standards::Standard]) -> Report {
        let mut controls: Vec<ControlReport> =
            CONTROLS.iter().map(|row| control::of_control(&self, row)).collect();
        let extra = crate::judge::EXTRA.iter();
        controls.extend(extra.map(|(id, summary)| control::of_observation(&self, id, summary)));
        let mut findings: Vec<Finding> =
            controls.iter().flat_map(ControlReport::findings).collect();
        findings.extend(differences(&self));
        findings.extend(self.unread.iter().chain(&self.effective.unread).map(unread));
        let floor = floor::report(&self);
        findings.extend(floor.iter().flat_map(FloorReport::findings));
        findings.sort_by_key(|finding| std::cmp::Reverse(finding.level));
        let standards = names
            .iter()
            .map(|standard| standard.compare(&controls, self.effective, self.in_force))
            .collect();
        let verdict = verdict(&controls, &findings, self.in_force.is_some());
        Report {
            version: VERSION,
            profile: self.in_force.map(ProfileName::as_str),
            seen: self.effective.origin,
            worst: findings.first().map(|finding| finding.level),
            subject: self.subject,
            controls,
            floor,
            findings,
            standards,
            verdict,
        }
    }
}

fn verdict(controls: &[ControlReport], findings: &[Finding], ours: bool) -> String {
    let count = |wanted: &[Status]| {
        controls.iter().filter(|control| wanted.contains(&control.status)).count()
    };
    let refused = count(&[Status::Refused]);
    if refused > 0 {
        let what = if refused == 1 {
            "1 control refuses".into()
        } else {
            format!("{refused} controls refuse")
        };
        let reasons: usize = controls.iter().map(ControlReport::refusals).sum();
        let why = match reasons > refused {
            true => format!(" for {reasons} reasons"),
            false => String::new(),
        };
        return format!("This configuration is not run: {what} it{why}.");
    }
    let high = findings.iter().filter(|finding| finding.level == Level::High).count();
    let below = findings.iter().filter(|finding| finding.is_below_floor()).count();
    if below > 0 {
        return format!("Below the floor of its profile: {below} invariants do not hold.");
    }
    let violated = count(&[Status::Violated]);
    if violated > 0 {
        return format!("Not as recorded: {violated} of {} no longer hold.", controls.len());
    }
    let holding = count(&[Status::Enforced, Status::Requested, Status::Loosened]);
    let rest = match (high, findings.iter().filter(|f| f.level > Level::Note).count()) {
        (0, 0) => "nothing to complain of".to_owned(),
        (0, n) => format!("{n} findings, none of them high"),
        (n, all) => format!("{all} findings, {n} of them high"),
    };
    let whose = if ours { "" } else { "; casemate did not make it" };
    format!("{holding} of {} hold, {rest}{whose}.", controls.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::Observation;
    use casemate_policy::spec::Spec;
    use casemate_policy::Overrides;
    use std::collections::BTreeSet;

    #[test]
    fn what_cannot_be_read_is_a_finding_and_holds_no_aim_whatever_was_decided() {
        let text = br#"{"ociVersion": "1.0.2", "root": {"path": "r"}, "linux": {"resources": {"pids": {"limit": 9}}}}"#;
        let seen = |unread| {
            let seen = crate::observe::config::observe(
                &Spec::parse(text).unwrap(),
                false,
                &BTreeSet::new(),
            );
            Observation { unread, ..seen }
        };
        let status = |seen: &Observation| {
            let added = r#"[{"rule": "pids.limit", "verdict": "added"}]"#;
            let material = Material {
                subject: Subject::default(),
                profile: ProfileName::Hardened.profile(),
                in_force: Some(ProfileName::Hardened),
                overrides: Overrides::default(),
                asked: None,
                effective: seen,
                recorded: None,
                decisions: Decision::list(serde_json::from_str(added).unwrap()).unwrap(),
                peers: Vec::new(),
                floor: RecordedFloor::default(),
                unread: Vec::new(),
            };
            let report = material.report(&[]);
            let control = report.controls.iter().find(|control| control.id == "pids.limit");
            let found = report.findings.iter().find(|finding| finding.control == "process.cgroup");
            (control.unwrap().status, found.map(|found| (found.level, found.message.clone())))
        };
        assert_eq!(status(&seen(Vec::new())), (Status::Enforced, None));
        let unread = Unread::of("process.cgroup", &["pids.limit"], &"read pids.max: EIO");
        let told = (Level::High, "cannot be read: read pids.max: EIO".to_owned());
        assert_eq!(status(&seen(vec![unread])), (Status::Unknown, Some(told)));
    }
}
