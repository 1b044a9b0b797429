//! Help texts, rendered from the definitions.

use super::parse::global_command;
use super::verbs::{Group, Verb, VERBS};
use std::fmt::Write;

const ABOUT: &str = "Run OCI containers, hardened by default";

/// The help of casemate as a whole.
pub(crate) fn overview() -> String {
    let mut command = global_command()
        .about(ABOUT)
        .override_usage("casemate [OPTIONS] COMMAND [ARGS]...")
        .help_template("{about}\n\nUsage: {usage}\n\n{options}{after-help}")
        .next_help_heading("Options")
        .after_help(command_list());
    command.render_help().to_string()
}

fn command_list() -> String {
    let mut text = String::new();
    for group in Group::ALL {
        let _infallible = writeln!(text, "{}:", group.title());
        for verb in VERBS.iter().filter(|verb| verb.group == group) {
            let _infallible = writeln!(text, "  {:<9} {}", verb.name, verb.about);
        }
        text.push('\n');
    }
    text.push_str("'casemate COMMAND --help' describes a command. Options may also stand behind it.");
    text
}

/// The help of one command.
pub(crate) fn of_verb(verb: &Verb) -> String {
    verb.command().bin_name(format!("casemate {}", verb.name)).render_help().to_string()
}
