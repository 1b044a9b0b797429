//! One invocation from argv to exit status.

use crate::cli::{help, parse, Invocation, UsageError, Wanted};
use crate::commands::{self, Failure};
use crate::report::{Level, Reporter};
use crate::{output, request, version};
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
    let Invocation { globals, wanted } = parse(argv);
    let (mut reporter, log_outcome) = Reporter::open(&globals);
    let outcome = log_outcome.map_err(Failure::from).and_then(|()| match wanted {
        Err(error) => Err(usage_failure(error)),
        Ok(Wanted::Version) => Ok(output::print(&version::text())?),
        Ok(Wanted::Help(None)) => Ok(output::print(&help::overview())?),
        Ok(Wanted::Help(Some(verb))) => Ok(output::print(&help::of_verb(verb))?),
        Ok(Wanted::Command(asked)) => {
            let global = request::global::resolve(&globals)?;
            if let Some(listener) = reporter.debug_listener()? {
                // Not what was asked: that may hold an environment, and secrets in it.
                listener(&format!(
                    "casemate {} with state in {}",
                    version::RELEASE,
                    global.root.display()
                ));
                casemate_runtime::steps::listen(listener);
            }
            commands::execute(*asked, &mut commands::Context { global, reporter: &mut reporter })
        }
    });
    for warning in casemate_runtime::warnings::take() {
        reporter.note(Level::Warning, &warning);
    }
    outcome.unwrap_or_else(|failure| {
        reporter.failure(&failure.error);
        failure.status
    })
}

#[cfg(feature = "docs")]
fn write_docs(directory: &std::path::Path) -> u8 {
    let (mut reporter, _) = Reporter::open(&crate::cli::GlobalArgs::default());
    match crate::docs::write(directory) {
        Ok(()) => 0,
        Err(error) => {
            reporter.failure(&error);
            FAILED
        }
    }
}

fn usage_failure(error: UsageError) -> Failure {
    if let Some(verb) = error.help_of {
        // As runc does; the error itself is what counts.
        let _unprintable = output::print(&format!("Incorrect Usage.\n\n{}", help::of_verb(verb)));
    }
    Failure { error: anyhow::Error::new(error), status: FAILED }
}
