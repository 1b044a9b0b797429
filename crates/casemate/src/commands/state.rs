//! `state`.

use super::{Context, Outcome};
use crate::cli::lifecycle::IdArgs;
use crate::{backend, output, request};

pub(crate) fn execute(args: &IdArgs, context: &mut Context<'_>) -> Outcome {
    let id = request::container_id(&args.id)?;
    Ok(output::print_json(&backend::state(&context.global, &id)?)?)
}
