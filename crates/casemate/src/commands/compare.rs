//! `compare`: a container of another runtime, and what would change if casemate ran it.

use super::style::{clean, width, wrap, Style, Tone};
use super::{Context, Outcome};
use crate::cli::inspect::CompareArgs;
use crate::output;
use crate::request::path;
use anyhow::anyhow;
use casemate_inspect::foreign::{compare, find, Change, Comparison, Row};
use std::path::PathBuf;

#[inline(never)]
pub(crate) fn execute(args: &CompareArgs, context: &mut Context<'_>) -> Outcome {
    let as_json = match args.format.as_str() {
        "json" => true,
        "text" | "" => false,
        _ => return Err(anyhow!("invalid format option\nhint: one of text, json").into()),
    };
    let roots: Vec<PathBuf> =
        args.runtime_root.iter().map(path::absolute).collect::<anyhow::Result<_>>()?;
    let comparison = compare(&context.global, &find(&args.id, &roots)?)?;
    if as_json {
        return Ok(output::print_json(&comparison)?);
    }
    Ok(output::print(&render(&comparison, Style::of_stdout(), width()))?)
}

fn render(comparison: &Comparison, style: Style, width: usize) -> String {
    let subject = &comparison.subject;
    let title = format!(
        "{} of {}",
        subject.id.as_deref().unwrap_or_default(),
        subject.runtime.unwrap_or("another runtime")
    );
    let mut text = format!(
        "{}: {}{}\ncompared with casemate, profile {}\n",
        style.paint(Tone::Strong, &clean(&title)),
        subject.status.as_deref().unwrap_or_default(),
        subject.pid.map(|pid| format!(", pid {pid}")).unwrap_or_default(),
        comparison.profile.unwrap_or_default()
    );
    let groups = [
        (Change::Refused, "Would not run because of"),
        (Change::Tighter, "Would be tighter"),
        (Change::Looser, "Would be looser"),
        (Change::Unknown, "Cannot be told"),
        (Change::Same, "Stays as it is"),
    ];
    for (change, heading) in groups {
        let rows: Vec<&Row> = comparison.rows.iter().filter(|row| row.change == change).collect();
        if !rows.is_empty() {
            text.push_str(&format!("\n{}\n", style.paint(tone(change), heading)));
            rows.iter().for_each(|row| text.push_str(&line(row, style, width)));
        }
    }
    text.push_str(&format!("\n{}\n", comparison.verdict));
    text
}

fn tone(change: Change) -> Tone {
    match change {
        Change::Refused | Change::Looser => Tone::Bad,
        Change::Tighter => Tone::Good,
        Change::Unknown => Tone::Note,
        Change::Same => Tone::Dim,
    }
}

fn line(row: &Row, style: Style, width: usize) -> String {
    const INDENT: usize = 32;
    let joint = format!("\n{}", " ".repeat(INDENT));
    let room = width.saturating_sub(INDENT).max(30);
    let now = row.now.as_deref().unwrap_or("not seen");
    let what = match row.change {
        Change::Same | Change::Unknown => row.then.clone(),
        Change::Refused => row.reason.clone(),
        _ => format!("{now} -> {}", row.then),
    };
    let mut text = format!("  {:<30}{}\n", row.control, wrap(&clean(&what), room).join(&joint));
    if row.change == Change::Tighter && !row.allow.is_empty() {
        let keep = format!("to keep it as it is: {}", row.allow.join(" or "));
        let lines = wrap(&keep, room).join(&joint);
        text.push_str(&format!("{}{}\n", " ".repeat(INDENT), style.paint(Tone::Dim, &lines)));
    }
    text
}
