//! `policy`: the node's policy for people: what is in force, and whether a file can be used.

use super::format::{text_or_json, Format};
use super::style::clean;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::{backend, output};
use anyhow::anyhow;
use casemate_inspect::simulate::{self, simulate, Simulation};
use casemate_runtime::hinted::hinted;
use casemate_runtime::ops::PolicyReport;
use casemate_runtime::request::path;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

pub(super) const VERB: Verb = Verb::of::<Policy>(
    "policy",
    Group::Bundle,
    "Show the node's policy and the controls, check or add policy files",
    Arity::Between(1, 2),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate policy show                     profile, controls, overrides that may be asked for
  casemate policy check                    the node's files, and who may write them
  casemate policy check ./policy.toml      a file before you install it
  casemate policy permit devices.gpu       annotations may ask for it: policy.d/50-devices.gpu.toml
  casemate policy simulate                 before an update: effects on running containers

The exit status of simulate is 1 if a running container would be refused.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Policy {
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = text_or_json)]
    format: Format,

    /// simulate: state directory to search; may be repeated [default: those of casemate, runc,
    /// crun, docker, containerd and rootless engines]
    #[arg(short, long, value_name = "DIR", value_parser = path::file())]
    runtime_root: Vec<PathBuf>,

    /// show: what applies on this node; check: read files and say whether they can be used; permit:
    /// let annotations ask for one more override; simulate: which running containers would be
    /// refused or changed before they are started again
    #[arg(value_name = "show|check|permit|simulate")]
    action: String,

    /// check: the file to read instead of the node's own; permit: the override's name, or several
    /// with commas
    #[arg(value_name = "FILE|NAME")]
    subject: Option<OsString>,
}

impl Execute for Policy {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let check = match (self.action.as_str(), &self.subject) {
            ("permit", Some(name)) => return permitted(name, context),
            ("permit", None) => {
                let message = "policy permit takes the name of an override";
                return Err(hinted(message, "policy show lists them"));
            }
            ("simulate", None) => return simulated(&self, context),
            ("simulate", Some(_)) => {
                let message = "policy simulate takes no file: it asks the policy that is in force";
                return Err(anyhow!(message));
            }
            ("check", _) => true,
            ("show", None) => false,
            ("show", Some(_)) => {
                let hint = "casemate policy check FILE reads one";
                return Err(hinted("policy show takes no file", hint));
            }
            (other, _) => {
                let message = format!("unknown action {other:?}");
                return Err(hinted(message, "one of show, check, permit, simulate"));
            }
        };
        let file = self.subject.as_ref().map(path::absolute).transpose()?;
        let report = backend::policy(&context.global, file.as_deref())?;
        if self.format == Format::Json {
            return output::print_json(&report);
        }
        output::print(&if check { checked(&report) } else { shown(&report) })
    }
}

fn permitted(name: &OsStr, context: &mut Context<'_>) -> Outcome {
    let name = name.to_str().ok_or_else(|| anyhow!("override {name:?} is unknown"))?;
    let files = backend::permit(&context.global, name)?;
    let line = |(file, name): (&PathBuf, &str)| {
        format!("{}: annotations may ask for {name} on this node\n", file.display())
    };
    let lines: String = files.iter().zip(name.split(',')).map(line).collect();
    output::print(&lines)
}

/// Exit status when a running container would be refused.
const REFUSED: u8 = 1;

fn simulated(args: &Policy, context: &mut Context<'_>) -> Outcome {
    let simulation = simulate(&context.global, &args.runtime_root)?;
    if args.format == Format::Json {
        output::print_json(&simulation)?;
    } else {
        output::print(&listed(&simulation))?;
    }
    Ok(if simulation.count(simulate::Outcome::Refused) > 0 { REFUSED } else { 0 })
}

fn listed(simulation: &Simulation) -> String {
    let count = |outcome| simulation.count(outcome);
    let mut text = format!(
        "{} running: {} would be refused, {} changed, {} as it is, {} cannot be told\n",
        simulation.containers.len(),
        count(simulate::Outcome::Refused),
        count(simulate::Outcome::Changed),
        count(simulate::Outcome::Same),
        count(simulate::Outcome::Unknown)
    );
    for one in &simulation.containers {
        let word = match one.outcome {
            simulate::Outcome::Refused => "REFUSED",
            simulate::Outcome::Changed => "changed",
            simulate::Outcome::Unknown => "unknown",
            simulate::Outcome::Same => "same",
        };
        let (id, root) = (clean(&one.id), clean(&one.root.display().to_string()));
        text.push_str(&format!("\n{word:<8} {id}  {} in {root}, pid {}\n", one.runtime, one.pid));
        for difference in &one.differences {
            let (control, verdict) = (&difference.control, &difference.verdict);
            let reason = clean(&difference.reason);
            text.push_str(&format!("  {verdict:<9} {:<28} {reason}\n", clean(control)));
        }
    }
    for problem in &simulation.problems {
        text.push_str(&format!("\ncould not be read: {}\n", clean(problem)));
    }
    text
}

fn checked(report: &PolicyReport) -> String {
    match report.files.as_slice() {
        [] => "no policy files: the built-in policy applies\n".to_owned(),
        files => {
            let files = files.iter().map(|file| format!("{file}: ok\n"));
            files.chain(report.notes.iter().map(|note| format!("note: {note}\n"))).collect()
        }
    }
}

fn shown(report: &PolicyReport) -> String {
    let files = match report.files.as_slice() {
        [] => "none, the built-in policy".to_owned(),
        files => files.join(", "),
    };
    let mut text = format!("Profile {}\nFiles   {files}\n\nControls\n", report.profile);
    for row in &report.controls {
        let (control, mode, summary) = (row.control, row.mode, row.summary);
        text.push_str(&format!("  {mode:<8} {control:<28} {summary}\n"));
        if !row.allow.is_empty() {
            text.push_str(&format!("  {:<8} {:<28} override: {}\n", "", "", row.allow.join(", ")));
        }
    }
    text.push_str("\nOverrides that callers may ask for by annotation\n");
    if report.permitted.is_empty() {
        text.push_str("  none\n");
    }
    for (name, by) in &report.permitted {
        text.push_str(&format!("  {name:<37} {by}\n"));
    }
    if !report.forbidden.is_empty() {
        text.push_str("\nForbidden to all\n");
    }
    for (name, by) in &report.forbidden {
        text.push_str(&format!("  {name:<37} {by}\n"));
    }
    if !report.rules.is_empty() {
        text.push_str("\nRules for some containers\n");
    }
    for (place, matches) in &report.rules {
        text.push_str(&format!("  {place}: {matches}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("\nnote: {note}\n"));
    }
    text
}
