//! The commands, one file each: its flags, what is asked of the runtime with them, and how the answer
//! is printed. Where the flags are the request, they are declared in the runtime's `request`.

mod audit;
mod compare;
mod create;
mod delete;
mod denials;
mod events;
mod exec;
mod explain;
mod features;
mod format;
mod host_check;
mod kill;
mod list;
mod locate;
mod pause;
mod policy;
mod ps;
mod remedy;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod style;
mod update;
mod why;

use crate::cli::verb::Verb;

/// All commands, in the order of the help.
pub(crate) static VERBS: [Verb; 22] = [
    create::VERB,
    start::VERB,
    run::VERB,
    kill::VERB,
    delete::VERB,
    exec::VERB,
    pause::VERB,
    resume::VERB,
    update::VERB,
    state::VERB,
    list::VERB,
    ps::VERB,
    events::VERB,
    spec::VERB,
    explain::VERB,
    audit::VERB,
    why::VERB,
    denials::VERB,
    compare::VERB,
    host_check::VERB,
    policy::VERB,
    features::VERB,
];

#[cfg(test)]
mod tests {
    use super::VERBS;
    use crate::cli::help::{of_verb, overview};
    use crate::cli::parse::global_command;

    #[test]
    fn overview_names_every_command_once() {
        let text = overview(&VERBS);
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
