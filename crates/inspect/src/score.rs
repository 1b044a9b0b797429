//! How exposed a container is, as one number with its terms, as `systemd-analyze security` has it for services.
//!
//! The terms are the controls of the report, and their weights those of the controls' severities: there is no second list. A control
//! that does not hold counts whoever decided that, a profile, an override or nobody: so containers of all profiles and runtimes compare.

use crate::report::{ControlReport, Level, Report, Status};
use serde::Serialize;

/// What a control weighs by how much is within reach when it does not hold.
const fn weight(level: Level) -> u32 {
    match level {
        Level::High => 10,
        Level::Medium => 4,
        Level::Low => 1,
        Level::Note => 0,
    }
}

/// One control.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    /// Its id.
    pub control: String,
    /// What it is about.
    pub what: &'static str,
    /// What it weighs.
    pub weight: u32,
    /// How much of that counts against the container: all, or what its exceptions weigh.
    pub exposed: u32,
    /// Whether the aim holds; absent where it cannot be seen, and then it counts neither way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
    /// What is in force.
    pub effective: String,
}

/// The number and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// From 0, nothing is exposed, to 10, everything is; one decimal.
    pub exposure: f64,
    /// The same as a word.
    pub word: &'static str,
    /// One for each control, what counts most against the container first.
    pub terms: Vec<Term>,
}

impl Score {
    /// The score of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let mut terms: Vec<Term> = report.controls.iter().map(term).collect();
        terms.sort_by_key(|term| {
            (std::cmp::Reverse((term.exposed, term.weight)), term.control.clone())
        });
        let seen = || terms.iter().filter(|term| term.met.is_some());
        let exposed: u32 = seen().map(|term| term.exposed).sum();
        let all: u32 = seen().map(|term| term.weight).sum();
        let exposure = f64::from(exposed) * 10.0 / f64::from(all.max(1));
        let exposure = (exposure * 10.0).round() / 10.0;
        Self { exposure, word: word(exposure), terms }
    }
}

fn term(control: &ControlReport) -> Term {
    let weight_of = weight(control.severity);
    let met = control.holds().filter(|_| !control.is_mute());
    Term {
        control: control.id.clone(),
        what: control.summary,
        weight: weight_of,
        exposed: match (met, control.status) {
            (Some(true), Status::Loosened) => weight(Level::Low).min(weight_of),
            (Some(false), _) => weight_of,
            _ => 0,
        },
        met,
        effective: control.effective.clone(),
    }
}

fn word(exposure: f64) -> &'static str {
    match exposure {
        n if n < 1.0 => "tight",
        n if n < 3.0 => "fair",
        n if n < 5.0 => "medium",
        n if n < 7.5 => "exposed",
        _ => "open",
    }
}
