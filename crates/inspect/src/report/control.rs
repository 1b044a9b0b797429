//! One control in a report.

use super::decision::Decision;
use super::finding::{Finding, Level};
use super::material::Material;
use crate::judge::{is_for_exec, judge, Judgement};
use crate::observe::Origin;
use crate::severity::severity;
use casemate_policy::{Control, Mode, ProfileName, Source};
use serde::Serialize;
use serde_json::Value;

/// What became of a control's aim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It holds, and the profile sees to it.
    Enforced,
    /// It holds because the configuration asks for it.
    Requested,
    /// It holds with exceptions that somebody allowed.
    Loosened,
    /// Somebody allowed that it does not.
    Overridden,
    /// It could not be put in force here.
    Waived,
    /// The control only warns.
    Warned,
    /// Nobody asks for it.
    Off,
    /// It is the reason for which the configuration is not run.
    Refused,
    /// It should hold and does not.
    Violated,
    /// It cannot be seen from here.
    Unknown,
}

/// One control, or something else that was looked at.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ControlReport {
    /// Its id.
    pub id: String,
    /// What it is about, in a line.
    pub summary: &'static str,
    /// Its mode; absent for what no control decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// What the configuration asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// What is in force.
    pub effective: String,
    /// What became of it.
    pub status: Status,
    /// Who decided.
    pub decided_by: String,
    /// Why, as recorded.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Where in `config.json`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// What it weighs when it does not hold.
    pub severity: Level,
    /// What overrides of it are called.
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    pub allow: &'static [&'static str],
    /// The profile in force leaves it off on purpose.
    #[serde(skip)]
    optional: bool,
    /// It changed, or would change, what the configuration asks for.
    #[serde(skip)]
    pub(crate) changed: bool,
    /// Overrides that would leave that alone, where they are known.
    #[serde(skip)]
    pub(crate) ways_around: Vec<String>,
    /// Where and why else it refuses the configuration.
    #[serde(skip)]
    refused_too: Vec<(String, String)>,
    /// Why it was not put in force is recorded.
    #[serde(skip)]
    gave_way: bool,
    /// Nothing outside shows it.
    #[serde(skip)]
    unseen: bool,
}

impl ControlReport {
    /// Whether the aim holds.
    pub fn holds(&self) -> Option<bool> {
        match self.status {
            Status::Enforced | Status::Requested | Status::Loosened => Some(true),
            Status::Unknown => None,
            _ => Some(false),
        }
    }

    /// Whether nothing shows it and nobody decided that it should not hold: then it says nothing about how exposed the container is.
    pub(crate) fn is_mute(&self) -> bool {
        let by_nobody = matches!(self.status, Status::Off | Status::Waived | Status::Warned);
        self.status == Status::Unknown || (self.unseen && by_nobody)
    }

    /// What a reader should know about it, if anything.
    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> + '_ {
        let others = self.refused_too.iter().map(|(pointer, reason)| Finding {
            level: self.severity,
            control: self.id.clone(),
            message: format!("refused: {reason}"),
            pointer: pointer.clone(),
        });
        self.finding().into_iter().chain(others)
    }

    /// In how many places it refuses the configuration.
    pub(super) fn refusals(&self) -> usize {
        usize::from(self.status == Status::Refused) + self.refused_too.len()
    }

    fn finding(&self) -> Option<Finding> {
        let level = match self.status {
            Status::Enforced | Status::Requested | Status::Unknown => return None,
            // Left out of the profile, and nothing to be seen of it.
            Status::Off if self.unseen => return None,
            Status::Loosened => Level::Low,
            Status::Violated => Level::High,
            Status::Off if self.optional => Level::Note,
            // The host has no such thing: `host-check` tells.
            Status::Waived if self.unseen => Level::Note,
            _ => self.severity,
        };
        Some(Finding {
            level,
            control: self.id.clone(),
            message: self.message(),
            pointer: self.pointer.clone(),
        })
    }

    fn message(&self) -> String {
        let what = &self.effective;
        match self.status {
            Status::Loosened => format!("exceptions by {}: {}", self.decided_by, self.reason),
            Status::Overridden => format!("{what}: allowed by {}", self.decided_by),
            Status::Waived if !self.gave_way => format!("{what} (wanted: {})", self.summary),
            // The reason mostly begins with what is.
            Status::Waived if self.reason.starts_with(what.as_str()) => self.reason.clone(),
            Status::Waived => format!("{what}: {}", self.reason),
            Status::Warned => format!("{what} (wanted: {}; this profile only warns)", self.summary),
            Status::Refused => format!("refused: {}", self.reason),
            Status::Violated => format!("is now {what}, and should not be ({})", self.summary),
            _ => format!("{what} (wanted: {})", self.summary),
        }
    }
}

