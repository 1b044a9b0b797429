//! `pause`.

use super::{Context, Outcome};
use crate::cli::lifecycle::IdArgs;
use crate::{backend, request};

pub(crate) fn execute(args: &IdArgs, context: &mut Context<'_>) -> Outcome {
    let id = request::container_id(&args.id)?;
    backend::pause(&context.global, &id)?;
    Ok(0)
}
