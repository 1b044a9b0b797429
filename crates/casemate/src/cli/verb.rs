//! What a command is: a name, the texts of its help, its flags, and what it does with them.

use super::scan::FlagsEnd;
use crate::context::{Context, Outcome};
use clap::{ArgMatches, Args};

/// The flags of a command, and what is done with them.
pub(crate) trait Execute: Args {
    /// Does it.
    fn execute(self, context: &mut Context<'_>) -> Outcome;
}

/// How many positionals a command takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arity {
    Exactly(usize),
    AtLeast(usize),
    Between(usize, usize),
}

impl Arity {
    pub(crate) fn takes(self, count: usize) -> bool {
        match self {
            Arity::Exactly(wanted) => count == wanted,
            Arity::AtLeast(least) => count >= least,
            Arity::Between(least, most) => (least..=most).contains(&count),
        }
    }
}

/// Headings of the command list in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Group {
    Life,
    Inside,
    Inspect,
    Bundle,
}

impl Group {
    pub(crate) const ALL: [Group; 4] = [Group::Life, Group::Inside, Group::Inspect, Group::Bundle];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Group::Life => "Container lifecycle",
            Group::Inside => "Running containers",
            Group::Inspect => "Inspecting containers",
            Group::Bundle => "Bundles and casemate itself",
        }
    }
}

/// One command.
pub(crate) struct Verb {
    pub(crate) name: &'static str,
    pub(crate) group: Group,
    /// One line, without a full stop.
    pub(crate) about: &'static str,
    /// Examples and remarks, printed below the flags.
    pub(crate) more: &'static str,
    pub(crate) arity: Arity,
    pub(crate) flags_end: FlagsEnd,
    /// What stands in front of its errors.
    pub(crate) failed: Option<&'static str>,
    /// Exit status of its errors.
    pub(crate) status: u8,
    define: fn(clap::Command) -> clap::Command,
    execute: fn(&ArgMatches, &mut Context<'_>) -> Outcome,
}

impl std::fmt::Debug for Verb {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Verb({})", self.name)
    }
}

impl Verb {
    /// The command with the flags `A`.
    pub(crate) const fn of<A: Execute>(
        name: &'static str,
        group: Group,
        about: &'static str,
        arity: Arity,
    ) -> Self {
        Self {
            name,
            group,
            about,
            more: "",
            arity,
            flags_end: FlagsEnd::Never,
            failed: None,
            status: 1,
            define: A::augment_args,
            execute: execute::<A>,
        }
    }

    /// What follows the first positional belongs to another program.
    pub(crate) const fn flags_end_after_id(mut self) -> Self {
        self.flags_end = FlagsEnd::AfterFirst;
        self
    }

    pub(crate) const fn more(mut self, more: &'static str) -> Self {
        self.more = more;
        self
    }

    /// How its errors begin, and the exit status that goes with them.
    pub(crate) const fn failing(mut self, failed: &'static str, status: u8) -> Self {
        self.failed = Some(failed);
        self.status = status;
        self
    }

    /// The clap definition of this command alone: building all of them would cost every start.
    pub(crate) fn command(&self) -> clap::Command {
        // The texts come last: the arguments' type brings its own comment along.
        (self.define)(clap::Command::new(self.name)).about(self.about).after_help(self.more)
    }

    /// Executes it with the flags that clap matched.
    pub(crate) fn execute(&self, matches: &ArgMatches, context: &mut Context<'_>) -> Outcome {
        (self.execute)(matches, context)
    }

    /// An error of its own, as it is told.
    pub(crate) fn failure(&self, error: anyhow::Error) -> anyhow::Error {
        match self.failed {
            Some(failed) => error.context(failed),
            None => error,
        }
    }
}

fn execute<A: Execute>(matches: &ArgMatches, context: &mut Context<'_>) -> Outcome {
    A::from_arg_matches(matches)?.execute(context)
}
