//! `process.preserved-fds`: no way into the host is handed over as a descriptor.

use super::prelude::*;
use crate::control::Mode;

/// **What.** A descriptor that the caller hands over (`--preserve-fds`, socket activation, a
/// standard stream), at `create`, `run` and `exec`, must not be a directory or a mere path
/// (O_PATH). Preserved ones must not be files through which the kernel shows or changes itself or
/// the host either (procfs, sysfs, cgroups, namespaces, pidfds and the like; not terminals). Other
/// files, sockets and pipes pass.
///
/// **Why.** From a directory that is open everything below it can be reached, whatever is mounted
/// in the container (CVE-2024-21626 was such a descriptor, handed over by mistake). What was
/// opened by root, /proc/PID/mem say, is written to with root's rights.
///
/// **What breaks.** Programs that are given a directory on purpose: bind it. Service managers that
/// open files of /proc or /sys for a service.
///
/// **Override.**
///
/// - `descriptors.directories`: directories among preserved descriptors and standard streams
/// - `descriptors.kernel-files`: files of procfs, sysfs, cgroups and the like, namespaces and
///   pidfds among preserved descriptors
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
    allow: &["descriptors.directories", "descriptors.kernel-files"],
    modes: [OFF, OFF, ON, ON],
    severity: HIGH,
    summary: "no directory of the host and no file of its kernel is handed over as a descriptor",
};

/// What a descriptor leads to that is not for a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeadsTo {
    /// A directory, or a descriptor that is only a path.
    Directory,
    /// A file of this file system of the kernel's.
    Kernel(&'static str),
}

impl HardenedSpec {
    /// Whether the caller may hand over what leads there by this number; below 3 it is a standard stream.
    ///
    /// # Errors
    /// It may not.
    pub fn check_descriptor(&self, number: i32, to: LeadsTo, path: &str) -> Result<(), Refusal> {
        let control = ControlId::PreservedFds;
        let (name, what) = match to {
            LeadsTo::Directory => ("descriptors.directories", "the directory or path"),
            LeadsTo::Kernel(_) => ("descriptors.kernel-files", "the kernel's file"),
        };
        if self.mode(control) != Mode::Enforce || self.overrides().allows(name).is_some() {
            return Ok(());
        }
        let kind = match to {
            LeadsTo::Kernel(fs) => format!(" ({fs})"),
            LeadsTo::Directory => String::new(),
        };
        let reason = match number {
            0..3 => format!("standard stream {number} is {what} {path} of the host{kind}"),
            _ => format!(
                "descriptor {number} that is to be preserved is {what} {path} of the host{kind}"
            ),
        };
        Err(self.refuse_later(control, "", reason, Some(name)))
    }
}
