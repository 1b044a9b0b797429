//! Who runs with what on a host: one row a container, whichever runtime made it.

use crate::census::{self, Census, Member};
use crate::locate::called;
use crate::names::Called;
use crate::report::{Level, Report};
use crate::score::Score;
use crate::subject::{audit, of_foreign, Target};
use anyhow::Result;
use casemate_runtime::request::Global;
use casemate_runtime::state::StateRoot;
use casemate_runtime::ContainerId;
use serde::Serialize;
use std::path::PathBuf;

/// One container.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The engine; absent where it cannot be told, as for callers by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<&'static str>,
    /// What the engine calls it; absent where it has no name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its whole id.
    pub id: String,
    /// The runtime that made it.
    pub runtime: &'static str,
    /// The state root that it was found in.
    pub root: PathBuf,
    /// Its status, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Its first process, while it lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<i32>,
    /// The profile in force; absent for containers of other runtimes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<&'static str>,
    /// The overrides that it was given.
    pub overrides: Vec<String>,
    /// How many findings its audit has, notes left out; absent where it could not be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub findings: Option<usize>,
    /// How many of them say that something does not hold that should.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violations: Option<usize>,
    /// Level of the worst finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst: Option<Level>,
    /// How exposed it is, of 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Why it could not be looked at, or not wholly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// All of them.
#[derive(Clone, Debug, Serialize)]
pub struct Overview {
    /// One entry a container, root by root.
    pub containers: Vec<Row>,
    /// State roots and directories that could not be read; a line each.
    pub problems: Vec<String>,
}

impl Overview {
    /// How many rows are such.
    pub fn count(&self, is_such: impl Fn(&Row) -> bool) -> usize {
        self.containers.iter().filter(|row| is_such(row)).count()
    }

    /// Whether something could not be looked at, so that this is not all there is to say.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        !self.problems.is_empty() || self.count(|row| row.problem.is_some()) > 0
    }
}

/// Looks at every container below `roots`.
#[must_use]
pub fn of(global: &Global, roots: &[PathBuf]) -> Overview {
    let Census { members, problems } = census::take(roots);
    Overview {
        containers: members.iter().filter_map(|member| row(global, member)).collect(),
        problems,
    }
}

/// One container; `None`: it is only being made, or has gone meanwhile. What cannot be found out about it is told in its row: it
/// is a container all the same.
#[must_use]
pub fn row(global: &Global, member: &Member) -> Option<Row> {
    let mut problems = Vec::new();
    let mut told = |error: anyhow::Error| problems.push(format!("{error:#}"));
    let Called { engine, names } = called(member).unwrap_or_else(|error| {
        told(error);
        Called::default()
    });
    let overrides = match overrides(member) {
        Ok(Some(overrides)) => overrides,
        Ok(None) => return None,
        Err(error) => {
            told(error);
            Vec::new()
        }
    };
    let foreign = member.foreign.as_ref();
    let is_over = foreign.is_some_and(|found| found.pid.is_none());
    // Why there is none is told in the row.
    let report = if is_over { None } else { report(global, member).map_err(told).ok() };
    let subject = report.as_ref().map(|report| &report.subject);
    problems.dedup();
    Some(Row {
        engine,
        name: names.into_iter().next(),
        id: member.id.clone(),
        runtime: foreign.map_or("casemate", |found| found.runtime),
        root: member.root.clone(),
        status: match is_over {
            true => Some("stopped".to_owned()),
            false => subject.and_then(|subject| subject.status.clone()),
        },
        pid: subject.and_then(|subject| subject.pid),
        profile: report.as_ref().and_then(|report| report.profile),
        overrides,
        findings: report
            .as_ref()
            .map(|report| report.findings.iter().filter(|f| f.level > Level::Note).count()),
        violations: report.as_ref().map(Report::violations),
        worst: report.as_ref().and_then(|report| report.worst),
        score: report.as_ref().map(|report| Score::of(report).exposure),
        problem: (!problems.is_empty()).then(|| problems.join("; ")),
    })
}

fn report(global: &Global, member: &Member) -> Result<Report> {
    match &member.foreign {
        Some(found) => of_foreign(global, found, &[]),
        None => {
            let global = Global { root: member.root.clone(), ..global.clone() };
            audit(&global, &Target::Container(member.id.clone()), &[])
        }
    }
}

/// By their names: whose word they are `audit` tells. `None`: there is no container.
fn overrides(member: &Member) -> Result<Option<Vec<String>>> {
    if member.foreign.is_some() {
        return Ok(Some(Vec::new()));
    }
    let Some(state) = StateRoot::open(&member.root)?.find(&ContainerId::parse(&member.id)?)? else {
        return Ok(None);
    };
    let record = state.load()?;
    Ok(record.map(|record| record.spec.overrides().granted.keys().cloned().collect()))
}
