//! The one-line error of a configuration that cannot be used.

use std::fmt;

/// What is wrong, and where: `linux.namespaces[2].type: unknown variant ...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    path: String,
    message: String,
}

impl SpecError {
    /// An error at the JSON path `path` (`process.env[3]`; empty for the whole document).
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: one_line(message.into()) }
    }

    /// The same error in a document that is itself the value at `parent`.
    #[must_use]
    pub(crate) fn below(mut self, parent: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => parent.to_owned(),
            path if path.starts_with('[') => format!("{parent}{path}"),
            path => format!("{parent}.{path}"),
        };
        self
    }

    /// The JSON path, in the dotted form that the specification's own texts use.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What is wrong there.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            out.write_str(&self.message)
        } else {
            write!(out, "{}: {}", one_line(self.path.clone()), self.message)
        }
    }
}

impl std::error::Error for SpecError {}

/// Values come from the bundle: a newline in one of them must not forge a second log line.
fn one_line(text: String) -> String {
    if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
    } else {
        text
    }
}
