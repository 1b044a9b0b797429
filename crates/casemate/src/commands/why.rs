//! `why`: the refusal or the end of a container in a paragraph, and what to paste.

use super::format::{text_or_json, Format};
use super::remedy::paste;
use super::style::{clean, width, wrap, Style, Tone};
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::output;
use casemate_inspect::why::{ask, Why};

pub(super) const VERB: Verb = Verb::of::<WhyFlags>(
    "why",
    Group::Inspect,
    "Say why a container was refused or ended, and what to paste",
    Arity::Exactly(1),
)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate why web          by its name in the engine, even if it is gone or was never created
  casemate why 4f5c0ad1

It shows the exit status if the engine has kept it, what the container asked for and did not get,
and the overrides for that in a form that can be pasted for its engine.";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct WhyFlags {
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text", value_parser = text_or_json)]
    format: Format,

    /// A container that exists, is gone or was refused: its id, the beginning of its id, or its
    /// name in the engine
    #[arg(value_name = "CONTAINER")]
    container: String,
}

impl Execute for WhyFlags {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let why = ask(&context.global, &self.container)?;
        if self.format == Format::Json {
            return output::print_json(&why);
        }
        output::print(&render(&why, Style::of_stdout(), width()))
    }
}

fn render(why: &Why, style: Style, width: usize) -> String {
    let lines = |text: &str, indent: usize| {
        let joint = format!("\n{}", " ".repeat(indent));
        wrap(&clean(text), width.saturating_sub(indent).max(30)).join(&joint)
    };
    let mut text = format!("{}\n", lines(&head(why), 0));
    if !why.denials.is_empty() {
        text.push_str(&format!("\n{}\n", style.paint(Tone::Strong, "Denied while it ran")));
    }
    for denial in &why.denials {
        text.push_str(&format!("  {}\n", lines(&super::denials::in_words(denial), 4)));
    }
    if why.denials_before > 0 {
        let more = format!("{} more: casemate denials {}", why.denials_before, why.id);
        text.push_str(&format!("  {}\n", lines(&more, 4)));
    }
    if !why.cut.is_empty() {
        text.push_str(&format!("\n{}\n", style.paint(Tone::Strong, "Asked for and not given")));
    }
    let column = why.cut.iter().map(|cut| cut.control.len()).max().unwrap_or(0) + 2;
    for cut in &why.cut {
        let by = match cut.allow.as_slice() {
            [] => "nothing allows it".to_owned(),
            [name] => format!("override: {name}"),
            names if names.len() <= LISTED => format!("override: one of {}", names.join(", ")),
            _ => "casemate explain says whether an override allows it".to_owned(),
        };
        let line = lines(&format!("{} ({by})", cut.reason), column + 2);
        text.push_str(&format!("  {:<column$}{line}\n", clean(&cut.control)));
    }
    let names: Vec<&str> = why.overrides();
    // A refusal is passed with all of them. Of what was cut a program mostly needs one, and much of it its engine asks for by itself:
    // nobody is to paste the whole list.
    let (title, names) = match (why.status.as_str(), names.as_slice()) {
        (_, []) if why.cut.iter().all(|cut| cut.allow.is_empty()) => return text,
        ("refused", _) => ("To run it anyway", names),
        (_, [_]) if why.cut.len() == 1 => ("To allow that", names),
        _ => ("To allow one of these, replace NAME by its override", vec!["NAME"]),
    };
    text.push_str(&format!("\n{}\n", style.paint(Tone::Strong, title)));
    // Not wrapped: these lines are pasted.
    paste(why.engine, &names)
        .iter()
        .for_each(|line| text.push_str(&format!("  {}\n", clean(line))));
    text
}

/// So many overrides of one control are named.
const LISTED: usize = 5;

/// Who it is, how it ended.
fn head(why: &Why) -> String {
    let whose = why.engine.map(|engine| format!(" of {engine}")).unwrap_or_default();
    let named = why.name.as_ref().map(|name| format!("{name}, ")).unwrap_or_default();
    let mut text = format!("{named}container {}{whose}: ", why.id);
    let profile = why.profile.as_deref().unwrap_or("unknown");
    text.push_str(&match (why.status.as_str(), &why.ended) {
        ("refused", _) => format!("it was never made (profile {profile})."),
        ("gone", Some(ended)) => format!("it was made with profile {profile}; {ended}."),
        (status, _) => format!("it is {status}, with profile {profile}."),
    });
    if let Some(status) = why.exit_status {
        text.push_str(&format!(" Its process ended with status {status}{}.", meaning(status)));
    }
    if why.out_of_memory {
        text.push_str(" It met its memory limit: give it more, or find out what it needs it for.");
    }
    if why.status == "refused" && why.error.is_none() {
        text.push_str(
            " The reason was printed where it was started. It is kept once the node's policy has an audit log (file = \"/var/log/casemate/audit.jsonl\" in [audit]).",
        );
    }
    if let Some(error) = &why.error {
        text.push_str(&format!(" The error was: {error}"));
        if why.status == "refused" && why.cut.is_empty() {
            text.push_str(" No control refused it, and no override helps.");
        }
    }
    text
}

/// As shells and engines count: 128 and the number of a signal.
fn meaning(status: i64) -> &'static str {
    match status {
        126 => ", which mostly says that the program may not be executed",
        127 => ", which mostly says that the program was not found",
        134 => ", by SIGABRT: it gave up itself",
        137 => ", by SIGKILL: somebody killed it, or memory ran out",
        139 => ", by SIGSEGV: it crashed",
        143 => ", by SIGTERM: it was stopped",
        159 => ", by SIGSYS: a system call filter killed it",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_never_made_and_is_in_no_log_is_told_where_the_reason_is() {
        let mut why = Why::default();
        why.status = "refused".into();
        assert!(head(&why).contains("once the node's policy has an audit log"), "{}", head(&why));
        why.error = Some("denied".into());
        assert!(!head(&why).contains("audit log"), "{}", head(&why));
    }
}
