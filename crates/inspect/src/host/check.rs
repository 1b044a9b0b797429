//! One thing that was looked at, and what to think of it.

use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// For information; nothing to do.
    Info,
    /// Containers run; something is weaker, or slower, than it could be.
    Warning,
    /// Containers, or what was asked about, will not work.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Stable name, `area.thing`.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// What was found, in a line.
    pub found: String,
    /// What needs it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub needed_for: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Lines to paste into a file, when that is the fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

impl Check {
    /// A check without advice.
    pub fn new(id: impl Into<String>, status: Status, found: impl Into<String>) -> Self {
        let (id, found) = (id.into(), found.into());
        Self { id, status, found, needed_for: "", fix: None, snippet: None }
    }

    /// What needs it.
    #[must_use]
    pub fn needed_for(mut self, what: &'static str) -> Self {
        self.needed_for = what;
        self
    }

    /// What to do, kept only where something is to be done.
    #[must_use]
    pub fn fix(mut self, advice: impl Into<String>) -> Self {
        if self.status >= Status::Warning {
            self.fix = Some(advice.into());
        }
        self
    }

    /// What would make it better, kept where it is not as good as it can be: nothing has to be done.
    #[must_use]
    pub fn hint(mut self, advice: impl Into<String>) -> Self {
        if self.status >= Status::Info {
            self.fix = Some(advice.into());
        }
        self
    }

    /// Lines to paste, kept only where something is to be done.
    #[must_use]
    pub fn snippet(mut self, lines: impl Into<String>) -> Self {
        if self.status >= Status::Warning {
            self.snippet = Some(lines.into());
        }
        self
    }
}
