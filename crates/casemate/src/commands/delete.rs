//! `delete`.

use super::{Context, Outcome};
use crate::cli::lifecycle::DeleteArgs;
use crate::{backend, request};

pub(crate) fn execute(args: &DeleteArgs, context: &mut Context<'_>) -> Outcome {
    let request = request::lifecycle::delete(args)?;
    backend::delete(&context.global, &request)?;
    Ok(0)
}
