//! `process.preserved-fds`: no way into the host is handed over as a descriptor.

use super::devices;
use super::prelude::*;
use crate::control::Mode;
use crate::facts::FileKind;

/// **What.** The caller can pass descriptors (`--preserve-fds`, socket activation, a standard
/// stream) at `create`, `run` and `exec`. Such a descriptor must not be a directory or only a path
/// (O_PATH), nor a file through which the kernel shows or changes itself or the host (procfs,
/// sysfs, cgroups, namespaces, pidfds and similar). Permitted are regular files, pipes, sockets,
/// terminals, the devices that every container has or that an override of `devices.nodes` permits,
/// and of the kernel's anonymous objects `eventfd`, `timerfd`, `signalfd` and `epoll`. Everything
/// else is refused: fanotify and inotify groups, io_uring rings, bpf programs and maps, perf
/// events, userfaultfd, detached mounts, KVM's objects, device memory, and what this release does
/// not know.
///
/// **Why.** An open directory gives access to everything below it, whatever is mounted in the
/// container (CVE-2024-21626 was such a descriptor, passed by mistake). Writing to a file that root
/// opened, such as /proc/PID/mem, happens with root's rights. A fanotify group of root opens the
/// host's files for everybody who reads from it, and an io_uring ring makes calls that no filter
/// sees.
///
/// **What breaks.** Programs that get a directory on purpose: bind it instead. Service managers
/// that open files of /proc or /sys, or a device, for a service, or send its output to /dev/kmsg.
///
/// **Override.**
///
/// - `descriptors.directories`: directories among preserved descriptors and standard streams
/// - `descriptors.kernel-files`: files of procfs, sysfs, cgroups and the like, namespaces, pidfds,
///   other objects of the kernel and devices among preserved descriptors and standard streams
///
/// **In the profiles.**
///
/// - privileged: As the caller asks.
/// - baseline: As the caller asks.
/// - hardened: An open directory gives access to everything below it, whatever is mounted (like
///   CVE-2024-21626).
pub(crate) const DIRECTORIES: Control = Control {
    id: ControlId::PreservedFds,
    name: "process.preserved-fds",
    allow: &["descriptors.directories", "descriptors.kernel-files"],
    modes: [OFF, OFF, ON, ON],
    severity: HIGH,
    summary: "no directory of the host and no file of its kernel is passed in as a descriptor",
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
