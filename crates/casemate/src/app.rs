//! One invocation from argv to exit status.

use crate::cli::parse::{parse, Invocation, Mistake, Wanted};
use crate::cli::verb::Verb;
use crate::cli::{globals, help};
use crate::commands::VERBS;
use crate::context::Context;
use crate::report::{Level, Reporter};
use crate::usage::UsageError;
use crate::{output, steps, version};
use std::ffi::OsString;

/// Exit status of every failure but those of `exec`.
const FAILED: u8 = 1;

/// Does what argv asks for and returns the exit status.
pub(crate) fn run(argv: Vec<OsString>) -> u8 {
    #[cfg(feature = "docs")]
    if let [_, command, directory] = &argv[..] {
        if command == "docs" {
            return write_docs(directory.as_ref());
        }
    }
    let Invocation { globals, wanted } = parse(argv, &VERBS);
    let (mut reporter, log_outcome) = Reporter::open(&globals.log);
    let outcome = log_outcome
        .map_err(Failure::from)
        .and_then(|()| answer(wanted.map_err(failure_of)?, &globals, &mut reporter));
    for warning in casemate_runtime::warnings::take() {
        reporter.note(Level::Warning, &warning);
    }
    outcome.unwrap_or_else(|failure| {
        reporter.failure(&failure.error);
        failure.status
    })
}

/// An error and the exit status that goes with it.
struct Failure {
    error: anyhow::Error,
    status: u8,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, status: FAILED }
    }
}

impl Failure {
    fn of(verb: &Verb, error: anyhow::Error) -> Self {
        Self { error: verb.failure(error), status: verb.status }
    }
}

fn answer(
    wanted: Wanted,
    globals: &globals::GlobalArgs,
    reporter: &mut Reporter,
) -> Result<u8, Failure> {
    let (verb, matches) = match wanted {
        Wanted::Version => return Ok(output::print(&version::text())?),
        Wanted::Help(None) => return Ok(output::print(&help::overview(&VERBS))?),
        Wanted::Help(Some(verb)) => return Ok(output::print(&help::of_verb(verb))?),
        Wanted::Command(verb, matches) => (verb, matches),
    };
    let global = globals::resolve(globals)?;
    if let Some(listener) = reporter.debug_listener()? {
        steps::listen(listener);
        // Not what was asked: that may hold an environment, and secrets in it.
        tracing::debug!("casemate {} with state in {}", version::RELEASE, global.root.display());
    }
    verb.execute(&matches, &mut Context { global, reporter })
        .map_err(|error| Failure::of(verb, error))
}

#[cfg(feature = "docs")]
fn write_docs(directory: &std::path::Path) -> u8 {
    let (mut reporter, _) = Reporter::open(&crate::report::LogArgs::default());
    match crate::docs::write(directory) {
        Ok(()) => 0,
        Err(error) => {
            reporter.failure(&error);
            FAILED
        }
    }
}

fn failure_of(mistake: Mistake) -> Failure {
    let error = |error: UsageError| anyhow::Error::new(error);
    match mistake {
        Mistake::Usage(usage) => error(usage).into(),
        Mistake::Value(verb, usage) => Failure::of(verb, error(usage)),
        Mistake::Count(verb, usage) => {
            let help = format!("Incorrect Usage.\n\n{}", help::of_verb(verb));
            // As runc does; the error itself is what counts.
            let _unprintable = output::print(&help);
            error(usage).into()
        }
    }
}
