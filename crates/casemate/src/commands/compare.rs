//! `compare`: a container of another runtime, and what would change if casemate ran it.

use super::format::{text_or_json, Format};
use super::style::{clean, width, wrap, Style, Tone};
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::output;
use casemate_inspect::foreign::{compare, find, Change, Comparison, Row};
use casemate_runtime::request::path;
use std::path::PathBuf;

pub(super) const VERB: Verb = Verb::of::<Compare>(
    "compare",
    Group::Inspect,
    "Show what would change for a container of runc or crun",
    Arity::Exactly(1),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate compare 4f5c0ad1
  casemate --profile restricted compare --runtime-root /run/crun web

This changes neither the container nor the other runtime's files.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Compare {
    /// State directory of the other runtime; may be repeated [default: those of runc, crun, docker
    /// and containerd]
    #[arg(short, long, value_name = "DIR", value_parser = path::file())]
    runtime_root: Vec<PathBuf>,

    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = text_or_json)]
    format: Format,

    /// Id of a container of runc, crun or youki, or the beginning of its id
    #[arg(value_name = "ID")]
    id: String,
}

impl Execute for Compare {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let comparison = compare(&context.global, &find(&self.id, &self.runtime_root)?)?;
        if self.format == Format::Json {
            return output::print_json(&comparison);
        }
        output::print(&render(&comparison, Style::of_stdout(), width()))
    }
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
