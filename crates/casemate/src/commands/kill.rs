//! `kill`.

use super::{Context, Outcome};
use crate::cli::lifecycle::KillArgs;
use crate::{backend, request};

pub(crate) fn execute(args: &KillArgs, context: &mut Context<'_>) -> Outcome {
    let request = request::lifecycle::kill(args)?;
    backend::kill(&context.global, &request)?;
    Ok(0)
}