/// A control of the table.
pub(super) fn of_control(material: &Material<'_>, row: &'static Control) -> ControlReport {
    let id = row.id.as_str();
    let mode = material.mode(row.id);
    let decisions: Vec<&Decision> =
        material.decisions.iter().filter(|decision| decision.rule == id).collect();
    // Of several that weigh the same the first.
    let weightiest = decisions.iter().rev().max_by_key(|decision| weight(&decision.verdict));
    let leading = weightiest.copied();
    let refused = decisions.iter().filter(|decision| decision.verdict == "refused").skip(1);
    let now = judge(id, material.effective, material.profile);
    let promised = material.recorded.and_then(|seen| judge(id, seen, material.profile));
    let unseen = now.as_ref().is_none_or(|judgement| judgement.holds.is_none());
    let status = if material.effective.is_unread(id) {
        // What was decided says nothing about what is, and that it cannot be read is a finding of its own.
        Status::Unknown
    } else if is_for_exec(row.id) && mode == Mode::Enforce {
        Status::Enforced
    } else if now.is_none() && mode == Mode::Off && leading.is_none() && material.in_force.is_some()
    {
        Status::Off
    } else {
        status(mode, material.effective.origin, now.as_ref(), promised.as_ref(), leading)
    };
    let asked = material.asked.and_then(|seen| judge(id, seen, material.profile));
    ControlReport {
        id: id.to_owned(),
        summary: row.summary,
        mode: material.in_force.map(|_| mode),
        asked: asked.map(|judgement| judgement.shown).or_else(|| before(leading)),
        effective: effective(
            // The configuration does not show it yet, the decision does.
            now.filter(|now| !(now.holds == Some(false) && status == Status::Enforced)),
            leading,
            is_for_exec(row.id),
            status == Status::Off,
        ),
        status,
        decided_by: decided_by(status, material, leading),
        reason: leading.map(|decision| decision.reason.clone()).unwrap_or_default(),
        pointer: leading.map(|decision| decision.pointer.clone()).unwrap_or_default(),
        severity: severity(id),
        allow: row.allow,
        optional: is_optional(material, id),
        changed: decisions.iter().any(|one| is_change(one)),
        ways_around: ways_around(&decisions),
        refused_too: refused.map(|one| (one.pointer.clone(), one.reason.clone())).collect(),
        gave_way: leading.is_some_and(|decision| decision.verdict == "waived"),
        unseen,
    }
}

fn is_change(decision: &Decision) -> bool {
    matches!(decision.verdict.as_str(), "tightened" | "added")
}

/// Of all its decisions, each name once.
fn ways_around(decisions: &[&Decision]) -> Vec<String> {
    let mut names: Vec<String> = decisions.iter().flat_map(|one| one.allow.clone()).collect();
    names.sort();
    names.dedup();
    names
}

/// Something that no control decides.
pub(super) fn of_observation(
    material: &Material<'_>,
    id: &'static str,
    summary: &'static str,
) -> ControlReport {
    let unseen = || Judgement { holds: None, shown: String::new() };
    let now = judge(id, material.effective, material.profile).unwrap_or_else(unseen);
    let promised = material.recorded.and_then(|seen| judge(id, seen, material.profile));
    let asked = material.asked.and_then(|seen| judge(id, seen, material.profile));
    // Every profile closes descriptors, privileged too: that is no control.
    let mode = match material.in_force {
        Some(_) if id == "process.descriptors" => Mode::Enforce,
        _ => Mode::Off,
    };
    let status = status(mode, material.effective.origin, Some(&now), promised.as_ref(), None);
    ControlReport {
        id: id.to_owned(),
        summary,
        mode: None,
        asked: asked.map(|judgement| judgement.shown),
        effective: now.shown,
        status,
        decided_by: decided_by(status, material, None),
        reason: String::new(),
        pointer: String::new(),
        severity: severity(id),
        allow: &[],
        optional: is_optional(material, id),
        changed: false,
        ways_around: Vec::new(),
        refused_too: Vec::new(),
        gave_way: false,
        unseen: false,
    }
}

