//! `pause`.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use casemate_runtime::ContainerId;

pub(super) const VERB: Verb = Verb::of::<Pause>(
    "pause",
    Group::Inside,
    "Freeze all processes of a container",
    Arity::Exactly(1),
);

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Pause {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: ContainerId,
}

impl Execute for Pause {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        backend::pause(&context.global, &self.id)?;
        Ok(0)
    }
}
