//! `kill`.

use super::locate;
use crate::backend;
use crate::cli::verb::{Arity, Execute, Group, Verb};
use crate::context::{Context, Outcome};
use crate::values::signal::{meant_by, parse_signal};
use casemate_runtime::request::{Invalid, KillRequest};

pub(super) const VERB: Verb =
    Verb::of::<Kill>("kill", Group::Life, "Send a signal to a container", Arity::Between(1, 2))
        .flags_end_after_id()
        .more(MORE);

const MORE: &str = "\
Examples:
  casemate kill web           SIGTERM
  casemate kill web KILL
  casemate kill --all web 9";

/// Its flags.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct Kill {
    /// Signal every process of the container, not only its first one
    #[arg(short, long)]
    all: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    id: String,

    /// A number or a name in either case, with or without SIG [default: SIGTERM]
    #[arg(value_name = "SIGNAL", value_parser = signal, default_value = "TERM", hide_default_value = true)]
    signal: i32,
}

impl Execute for Kill {
    fn execute(self, context: &mut Context<'_>) -> Outcome {
        let id = locate::container(&self.id, context)?;
        let request = KillRequest { id, signal: self.signal, all: self.all };
        backend::kill(&context.global, &request)?;
        Ok(0)
    }
}

/// An empty word counts as none.
fn signal(text: &str) -> Result<i32, Invalid> {
    let text = if text.is_empty() { "TERM" } else { text };
    parse_signal(text).ok_or_else(|| {
        let error = Invalid::new(format!("unknown signal {text:?}"));
        match meant_by(text) {
            Some(meant) => error.with_hint(format!("did you mean {meant}?")),
            None => error,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::signal;

    #[test]
    fn kill_defaults_to_sigterm_and_names_an_unknown_signal() {
        assert_eq!(signal("").unwrap(), 15);
        assert_eq!(signal("FOO").unwrap_err().to_string(), "unknown signal \"FOO\"");
    }
}