/// A profile that hardens leaves what weighs little to the configuration.
fn is_optional(material: &Material<'_>, id: &str) -> bool {
    let hardens = material.in_force.is_some_and(|profile| profile != ProfileName::Privileged);
    hardens && severity(id) == Level::Low
}

/// Which of several decisions about one control counts.
fn weight(verdict: &str) -> u8 {
    match verdict {
        "refused" => 5,
        "waived" => 4,
        "warned" => 3,
        "tightened" => 2,
        "added" => 1,
        _ => 0,
    }
}

fn status(
    mode: Mode,
    origin: Origin,
    now: Option<&Judgement>,
    promised: Option<&Judgement>,
    decision: Option<&Decision>,
) -> Status {
    let verdict = decision.map_or("", |decision| decision.verdict.as_str());
    if verdict == "refused" {
        return Status::Refused;
    }
    let somebody = decision.is_some_and(|decision| decision.source != Source::Profile);
    match now.and_then(|judgement| judgement.holds) {
        Some(true) if verdict == "waived" && somebody => Status::Loosened,
        Some(true) if mode == Mode::Enforce => Status::Enforced,
        Some(true) => Status::Requested,
        Some(false) if verdict == "waived" && somebody => Status::Overridden,
        Some(false) if verdict == "waived" => Status::Waived,
        Some(false) if promised.is_some_and(|p| p.holds == Some(true)) => Status::Violated,
        Some(false) if verdict == "warned" => Status::Warned,
        Some(false) if mode == Mode::Off => Status::Off,
        Some(false) if mode == Mode::Warn => Status::Warned,
        // What the configuration does not show, such as ids that are not chosen yet, is as it was decided.
        Some(false) if origin == Origin::Config && took_effect(verdict) => Status::Enforced,
        Some(false) if promised.is_some() || origin == Origin::Config => Status::Waived,
        Some(false) => Status::Violated,
        None if verdict == "waived" && somebody => Status::Overridden,
        None if verdict == "waived" => Status::Waived,
        None if verdict == "warned" => Status::Warned,
        None if took_effect(verdict) => Status::Enforced,
        None => Status::Unknown,
    }
}

fn took_effect(verdict: &str) -> bool {
    matches!(verdict, "kept" | "tightened" | "added")
}

fn effective(
    now: Option<Judgement>,
    decision: Option<&Decision>,
    at_exec: bool,
    off: bool,
) -> String {
    match (now, decision) {
        (Some(judgement), _) => judgement.shown,
        (None, _) if at_exec => "looked at by each exec".to_owned(),
        (None, Some(decision)) if !decision.after.is_null() => brief(&decision.after),
        (None, Some(decision)) => decision.reason.clone(),
        (None, None) if off => "not in this profile".to_owned(),
        (None, None) => "not seen from here".to_owned(),
    }
}

fn before(decision: Option<&Decision>) -> Option<String> {
    let before = &decision?.before;
    (!before.is_null()).then(|| brief(before))
}

/// A value in a few words.
fn brief(value: &Value) -> String {
    const MOST: usize = 60;
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(brief).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    };
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn decided_by(status: Status, material: &Material<'_>, decision: Option<&Decision>) -> String {
    let profile = || format!("profile {}", material.in_force.unwrap_or(material.profile.name));
    match status {
        Status::Requested => "the configuration".to_owned(),
        Status::Off if material.in_force.is_some() => "nobody".to_owned(),
        Status::Off => "its engine".to_owned(),
        Status::Unknown => "-".to_owned(),
        Status::Violated => "somebody, after the start".to_owned(),
        Status::Enforced if decision.is_some_and(|d| d.verdict == "kept") => {
            "the configuration".to_owned()
        }
        _ => match decision.map(|decision| &decision.source) {
            None | Some(Source::Profile) => profile(),
            Some(other) => other.to_string(),
        },
    }
}
