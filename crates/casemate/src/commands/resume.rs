//! `resume`.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use casemate_runtime::ContainerId;

pub(super) const VERB: Verb =
    Verb::of::<Resume>("resume", Group::Inside, "Thaw a paused container", Arity::Exactly(1));

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Resume {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: ContainerId,
}

impl Execute for Resume {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        backend::resume(&context.global, &self.id)?;
        Ok(0)
    }
}
