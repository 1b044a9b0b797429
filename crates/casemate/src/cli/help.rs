//! Help texts, rendered from the definitions.

use super::parse::global_command;
use super::verb::{Group, Verb};

const ABOUT: &str = "Run OCI containers, hardened by default";

const OVERVIEW: &str = "\
{about}

Usage: {usage}

{before-help}{all-args}{after-help}";

const CLOSING: &str = "\
'casemate COMMAND --help' describes a command. The options above may be before or after COMMAND.";

/// The help of casemate as a whole: the commands in groups, then the global options.
pub(crate) fn overview(verbs: &[Verb]) -> String {
    described(global_command(), verbs).help_template(OVERVIEW).render_help().to_string()
}

/// Adds the texts of the overview, which the man page shows too.
pub(crate) fn described(command: clap::Command, verbs: &[Verb]) -> clap::Command {
    command
        .about(ABOUT)
        .override_usage("casemate [OPTIONS] COMMAND [ARGS]...")
        .before_help(command_list(verbs))
        .after_help(CLOSING)
}

/// The commands in groups, one line each.
pub(crate) fn command_list(verbs: &[Verb]) -> String {
    let section = |group: Group| {
        let lines: String = verbs
            .iter()
            .filter(|verb| verb.group == group)
            .map(|verb| format!("  {:<10} {}\n", verb.name, verb.about))
            .collect();
        format!("{}:\n{lines}", group.title())
    };
    Group::ALL.map(section).join("\n").trim_end().to_owned()
}

/// The help of one command.
pub(crate) fn of_verb(verb: &Verb) -> String {
    verb.command().bin_name(format!("casemate {}", verb.name)).render_help().to_string()
}
