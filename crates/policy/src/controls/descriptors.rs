//! `process.preserved-fds`: no way into the host is handed over as a descriptor.

use super::devices;
use super::prelude::*;
use crate::control::Mode;
use crate::facts::FileKind;

/// **What.** A descriptor that the caller hands over (`--preserve-fds`, socket activation, a
/// standard stream), at `create`, `run` and `exec`, must not be a directory or a mere path
/// (O_PATH), nor a file through which the kernel shows or changes itself or the host (procfs,
/// sysfs, cgroups, namespaces, pidfds and the like). What passes is listed: regular files, pipes,
/// sockets, terminals, the devices that every container has or that an override of `devices.nodes`
/// lets in, and of the kernel's objects without a name `eventfd`, `timerfd`, `signalfd` and
/// `epoll`. Everything else is refused: fanotify and inotify groups, rings of io_uring, programs
/// and maps of bpf, perf events, userfaultfd, mounts that are not mounted yet, what comes from KVM,
/// memory of devices, and what this release does not know.
///
/// **Why.** From a directory that is open everything below it can be reached, whatever is mounted
/// in the container (CVE-2024-21626 was such a descriptor, handed over by mistake). What was
/// opened by root, /proc/PID/mem say, is written to with root's rights; a fanotify group of root's
/// opens the host's files for whoever reads from it, and a ring of io_uring makes calls that no
/// filter sees.
///
/// **What breaks.** Programs that are given a directory on purpose: bind it. Service managers that
/// open files of /proc or /sys, or a device, for a service, or have its output in /dev/kmsg.
///
/// **Override.**
///
/// - `descriptors.directories`: directories among preserved descriptors and standard streams
/// - `descriptors.kernel-files`: files of procfs, sysfs, cgroups and the like, namespaces, pidfds,
///   other objects of the kernel and devices among preserved descriptors and standard streams
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
    /// A device that is no terminal.
    Device(FileKind),
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
            LeadsTo::Device(_) => ("descriptors.kernel-files", "the device"),
        };
        let allows = |name: &str| self.overrides().allows(name).is_some();
        if self.mode(control) != Mode::Enforce || allows(name) {
            return Ok(());
        }
        if let LeadsTo::Device(kind) = to {
            match devices::needed(kind, path) {
                None => return Ok(()),
                Some(class) if allows(class) || allows("devices.all") => return Ok(()),
                Some(_) => {}
            }
        }
        let kind = match to {
            LeadsTo::Kernel(fs) => format!(" ({fs})"),
            LeadsTo::Directory | LeadsTo::Device(_) => String::new(),
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
