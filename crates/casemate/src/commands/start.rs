//! `start`.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use casemate_runtime::ContainerId;

pub(super) const VERB: Verb = Verb::of::<Start>(
    "start",
    Group::Life,
    "Start the program of a created container",
    Arity::Exactly(1),
);

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Start {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: ContainerId,
}

impl Execute for Start {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        backend::start(&context.global, &self.id)?;
        Ok(0)
    }
}
