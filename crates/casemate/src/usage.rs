//! Mistakes in the command line, in the words that runc's callers look for. All of them end in exit
//! status 1; `report` prints them.

use casemate_runtime::nearest;
use std::ffi::OsStr;

/// One mistake.
#[derive(Debug)]
pub(crate) struct UsageError {
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl std::fmt::Display for UsageError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

impl UsageError {
    pub(crate) fn new(message: String) -> Self {
        Self { message, hint: None }
    }

    /// Adds what to do about it, behind what is said already.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        let hint = hint.into();
        self.hint = Some(match self.hint.take() {
            Some(first) => format!("{first} {hint}"),
            None => hint,
        });
        self
    }

    /// Asks whether one of `known` was meant.
    pub(crate) fn suggesting<'a>(
        self,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
        show: impl Fn(&str) -> String,
    ) -> Self {
        match nearest(name, known) {
            Some(meant) => self.with_hint(format!("did you mean {}?", show(meant))),
            None => self,
        }
    }

    /// Callers grep for the beginning of this text; one dash whatever was typed.
    pub(crate) fn unknown_flag(name: &str) -> Self {
        Self::new(format!("flag provided but not defined: -{name}"))
    }

    /// podman greps for `flag needs an argument`.
    pub(crate) fn missing_value(word: &OsStr) -> Self {
        Self::new(format!("flag needs an argument: {}", word.to_string_lossy()))
    }

    pub(crate) fn bad_value(value: &OsStr, flag: &str, reason: &str) -> Self {
        let value = value.to_string_lossy();
        Self::new(format!("invalid value {value:?} for flag -{flag}: {reason}"))
    }
}
