//! `run`.

use super::{status_of, Context, Outcome};
use crate::cli::lifecycle::RunArgs;
use crate::{backend, request};
use anyhow::Context as _;

pub(crate) fn execute(args: &RunArgs, context: &mut Context<'_>) -> Outcome {
    let code = request::lifecycle::run(args)
        .and_then(|request| backend::run(&context.global, &request))
        .context("casemate run failed")?;
    Ok(status_of(code))
}
