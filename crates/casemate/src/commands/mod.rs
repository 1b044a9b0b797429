//! The commands, one file each: build the request, have it done, print the answer.
//!
//! Those that are not part of a container's life are `#[inline(never)]`: otherwise all commands would have room for the objects of
//! each on their stack, nine pages.

mod audit;
mod compare;
mod create;
mod delete;
mod events;
mod exec;
mod explain;
mod features;
mod host_check;
mod kill;
mod list;
mod locate;
mod pause;
mod policy;
mod ps;
mod resume;
mod run;
mod spec;
mod start;
mod state;
mod style;
mod update;
mod why;

use crate::cli::Asked;
use crate::report::Reporter;
use casemate_runtime::request::Global;

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    pub(crate) global: Global,
    pub(crate) reporter: &'a mut Reporter,
}

/// An error and the exit status that goes with it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: anyhow::Error,
    pub(crate) status: u8,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, status: 1 }
    }
}

/// An exit status, or why there is none.
pub(crate) type Outcome = Result<u8, Failure>;

/// Executes a command.
pub(crate) fn execute(asked: Asked, context: &mut Context<'_>) -> Outcome {
    match asked {
        Asked::Create(args) => create::execute(&args, context),
        Asked::Run(args) => run::execute(&args, context),
        Asked::Start(args) => start::execute(&args, context),
        Asked::Exec(args) => exec::execute(args, context),
        Asked::Kill(args) => kill::execute(&args, context),
        Asked::Delete(args) => delete::execute(&args, context),
        Asked::State(args) => state::execute(&args, context),
        Asked::List(args) => list::execute(&args, context),
        Asked::Ps(args) => ps::execute(&args, context),
        Asked::Pause(args) => pause::execute(&args, context),
        Asked::Resume(args) => resume::execute(&args, context),
        Asked::Update(args) => update::execute(&args, context),
        Asked::Events(args) => events::execute(&args, context),
        Asked::Spec(args) => spec::execute(&args),
        Asked::Features(_) => features::execute(),
        Asked::Explain(args) => explain::execute(&args, context),
        Asked::Audit(args) => audit::execute(&args, context),
        Asked::Why(args) => why::execute(&args, context),
        Asked::Compare(args) => compare::execute(&args, context),
        Asked::Policy(args) => policy::execute(&args, context),
        Asked::HostCheck(args) => host_check::execute(&args),
    }
}

/// The exit status of a process as an exit status of ours: the kernel keeps eight bits, and so do we.
fn status_of(code: i32) -> u8 {
    u8::try_from(code & 0xff).unwrap_or(u8::MAX)
}
