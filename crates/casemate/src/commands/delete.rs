//! `delete`.

use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use casemate_runtime::request::DeleteRequest;

pub(super) const VERB: Verb = Verb::of::<DeleteRequest>(
    "delete",
    Group::Life,
    "Remove a stopped container and everything that belongs to it",
    Arity::Exactly(1),
);

impl Execute for DeleteRequest {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        backend::delete(&context.global, &self)?;
        Ok(0)
    }
}
