//! `events`: one JSON object per line, each written out at once.

use super::{locate, Context, Outcome};
use crate::cli::observe::EventsArgs;
use crate::{backend, output, request};
use std::io::{Error, ErrorKind};

#[inline(never)]
pub(crate) fn execute(args: &EventsArgs, context: &mut Context<'_>) -> Outcome {
    let id = locate::container(&args.id, context)?;
    let request = request::events(args, id)?;
    let outcome = backend::events(&context.global, &request, &mut |event| {
        Ok(output::write(&format!("{}\n", serde_json::to_string(event)?))?)
    });
    match outcome {
        // Whoever read the events has enough; the error was only the way out of the loop.
        Err(error) if is_broken_pipe(&error) => Ok(0),
        outcome => Ok(outcome.map(|()| 0)?),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
