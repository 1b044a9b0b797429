//! What a control does, and what it weighs.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a control does when the configuration is not as it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing, and it does not look.
    Off,
    /// Records what it would have done.
    Warn,
    /// Changes or refuses the configuration.
    Enforce,
}

impl Mode {
    /// As it is written in policies.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Enforce => "enforce",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// What it weighs when the aim of a control does not hold, whoever decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// A nuisance, or a layer that others back up.
    Low,
    /// One layer less between the program and the host.
    Medium,
    /// The host, or another container, is within reach of whoever takes over the program.
    High,
}

/// Short for the rows.
pub(crate) const LOW: Severity = Severity::Low;

pub(crate) const MEDIUM: Severity = Severity::Medium;

pub(crate) const HIGH: Severity = Severity::High;

/// Short for the tables of modes.
pub(crate) const OFF: Mode = Mode::Off;

pub(crate) const WARN: Mode = Mode::Warn;

pub(crate) const ON: Mode = Mode::Enforce;
