//! One row of the table of controls.

use super::id::ControlId;
use super::mode::{Mode, Severity};
use crate::profile::ProfileName;

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
    /// Its mode in a profile.
    #[must_use]
    pub fn mode(&self, profile: ProfileName) -> Mode {
        self.modes[profile as usize]
    }
}
