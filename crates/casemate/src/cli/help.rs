//! Help texts, rendered from the definitions.

use super::parse::global_command;
use super::verbs::{Group, Verb, VERBS};

const ABOUT: &str = "Run OCI containers, hardened by default";

const OVERVIEW: &str = "\
{about}

Usage: {usage}

{before-help}{all-args}{after-help}";

const CLOSING: &str = "\
'casemate COMMAND --help' describes a command. The options above may stand before or behind it.";

/// The help of casemate as a whole: the commands in groups, then the global options.
pub(crate) fn overview() -> String {
    described(global_command()).help_template(OVERVIEW).render_help().to_string()
}

/// Adds the texts of the overview, which the man page shows too.
pub(crate) fn described(command: clap::Command) -> clap::Command {
    command
        .about(ABOUT)
        .override_usage("casemate [OPTIONS] COMMAND [ARGS]...")
        .before_help(command_list())
        .after_help(CLOSING)
}

/// The commands in groups, one line each.
pub(crate) fn command_list() -> String {
    let section = |group: Group| {
        let lines: String = VERBS
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overview_names_every_command_once() {
        let text = overview();
        for verb in &VERBS {
            let entry = format!("  {:<10} {}", verb.name, verb.about);
            assert_eq!(text.matches(&entry).count(), 1, "{}", verb.name);
        }
    }

    #[test]
    fn no_definition_contradicts_itself() {
        // clap checks a definition only in debug builds, and only one that is built.
        global_command().debug_assert();
        for verb in &VERBS {
            verb.command().debug_assert();
        }
    }

    #[test]
    fn every_flag_of_every_command_is_described() {
        for verb in &VERBS {
            for arg in verb.command().get_arguments() {
                assert!(arg.get_help().is_some(), "{} {}", verb.name, arg.get_id());
            }
            assert!(of_verb(verb).starts_with(verb.about), "{}", verb.name);
        }
    }
}
