//! `events`: one JSON object per line, each written out at once.

use super::locate;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::values::duration::parse_go_duration;
use crate::{backend, output};
use casemate_runtime::request::{EventsRequest, Invalid};
use std::error::Error;
use std::io::ErrorKind;
use std::time::Duration;

pub(super) const VERB: Verb = Verb::of::<Events>(
    "events",
    Group::Inspect,
    "Print resource statistics and out-of-memory events, one JSON object per line",
    Arity::Exactly(1),
);

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Events {
    /// Time between two samples, such as 500ms, 3s or 1m30s
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = interval)]
    interval: Duration,

    /// Print one sample and return
    #[arg(long)]
    stats: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: String,
}

impl Execute for Events {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let id = locate::container(&self.id, context)?;
        let request = EventsRequest { id, once: self.stats, interval: self.interval };
        let outcome = backend::events(&context.global, &request, &mut |event| {
            Ok(output::write(&format!("{}\n", serde_json::to_string(event)?))?)
        });
        match outcome {
            // Whoever read the events has enough; the error was only the way out of the loop.
            Err(error) if is_broken_pipe(&error) => Ok(0),
            outcome => outcome.map(|()| 0),
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn interval(text: &str) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let interval = parse_go_duration(text)?;
    if interval.is_zero() {
        return Err(Invalid::new("duration interval must be greater than 0").into());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::interval;

    #[test]
    fn events_interval_must_be_positive() {
        assert_eq!(interval("100ms").unwrap().as_millis(), 100);
        for text in ["0s", "-1s", "5", ""] {
            assert!(interval(text).is_err(), "{text}");
        }
    }
}
