//! `exec`.

use super::{status_of, Context, Failure, Outcome};
use crate::cli::exec::ExecArgs;
use crate::{backend, request};

/// Tells a failure of the runtime from one of the process, which mostly ends with less.
const EXEC_FAILED: u8 = 255;

pub(crate) fn execute(args: ExecArgs, context: &mut Context<'_>) -> Outcome {
    request::lifecycle::exec(args)
        .and_then(|request| backend::exec(&context.global, &request))
        .map(status_of)
        .map_err(|error| Failure { error: error.context("exec failed"), status: EXEC_FAILED })
}
