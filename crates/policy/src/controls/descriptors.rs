//! `process.preserved-fds`: no directory of the host is handed over as a descriptor.

use super::prelude::*;
use crate::control::Mode;

/// **What.** A descriptor that the caller hands over (`--preserve-fds`, socket activation), at
/// `create`, `run` and `exec`, must not be a directory or a mere path (O_PATH). Files, sockets and
/// pipes pass.
///
/// **Why.** From a directory that is open everything below it can be reached, whatever is mounted
/// in the container (CVE-2024-21626 was such a descriptor, handed over by mistake).
///
/// **What breaks.** Programs that are given a directory on purpose: bind it.
///
/// **Override.**
///
/// - `descriptors.directories`: directories among preserved descriptors
///
/// **In the profiles.**
///
/// - privileged: As the caller says.
/// - baseline: As the caller says.
/// - hardened: From a directory that is open everything below it can be reached, whatever is
///   mounted (the class of CVE-2024-21626).
pub(crate) const DIRECTORIES: Control = Control {
    id: ControlId::PreservedFds,
    name: "process.preserved-fds",
    allow: &["descriptors.directories"],
    modes: [OFF, OFF, ON, ON],
    severity: HIGH,
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
