//! `kill`.

use super::{locate, Context, Outcome};
use crate::cli::lifecycle::KillArgs;
use crate::{backend, request};

pub(crate) fn execute(args: &KillArgs, context: &mut Context<'_>) -> Outcome {
    let id = locate::container(&args.id, context)?;
    let request = request::lifecycle::kill(args, id)?;
    backend::kill(&context.global, &request)?;
    Ok(0)
}
