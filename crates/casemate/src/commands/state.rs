//! `state`.

use super::locate;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::{backend, output};

pub(super) const VERB: Verb = Verb::of::<State>(
    "state",
    Group::Inspect,
    "Print the state of a container as JSON",
    Arity::Exactly(1),
);

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct State {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: String,
}

impl Execute for State {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let id = locate::container(&self.id, context)?;
        output::print_json(&backend::state(&context.global, &id)?)
    }
}
