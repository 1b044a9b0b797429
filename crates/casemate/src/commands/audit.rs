//! `audit`: what is in force in a bundle, a container or a process, who decided, and what standards say to it.

mod line;
mod sarif;
mod text;

use super::style::{width, Style};
use super::{Context, Failure, Outcome};
use crate::cli::inspect::AuditArgs;
use crate::output;
use crate::request::{container_id, path};
use anyhow::{bail, Result};
use casemate_inspect::report::{Level, Report};
use casemate_inspect::standards::Standard;
use casemate_inspect::subject::{self, Target};
use casemate_runtime::request::Global;
use std::ffi::OsStr;

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
    let target = target(args, &context.global)?;
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

/// A word with a slash is a directory. Any other is a container if there is one of that name, else a directory.
fn target(args: &AuditArgs, global: &Global) -> Result<Target> {
    let config = path::optional(args.config.as_deref())?;
    if let Some(pid) = args.pid {
        if args.target.is_some() {
            bail!("--pid and a bundle or container cannot both be looked at");
        }
        return Ok(Target::Process(pid));
    }
    let word = args.target.as_deref().unwrap_or(OsStr::new("."));
    let text = word.to_string_lossy();
    // What is no id can be a directory.
    let id = container_id(&text).ok().filter(|_| config.is_none());
    let is_container = id.as_deref().map_or(Ok(false), |id| subject::is_container(global, id));
    if let (Ok(true), Some(id)) = (&is_container, id) {
        return Ok(Target::Container(id.into()));
    }
    let dir = path::directory(Some(word))?;
    if config.is_none() && !dir.join("config.json").exists() {
        is_container?;
        bail!("{text}: neither a container nor a directory with a config.json");
    }
    Ok(Target::Bundle(dir, config))
}
