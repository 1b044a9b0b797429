//! `audit`: what is in force in a bundle, a container or a process, who decided, and what standards say to it.

mod all;
mod line;
mod sarif;
mod score;
mod target;
mod text;

use super::style::{width, Style};
use super::{Context, Failure, Outcome};
use crate::cli::inspect::AuditArgs;
use crate::output;
use anyhow::{anyhow, bail, Result};
use casemate_inspect::gone::Gone;
use casemate_inspect::overview::{self, Overview};
use casemate_inspect::report::{Level, Report};
use casemate_inspect::score::Score;
use casemate_inspect::standards::Standard;
use casemate_inspect::{roots, subject};
use serde::Serialize;
use target::Meant;

/// Exit status when there is a finding of the level that was named, or with `--all` something that should hold and does not.
const FOUND: u8 = 2;

/// Exit status when something could not be looked at.
const UNSEEN: u8 = 1;

enum Format {
    Text,
    Json,
    Sarif,
}

#[inline(never)]
pub(crate) fn execute(args: &AuditArgs, context: &mut Context<'_>) -> Outcome {
    let format = format(&args.format)?;
    let threshold = threshold(&args.fail_on)?;
    let standards = standards(&args.standard)?;
    if args.all {
        return all(args, &format, threshold, context);
    }
    let target = match target::of(args, context)? {
        Meant::Target(target) => target,
        // Nobody is to take that for a container without findings.
        Meant::Gone(gone) if threshold.is_some() => {
            return Err(anyhow!("{} has gone: {}", gone.past.id, gone.ended()).into())
        }
        Meant::Gone(gone) => return Ok(of_gone(&gone, &format)?),
    };
    let report = subject::audit(&context.global, &target, &standards).map_err(Failure::from)?;
    let score = args.score.then(|| Score::of(&report));
    match (format, score) {
        (Format::Text, Some(score)) => {
            output::print(&score::render(&report, &score, Style::of_stdout()))?
        }
        (Format::Json, score) => output::print_json(&Scored { report: &report, score })?,
        (Format::Text, None) => {
            let page = text::Page { style: Style::of_stdout(), width: width(), brief: args.brief };
            output::print(&text::render(&report, page))?
        }
        (Format::Sarif, _) => output::print_json(&sarif::document(&report))?,
    };
    Ok(if reaches(&report, threshold) { FOUND } else { 0 })
}

/// Of a container that has gone there is nothing to be seen any more, and what was decided is known.
fn of_gone(gone: &Gone, format: &Format) -> Result<u8> {
    match format {
        Format::Text => output::print(&super::explain::text::render(&gone.explained())),
        Format::Json => output::print_json(&gone.explained()),
        Format::Sarif => bail!("{} has gone: {}", gone.past.id, gone.ended()),
    }
}

/// A report, with its score where that was asked for.
#[derive(Serialize)]
struct Scored<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<Score>,
}

/// Every container of the host; of one state root where that was named.
fn all(
    args: &AuditArgs,
    format: &Format,
    threshold: Option<Level>,
    context: &Context<'_>,
) -> Outcome {
    if args.target.is_some() || args.pid.is_some() || args.config.is_some() {
        return Err(anyhow!("--all looks at every container: name no other").into());
    }
    let roots = match context.global.root_is_explicit {
        true => vec![context.global.root.clone()],
        false => roots::everywhere(&context.global),
    };
    let overview = overview::of(&context.global, &roots);
    match format {
        Format::Text => output::print(&all::render(&overview, Style::of_stdout()))?,
        Format::Json => output::print_json(&overview)?,
        Format::Sarif => return Err(anyhow!("--all has no sarif\nhint: one of text, json").into()),
    };
    Ok(status(&overview, threshold))
}

/// What is wrong counts more than what nobody could see.
fn status(overview: &Overview, threshold: Option<Level>) -> u8 {
    let is_reached = |worst: Option<Level>| threshold.is_some_and(|least| worst >= Some(least));
    match overview.count(|row| row.violations > Some(0) || is_reached(row.worst)) {
        1.. => FOUND,
        0 if overview.is_partial() => UNSEEN,
        0 => 0,
    }
}

fn format(name: &str) -> Result<Format> {
    Ok(match name {
        "text" | "" => Format::Text,
        "json" => Format::Json,
        "sarif" => Format::Sarif,
        _ => bail!("invalid format option\nhint: one of text, json, sarif"),
    })
}

/// The lowest level that counts; `None`: none does.
fn threshold(name: &str) -> Result<Option<Level>> {
    Ok(match name {
        "none" | "" => None,
        "any" => Some(Level::Note),
        other => match Level::named(other) {
            Some(level) => Some(level),
            None => bail!("invalid level {other:?}\nhint: one of none, any, low, medium, high"),
        },
    })
}

fn reaches(report: &Report, threshold: Option<Level>) -> bool {
    threshold.is_some_and(|threshold| report.worst.is_some_and(|worst| worst >= threshold))
}

fn standards(names: &[String]) -> Result<Vec<&'static Standard>> {
    let mut chosen = Vec::new();
    for name in names.iter().flat_map(|list| list.split(',')) {
        if name == "all" {
            return Ok(Standard::all().iter().collect());
        }
        let Some(standard) = Standard::named(name) else {
            let known: Vec<&str> = Standard::names().collect();
            bail!("unknown standard {name:?}\nhint: one of {}, or all", known.join(", "));
        };
        chosen.push(standard);
    }
    Ok(chosen)
}
