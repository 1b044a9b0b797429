//! The table of controls: what each is called, how its overrides are called, and what it does in each profile.
//!
//! A control is one file of `controls`; here is what they have in common. Values (lists, limits) belong to `Profile`.
//! The documents take what they say about a control from its row and from the comment above it (`hack/docs --write`).

mod allow;
mod id;
mod table;

pub use allow::{seccomp_features, Allow};
pub use table::{ControlId, CONTROLS};

use crate::profile::ProfileName;
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

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Its id.
    pub id: ControlId,
    /// The id as text, `family.name`.
    pub name: &'static str,
    /// What its overrides are called. `family.*` stands for a name that is made of parts (`capabilities.net_raw`);
    /// the control's own id means all names that are written out. Empty: there is no override.
    pub allow: &'static [&'static str],
    /// The mode in privileged, baseline, hardened and restricted.
    pub modes: [Mode; 4],
    /// What it weighs when its aim does not hold.
    pub severity: Severity,
    /// What it does, in one line.
    pub summary: &'static str,
}

impl Control {
    /// The control with this id.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        CONTROLS.iter().find(|control| control.name == id)
    }

    /// Its mode in a profile.
    #[must_use]
    pub fn mode(&self, profile: ProfileName) -> Mode {
        self.modes[profile as usize]
    }
}
