//! What would change if casemate ran a container of another runtime.

use super::state::Found;
use crate::judge::judge;
use crate::observe::process;
use crate::report::{ControlReport, Report, Status, Subject};
use crate::subject::{self, kernel_paths, Target};
use anyhow::{Context as _, Result};
use casemate_runtime::hinted::hinted;
use casemate_runtime::procfs;
use casemate_runtime::request::Global;
use serde::Serialize;

/// What becomes of a control's aim when casemate runs the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Nothing changes.
    Same,
    /// It would hold, and does not now.
    Tighter,
    /// It holds now, and would not.
    Looser,
    /// casemate would not run the container as it is.
    Refused,
    /// It cannot be told.
    Unknown,
}

/// One control of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its id.
    pub control: String,
    /// What it is about.
    pub summary: &'static str,
    /// How it is now; absent when the container does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// How it would be.
    pub then: String,
    /// What that means.
    pub change: Change,
    /// Why, as decided.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Overrides that keep it as it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow: Vec<String>,
}

/// A container of another runtime beside what casemate would make of it.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The container.
    pub subject: Subject,
    /// The profile that casemate would take.
    pub profile: Option<&'static str>,
    /// One entry for each control.
    pub rows: Vec<Row>,
    /// All of it in one line.
    pub verdict: String,
}

/// Compares.
///
/// # Errors
/// The bundle is gone, or cannot be read.
pub fn compare(global: &Global, found: &Found) -> Result<Comparison> {
    let Some(bundle) = &found.bundle else {
        return Err(hinted(
            format!("the state of {} does not say where its bundle is", found.id),
            "'casemate audit --pid' tells how it is now",
        ));
    };
    let then = subject::audit(global, &Target::Bundle(bundle.clone(), None), &[])
        .with_context(|| format!("bundle of {}", found.id))?;
    let rows = rows(global, found, &then)?;
    let subject = Subject {
        kind: "container",
        id: Some(found.id.clone()),
        bundle: Some(bundle.display().to_string()),
        config: Some(bundle.join("config.json").display().to_string()),
        pid: found.pid,
        status: Some(if found.pid.is_some() { "running" } else { "stopped" }.to_owned()),
        runtime: Some(found.runtime),
    };
    let verdict = verdict(&rows);
    Ok(Comparison { subject, profile: then.profile, rows, verdict })
}

fn rows(global: &Global, found: &Found, then: &Report) -> Result<Vec<Row>> {
    let name = then.profile.map(casemate_policy::ProfileName::parse).transpose()?;
    let profile = subject::values(global, name.unwrap_or(casemate_policy::ProfileName::DEFAULT))?;
    let proc = procfs::open()?;
    let now =
        found.pid.map(|pid| process::observe(&proc, pid, &kernel_paths(profile))).transpose()?;
    let row = |control: &ControlReport| {
        let now = now.as_ref().and_then(|seen| judge(&control.id, seen, profile));
        // What the kernel does not show, and all of a container that does not run, is as it was asked for.
        let shown = now.as_ref().filter(|now| now.holds.is_some()).map(|now| now.shown.clone());
        let shown = shown.or_else(|| control.asked.clone());
        Row {
            control: control.id.clone(),
            summary: control.summary,
            change: change(control, now.and_then(|now| now.holds), shown.as_deref()),
            now: shown,
            then: control.effective.clone(),
            reason: control.reason.clone(),
            allow: control.ways_around.clone(),
        }
    };
    Ok(then.controls.iter().map(row).collect())
}

fn change(control: &ControlReport, now: Option<bool>, shown: Option<&str>) -> Change {
    if control.status == Status::Refused {
        return Change::Refused;
    }
    match (now, control.holds()) {
        _ if shown == Some(control.effective.as_str()) => Change::Same,
        (Some(false), Some(true)) => Change::Tighter,
        (Some(true), Some(false)) => Change::Looser,
        // It holds and would hold better: a second filter, a place more to write to.
        (Some(true), Some(true)) if control.changed => Change::Tighter,
        (Some(_), Some(_)) => Change::Same,
        (None, Some(true)) if shown.is_some() => Change::Tighter,
        _ => Change::Unknown,
    }
}

fn verdict(rows: &[Row]) -> String {
    let count = |change| rows.iter().filter(|row| row.change == change).count();
    match (count(Change::Refused), count(Change::Tighter)) {
        (0, 0) => "Nothing would change.".to_owned(),
        (0, n) => format!("It would run, with {n} controls tighter than now."),
        (n, _) => format!("It would not run as it is: {n} to decide about first."),
    }
}
