//! `denials`: what programs in containers tried and were denied, by which control, and what to paste.

use super::format::{text_or_json, Format};
use super::remedy::paste;
use super::style::{clean, width, wrap, Style, Tone};
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::output;
use anyhow::anyhow;
use casemate_inspect::denials::{self, Candidate, Collected, Denial, Reader, Sorter};
use casemate_inspect::{gone, locate};
use casemate_runtime::request::Global;
use std::time::Duration;

pub(super) const VERB: Verb = Verb::of::<Denials>(
    "denials",
    Group::Inspect,
    "Say what programs in containers were denied, and by which control",
    Arity::Between(0, 1),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate denials web         of one container, also of one that has gone
  casemate denials --follow    of all containers, as it happens

It reads what the kernel has recorded: in the file of auditd, in the journal, in its own log. System
calls that the default filter refuses are recorded for containers that are made while the node's
policy says so:

  [audit]
  denials = true";

/// How long to wait before looking again.
const PAUSE: Duration = Duration::from_millis(300);

/// Its flags.
#[derive(Debug, clap::Args)]
struct Denials {
    /// Look at all containers, which is the default without CONTAINER
    #[arg(long)]
    all: bool,

    /// Print what is denied from now on, as it happens
    #[arg(long)]
    follow: bool,

    /// text or json; with --follow one object per line
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = text_or_json)]
    format: Format,

    /// A container that is there or has gone: its id, the beginning of it, or what its engine calls it
    #[arg(value_name = "CONTAINER")]
    container: Option<String>,
}

impl Execute for Denials {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let global = &context.global;
        if self.all && self.container.is_some() {
            anyhow::bail!("--all and a container exclude each other");
        }
        let id = self.container.as_deref().map(|word| id_of(global, word)).transpose()?;
        if self.follow {
            return follow(global, id.as_deref(), self.format);
        }
        let collected = denials::collect(global, id.as_deref())?;
        if self.format == Format::Json {
            return output::print_json(&collected);
        }
        output::print(&render(&collected, Style::of_stdout(), width()))
    }
}

/// The whole id of a container that is there, or was.
fn id_of(global: &Global, word: &str) -> anyhow::Result<String> {
    let search = match global.root_is_explicit {
        true => locate::in_root(&global.root, word),
        false => locate::locate(global, word),
    }?;
    if let Some(found) = search.found {
        return Ok(found.member.id);
    }
    let gone = gone::find(global, word)?;
    gone.map(|gone| gone.past.id).ok_or_else(|| anyhow!("no record of {word}"))
}

fn follow(global: &Global, id: Option<&str>, format: Format) -> Outcome {
    let mut reader = Reader::open()?;
    // What is there already is no news.
    reader.take();
    let style = Style::of_stdout();
    let mut sorter = Sorter::new(denials::of_this_host(global)?);
    loop {
        let taken = reader.take();
        let mut found = Vec::new();
        if !taken.lines.is_empty() {
            // Containers come and go.
            sorter.renew(denials::of_this_host(global)?);
            found = sorter.sort_lines(&taken.lines, id);
        }
        let mut text = String::new();
        for denial in found {
            match format {
                Format::Json => text.push_str(&(serde_json::to_string(&denial)? + "\n")),
                _ => text.push_str(&entry(&denial, style, width())),
            }
        }
        // One that has gone away is told at the next write.
        if !text.is_empty() && output::write(&text).is_err() {
            return Ok(0);
        }
        std::thread::sleep(PAUSE);
    }
}

fn render(collected: &Collected, style: Style, width: usize) -> String {
    let mut text = String::new();
    collected.denials.iter().for_each(|denial| text.push_str(&entry(denial, style, width)));
    let mut note = |words: String| {
        for line in wrap(&clean(&words), width) {
            text.push_str(&format!("{}\n", style.paint(Tone::Dim, &line)));
        }
    };
    if collected.denials.is_empty() {
        note(format!(
            "No denials on record in {}. {}",
            collected.sources.join(", "),
            recorded(collected.recorded)
        ));
    }
    if collected.of_others > 0 && collected.id.is_none() {
        note(format!(
            "{} more records are about processes of no known container.",
            collected.of_others
        ));
    }
    collected.problems.iter().for_each(|problem| note(format!("not looked at: {problem}")));
    text
}

/// Whether there could be any records of what the filter refuses.
fn recorded(of_container: Option<bool>) -> &'static str {
    match of_container {
        Some(true) => "The kernel records what this container's filter refuses.",
        Some(false) => {
            "The kernel does not record what this container's filter refuses: it was created while [audit] of the \
             node's policy did not have denials = true."
        }
        None => {
            "The kernel records what the filter refuses for containers that are created while [audit] of the node's \
             policy has denials = true."
        }
    }
}

fn entry(denial: &Denial, style: Style, width: usize) -> String {
    let names: Vec<String> = denial.containers.iter().map(shown).collect();
    let who = match names.as_slice() {
        [one] => one.clone(),
        several => format!("one of {}", several.join(", ")),
    };
    let times = if denial.count > 1 {
        format!(" (the last of {} times)", denial.count)
    } else {
        String::new()
    };
    let mut text = format!("{}  {}{times}\n", denial.time, style.paint(Tone::Strong, &clean(&who)));
    for line in wrap(&clean(&sentence(denial)), width.saturating_sub(2).max(30)) {
        text.push_str(&format!("  {line}\n"));
    }
    let engine = denial.containers.first().and_then(|one| one.engine);
    let names: Vec<&str> = denial.overrides.iter().map(String::as_str).collect();
    let names = match names.as_slice() {
        [] => return text,
        [_] => names,
        several => {
            text.push_str(&format!(
                "  depending on its arguments, one of these admits it: {}\n",
                several.join(", ")
            ));
            vec!["NAME"]
        }
    };
    if denial.overrides.iter().any(|name| name.starts_with("capabilities.")) {
        text.push_str("  a capability has to be in the configuration as well (--cap-add)\n");
    }
    // Not wrapped: these lines are pasted.
    paste(engine, &names).iter().for_each(|line| text.push_str(&format!("    {}\n", clean(line))));
    text
}

fn sentence(denial: &Denial) -> String {
    let process = denial.pid.map(|pid| format!("process {pid} of the host"));
    let about: Vec<String> = denial.exe.clone().into_iter().chain(process).collect();
    let program = denial.program.as_deref().unwrap_or("a program");
    format!("{program} ({}) was denied {} ({})", about.join(", "), denial.tried, denial.control)
}

/// One denial for `why`, where the container and its engine have been named.
pub(super) fn in_words(denial: &Denial) -> String {
    let by = match denial.overrides.as_slice() {
        [] => String::new(),
        names => format!("; override: {}", names.join(" or ")),
    };
    format!("{}: {}{by}", denial.time, sentence(denial))
}

fn shown(one: &Candidate) -> String {
    let engine = one.engine.map(|engine| format!("{engine} ")).unwrap_or_default();
    let gone = if one.gone { ", gone" } else { "" };
    match &one.name {
        Some(name) => format!("{name} ({engine}{}{gone})", one.id),
        None => format!("{engine}{}{gone}", one.id),
    }
}
