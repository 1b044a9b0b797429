//! `process.preserved-fds`: no directory of the host is handed over as a descriptor.

use super::prelude::*;
use crate::control::Mode;

pub(crate) const DIRECTORIES: Control = Control {
    id: ControlId::PreservedFds,
    name: "process.preserved-fds",
    allow: &["descriptors.directories"],
    modes: [OFF, OFF, ON, ON],
    summary: "no directory of the host is handed over as a descriptor",
};

impl HardenedSpec {
    /// Whether the caller may hand over a directory, or a descriptor that is only a path, by this number.
    ///
    /// # Errors
    /// It may not.
    pub fn check_directory(&self, number: u32, path: &str) -> Result<(), Refusal> {
        let (control, name) = (ControlId::PreservedFds, "descriptors.directories");
        if self.mode(control) != Mode::Enforce || self.overrides().allows(name).is_some() {
            return Ok(());
        }
        let reason = format!(
            "descriptor {number} that is to be preserved is the directory or path {path} of the host"
        );
        Err(self.refuse_later(control, "", reason, Some(name)))
    }
}
