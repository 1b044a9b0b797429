//! `audit`: what is in force in a bundle, a container or a process, who decided, and what standards say to it.

mod line;
mod sarif;
mod target;
mod text;

use super::style::{width, Style};
use super::{Context, Failure, Outcome};
use crate::cli::inspect::AuditArgs;
use crate::output;
use anyhow::{bail, Result};
use casemate_inspect::report::{Level, Report};
use casemate_inspect::standards::Standard;
use casemate_inspect::subject;

/// Exit status when there is a finding of the level that was named.
const FOUND: u8 = 2;

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
    let target = target::of(args, context)?;
    let report = subject::audit(&context.global, &target, &standards).map_err(Failure::from)?;
    match format {
        Format::Text => {
            let page = text::Page { style: Style::of_stdout(), width: width(), brief: args.brief };
            output::print(&text::render(&report, page))?
        }
        Format::Json => output::print_json(&report)?,
        Format::Sarif => output::print_json(&sarif::document(&report))?,
    };
    Ok(if reaches(&report, threshold) { FOUND } else { 0 })
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
