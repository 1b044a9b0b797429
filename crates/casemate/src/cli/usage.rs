//! Mistakes in the command line, in the words that runc's callers look for. All of them end in exit
//! status 1; `report` prints them.

use super::verbs::{Verb, VERBS};
use casemate_runtime::nearest;
use std::ffi::OsStr;

/// One mistake.
#[derive(Debug)]
pub(crate) struct UsageError {
    /// What is wrong, in one line.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Print the help of this command to standard output too, as runc does.
    pub(crate) help_of: Option<&'static Verb>,
}

impl std::fmt::Display for UsageError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for UsageError {}

impl UsageError {
    pub(crate) fn new(message: String) -> Self {
        Self { message, hint: None, help_of: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
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

    /// In the words of runc.
    pub(crate) fn unknown_topic(name: &OsStr) -> Self {
        let mut error = Self::unknown_command(name);
        error.message =
            format!("No help topic for '{}': {}", name.to_string_lossy(), error.message);
        error
    }

    /// The text must not look like `missing_value`: podman takes that for support of checkpoints.
    pub(crate) fn unknown_command(name: &OsStr) -> Self {
        let name = name.to_string_lossy();
        let error = Self::new(format!("unknown command {name:?}"));
        match nearest(&name, VERBS.iter().map(|verb| verb.name)) {
            Some(meant) => {
                error.with_hint(format!("did you mean {meant}? 'casemate help' lists the commands"))
            }
            None => error.with_hint("'casemate help' lists the commands"),
        }
    }
}
