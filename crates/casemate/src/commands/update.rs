//! `update`.

use super::{Context, Outcome};
use crate::cli::update::UpdateArgs;
use crate::report::Level;
use crate::{backend, request};

#[inline(never)]
pub(crate) fn execute(args: &UpdateArgs, context: &mut Context<'_>) -> Outcome {
    if let Some(warning) = request::update::ignored_flags(args) {
        context.reporter.note(Level::Warning, warning);
    }
    backend::update(&context.global, &request::update::update(args)?)?;
    Ok(0)
}
