//! `audit`: what is in force in a bundle, a container or a process, who decided, and what standards say to it.

mod all;
mod line;
mod sarif;
mod score;
mod target;
mod text;

use super::format::{text_json_or_sarif, Format};
use super::style::{width, Style};
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::output;
use anyhow::{anyhow, bail, Result};
use casemate_inspect::gone::Gone;
use casemate_inspect::overview::{self, Overview};
use casemate_inspect::report::{Level, Report};
use casemate_inspect::score::Score;
use casemate_inspect::standards::Standard;
use casemate_inspect::{roots, subject};
use casemate_runtime::hinted::hinted;
use casemate_runtime::request::path;
use serde::Serialize;
use std::ffi::OsString;
use std::path::PathBuf;
use target::Meant;

/// Exit status when there is a finding of the level that was named, or with `--all` something that should hold and does not.
const FOUND: u8 = 2;

/// Exit status when something could not be looked at.
const UNSEEN: u8 = 1;

pub(super) const VERB: Verb = Verb::of::<Audit>(
    "audit",
    Group::Inspect,
    "Show which controls are in force for a bundle or a container, and who decided",
    Arity::Between(0, 1),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate audit web                               a container, as the kernel has it now
  casemate audit ./bundle --standard cis           a bundle, before it is started
  casemate audit --all                             all containers of this host
  casemate audit --score web                       how exposed it is, from 0 to 10
  casemate --profile restricted audit ./bundle --fail-on high
  casemate audit --pid 4711                        any process
  casemate audit ./bundle --format sarif > casemate.sarif

The exit status is 0, 1 if the audit was not possible, or 2 with --fail-on and a finding of that
level; with --all also 2 if a control does not hold. An override is a finding: it is shown with
who allowed it.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Audit {
    /// text, json or sarif
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = text_json_or_sarif)]
    format: Format,

    /// Also check the items of a standard: pss, cis, scc, 800-190, 8176, srg, or all; may be
    /// repeated
    #[arg(short, long, value_name = "NAME")]
    standard: Vec<String>,

    /// Show only findings and unmet items of standards in the text
    #[arg(long)]
    brief: bool,

    /// Show one line for each container of this host, for all engines and runtimes, and the totals;
    /// with --root, only for that state directory
    #[arg(short, long)]
    all: bool,

    /// Show how exposed it is, as a number from 0 to 10, with each term
    #[arg(long)]
    score: bool,

    /// Exit with status 2 if there is a finding of this level or above: high, medium, low or any
    #[arg(long, value_name = "LEVEL", default_value = "none")]
    fail_on: String,

    /// With a bundle: read this file instead of its config.json
    #[arg(short, long, value_name = "FILE", value_parser = path::file())]
    config: Option<PathBuf>,

    /// Inspect this process, no matter who created it, instead of a bundle or a container
    #[arg(short, long, value_name = "PID")]
    pid: Option<i32>,

    /// A directory with a config.json, or a container: its id, the beginning of its id, or its name
    /// in the engine [default: the working directory]
    #[arg(value_name = "BUNDLE|CONTAINER")]
    target: Option<OsString>,
}

impl Execute for Audit {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let threshold = threshold(&self.fail_on)?;
        let standards = standards(&self.standard)?;
        if self.all {
            return all(&self, threshold, context);
        }
        let target = match target::of(&self, context)? {
            Meant::Target(target) => target,
            // Nobody is to take that for a container without findings.
            Meant::Gone(gone) if threshold.is_some() => {
                return Err(anyhow!("{} has gone: {}", gone.past.id, gone.ended()))
            }
            Meant::Gone(gone) => return of_gone(&gone, self.format),
        };
        let report = subject::audit(&context.global, &target, &standards)?;
        let score = self.score.then(|| Score::of(&report));
        match (self.format, score) {
            (Format::Text, Some(score)) => {
                output::print(&score::render(&report, &score, Style::of_stdout()))?
            }
            (Format::Json, score) => output::print_json(&Scored { report: &report, score })?,
            (Format::Text, None) => {
                let page =
                    text::Page { style: Style::of_stdout(), width: width(), brief: self.brief };
                output::print(&text::render(&report, page))?
            }
            (Format::Sarif, _) => output::print_json(&sarif::document(&report))?,
        };
        Ok(if reaches(&report, threshold) { FOUND } else { 0 })
    }
}

/// Of a container that has gone there is nothing to be seen any more, and what was decided is known.
fn of_gone(gone: &Gone, format: Format) -> Result<u8> {
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
fn all(args: &Audit, threshold: Option<Level>, context: &Context<'_>) -> Outcome {
    if args.target.is_some() || args.pid.is_some() || args.config.is_some() {
        return Err(anyhow!("--all looks at every container: name no other"));
    }
    let roots = match context.global.root_is_explicit {
        true => vec![context.global.root.clone()],
        false => roots::everywhere(&context.global),
    };
    let overview = overview::of(&context.global, &roots);
    match args.format {
        Format::Text => output::print(&all::render(&overview, Style::of_stdout()))?,
        Format::Json => output::print_json(&overview)?,
        Format::Sarif => return Err(hinted("--all has no sarif", "one of text, json")),
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

/// The lowest level that counts; `None`: none does.
fn threshold(name: &str) -> Result<Option<Level>> {
    Ok(match name {
        "none" | "" => None,
        "any" => Some(Level::Note),
        other => match Level::named(other) {
            Some(level) => Some(level),
            None => {
                let message = format!("invalid level {other:?}");
                return Err(hinted(message, "one of none, any, low, medium, high"));
            }
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
            let message = format!("unknown standard {name:?}");
            return Err(hinted(message, format!("one of {}, or all", known.join(", "))));
        };
        chosen.push(standard);
    }
    Ok(chosen)
}
