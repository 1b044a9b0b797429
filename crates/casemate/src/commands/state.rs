//! `state`.

use super::{locate, Context, Outcome};
use crate::cli::lifecycle::IdArgs;
use crate::{backend, output};

pub(crate) fn execute(args: &IdArgs, context: &mut Context<'_>) -> Outcome {
    let id = locate::container(&args.id, context)?;
    Ok(output::print_json(&backend::state(&context.global, &id)?)?)
}
