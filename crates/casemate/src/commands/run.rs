//! `run`.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{status_of, Context, Outcome};
use casemate_runtime::request::RunRequest;

pub(super) const VERB: Verb = Verb::of::<RunRequest>(
    "run",
    Group::Life,
    "Create and start a container, wait for it and delete it",
    Arity::Exactly(1),
)
.failing("casemate run failed", 1)
.more(MORE);

const MORE: &str = "\
Examples:
  casemate run web                       the bundle in the working directory
  casemate run -d --pid-file web.pid web in the background; remove it with 'delete'

The exit status is that of the container's process, or 128 plus the signal that ended it.";

impl Execute for RunRequest {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        Ok(status_of(backend::run(&context.global, &self)?))
    }
}
