//! `host-check`: what this host can enforce, and whether engines are set up to use casemate.

use super::format::{text_or_json, Format};
use super::style::{clean, width, wrap, Style, Tone};
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::output;
use casemate_inspect::engine::Engine;
use casemate_inspect::host::{self, Check, Host, Status};
use casemate_runtime::hinted::hinted;
use casemate_runtime::request::path;
use serde::Serialize;
use std::path::PathBuf;

/// Exit status when something is missing.
const INCOMPLETE: u8 = 1;

/// What is printed as JSON.
#[derive(Serialize)]
struct Report {
    /// The worst status of all checks.
    status: Status,
    host: Vec<Check>,
    engines: Vec<EngineReport>,
}

#[derive(Serialize)]
struct EngineReport {
    engine: String,
    status: Status,
    checks: Vec<Check>,
}

pub(super) const VERB: Verb = Verb::of::<HostCheck>(
    "host-check",
    Group::Bundle,
    "Check what this host can enforce, and whether an engine is set up to use casemate",
    Arity::Exactly(0),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate host-check
  casemate host-check --engine podman --engine docker

The exit status is 1 if something is missing without which containers, or the engine's containers,
cannot run. Nothing is changed.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct HostCheck {
    /// Also check whether this engine is configured to use casemate:
    /// podman, docker, containerd, crio or kubernetes; may be repeated
    #[arg(short, long, value_name = "NAME")]
    engine: Vec<String>,

    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = text_or_json)]
    format: Format,

    /// Read the host's files below this directory
    #[arg(long, value_name = "DIR", hide = true, value_parser = path::file())]
    host_root: Option<PathBuf>,
}

impl Execute for HostCheck {
    fn execute(self, _: &mut Context<'_>) -> Outcome {
        let engines =
            self.engine.iter().map(|name| engine(name)).collect::<anyhow::Result<Vec<_>>>()?;
        let root = self.host_root.unwrap_or_else(|| PathBuf::from("/"));
        let report = look(&Host::at(root), engines);
        if self.format == Format::Json {
            output::print_json(&report)?;
        } else {
            output::print(&render(&report, Style::of_stdout(), width()))?;
        }
        Ok(if report.status == Status::Missing { INCOMPLETE } else { 0 })
    }
}

fn engine(name: &str) -> anyhow::Result<(String, Engine)> {
    let Some(engine) = Engine::named(name) else {
        let known: Vec<&str> = Engine::ALL.iter().map(|(name, _)| *name).collect();
        let message = format!("unknown engine {name:?}");
        return Err(hinted(message, format!("one of {}", known.join(", "))));
    };
    Ok((name.to_owned(), engine))
}

fn look(host: &Host, engines: Vec<(String, Engine)>) -> Report {
    let on_host = host::check(host);
    let engines: Vec<EngineReport> = engines
        .into_iter()
        .map(|(name, engine)| {
            let checks = engine.check(host);
            EngineReport { engine: name, status: worst(&checks), checks }
        })
        .collect();
    let status = engines.iter().map(|engine| engine.status).chain([worst(&on_host)]).max();
    Report { status: status.unwrap_or(Status::Ok), host: on_host, engines }
}

fn worst(checks: &[Check]) -> Status {
    checks.iter().map(|check| check.status).max().unwrap_or(Status::Ok)
}

fn render(report: &Report, style: Style, width: usize) -> String {
    let mut text = section("This host", &report.host, style, width);
    for engine in &report.engines {
        text.push('\n');
        text.push_str(&section(&engine.engine, &engine.checks, style, width));
    }
    text.push('\n');
    text.push_str(&verdict(report, style));
    text
}

fn section(title: &str, checks: &[Check], style: Style, width: usize) -> String {
    let names = checks.iter().map(|check| check.id.chars().count()).max().unwrap_or(0);
    let mut text = format!("{}\n", style.paint(Tone::Strong, title));
    for check in checks {
        let (word, tone) = shown(check.status);
        let head = format!("  {} {:<names$}  ", style.padded(tone, word, 7), check.id);
        let indent = 12 + names;
        let found = wrap(&clean(&check.found), width.saturating_sub(indent).max(30));
        text.push_str(&head);
        text.push_str(&found.join(&format!("\n{}", " ".repeat(indent))));
        text.push('\n');
        let mut below = |label: &str, content: &str| {
            let lines = wrap(&clean(content), width.saturating_sub(indent + label.len()).max(30));
            let joint = format!("\n{}", " ".repeat(indent + label.len()));
            let line = format!("{}{label}{}", " ".repeat(indent), lines.join(&joint));
            text.push_str(&style.paint(Tone::Dim, &line));
            text.push('\n');
        };
        if check.status >= Status::Warning && !check.needed_for.is_empty() {
            below("for: ", check.needed_for);
        }
        if let Some(fix) = &check.fix {
            below(if check.status == Status::Info { "may: " } else { "fix: " }, fix);
        }
        for line in check.snippet.iter().flat_map(|snippet| snippet.lines()) {
            let line = format!("{}  {}", " ".repeat(indent), clean(line));
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn shown(status: Status) -> (&'static str, Tone) {
    match status {
        Status::Ok => ("ok", Tone::Good),
        Status::Info => ("note", Tone::Note),
        Status::Warning => ("weaker", Tone::Warn),
        Status::Missing => ("MISSING", Tone::Bad),
    }
}

fn verdict(report: &Report, style: Style) -> String {
    let all = report.host.iter().chain(report.engines.iter().flat_map(|engine| &engine.checks));
    let count = |status| all.clone().filter(|check| check.status == status).count();
    let (missing, weaker) = (count(Status::Missing), count(Status::Warning));
    let (text, tone) = match (missing, weaker) {
        (0, 0) => ("Everything that was looked at is in order.".to_owned(), Tone::Good),
        (0, n) => (
            format!("Containers will run; {n} of {} could be better.", all.clone().count()),
            Tone::Warn,
        ),
        (n, _) => (format!("{n} of {} must be put right first.", all.clone().count()), Tone::Bad),
    };
    format!("{}\n", style.paint(tone, &text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_shown_with_its_remedy_and_decides_the_verdict() {
        let bad = Check::new("a.b", Status::Missing, "nothing")
            .needed_for("all")
            .fix("get it")
            .snippet("x = 1\n");
        let good = Check::new("c", Status::Ok, "there").fix("not shown").hint("nor this");
        let note = Check::new("d", Status::Info, "half").fix("not shown").hint("get the rest");
        let host = vec![bad, good, note];
        let report = Report { status: Status::Missing, host, engines: Vec::new() };
        let wanted = "\
This host
  MISSING a.b  nothing
               for: all
               fix: get it
                 x = 1
  ok      c    there
  note    d    half
               may: get the rest

1 of 3 must be put right first.
";
        assert_eq!(render(&report, Style::plain(), 80), wanted);
    }
}
