//! `create`.

use super::{Context, Outcome};
use crate::cli::lifecycle::CreateOnlyArgs;
use crate::{backend, request};
use anyhow::Context as _;

pub(crate) fn execute(args: &CreateOnlyArgs, context: &mut Context<'_>) -> Outcome {
    request::lifecycle::create(&args.create)
        .and_then(|request| backend::create(&context.global, &request))
        .context("casemate create failed")?;
    Ok(0)
}
