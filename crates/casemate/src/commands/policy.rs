//! `policy`: the node's policy for people: what is in force, and whether a file can be used.

use super::style::clean;
use super::{Context, Outcome};
use crate::cli::policy::PolicyArgs;
use crate::request::path;
use crate::{backend, output};
use anyhow::anyhow;
use casemate_inspect::simulate::{self, simulate, Simulation};
use casemate_runtime::ops::PolicyReport;
use std::ffi::OsStr;
use std::path::PathBuf;

#[inline(never)]
pub(crate) fn execute(args: &PolicyArgs, context: &mut Context<'_>) -> Outcome {
    let as_json = match args.format.as_str() {
        "json" => true,
        "text" | "" => false,
        _ => return Err(anyhow!("invalid format option\nhint: one of text, json").into()),
    };
    let check = match (args.action.as_str(), &args.subject) {
        ("permit", Some(name)) => return permitted(name, context),
        ("permit", None) => {
            let message =
                "policy permit takes the name of an override\nhint: policy show lists them";
            return Err(anyhow!(message).into());
        }
        ("simulate", None) => return simulated(args, as_json, context),
        ("simulate", Some(_)) => {
            let message = "policy simulate takes no file: it asks the policy that is in force";
            return Err(anyhow!(message).into());
        }
        ("check", _) => true,
        ("show", None) => false,
        ("show", Some(_)) => {
            let message = "policy show takes no file\nhint: casemate policy check FILE reads one";
            return Err(anyhow!(message).into());
        }
        (other, _) => {
            let message =
                format!("unknown action {other:?}\nhint: one of show, check, permit, simulate");
            return Err(anyhow!(message).into());
        }
    };
    let file = path::optional(args.subject.as_deref())?;
    let report = backend::policy(&context.global, file.as_deref())?;
    if as_json {
        return Ok(output::print_json(&report)?);
    }
    Ok(output::print(&if check { checked(&report) } else { shown(&report) })?)
}

fn permitted(name: &OsStr, context: &mut Context<'_>) -> Outcome {
    let name = name.to_str().ok_or_else(|| anyhow!("override {name:?} is unknown"))?;
    let files = backend::permit(&context.global, name)?;
    let line = |(file, name): (&PathBuf, &str)| {
        format!("{}: annotations may ask for {name} on this node\n", file.display())
    };
    let lines: String = files.iter().zip(name.split(',')).map(line).collect();
    Ok(output::print(&lines)?)
}

/// Exit status when a running container would be refused.
const REFUSED: u8 = 1;

fn simulated(args: &PolicyArgs, as_json: bool, context: &mut Context<'_>) -> Outcome {
    let roots: Vec<PathBuf> =
        args.runtime_root.iter().map(path::absolute).collect::<anyhow::Result<_>>()?;
    let simulation = simulate(&context.global, &roots)?;
    if as_json {
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
