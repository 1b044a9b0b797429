//! What can go wrong with cgroups, one line each: the operation, the file, errno, then a hint.
//!
//! Programs branch on the variant (or on [`Error::is_permission`]); people read the text.

use casemate_sys::errno_text;
use rustix::io::Errno;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// A cgroup operation that failed.
#[derive(Debug)]
pub enum Error {
    /// The host has no cgroup2 file system mounted, only version 1 hierarchies.
    CgroupV1Only,
    /// No cgroup file system of any version is mounted where this process can see it.
    NotMounted,
    /// A system call on a file of the cgroup tree failed.
    Io {
        /// What was tried, e.g. `mkdir`, `write "max"`.
        operation: String,
        /// On which file.
        path: PathBuf,
        /// With which result.
        errno: Errno,
    },
    /// A limit needs a controller that cannot be had in this cgroup.
    ControllerUnavailable {
        /// `memory`, `cpu`, ...
        controller: String,
        /// The limit that needs it, in the terms of the configuration.
        limit: String,
        /// The ancestor where enabling stopped.
        at: PathBuf,
        /// Why: the controller is absent (`None`) or the write failed.
        errno: Option<Errno>,
    },
    /// Processes are already there: the cgroup belongs to something else.
    NotEmpty {
        /// The cgroup.
        path: PathBuf,
        /// How many processes it and its descendants hold; one, when they are in other pid namespaces.
        processes: usize,
    },
    /// The cgroup exists and others are below it, or are about to be: what is done to it would be done to them.
    HasChildren {
        /// The cgroup.
        path: PathBuf,
        /// How many cgroups are directly below it.
        children: usize,
        /// The content of cgroup.subtree_control.
        controllers: String,
    },
    /// The cgroup exists and is frozen: a process made in it would never run.
    Frozen {
        /// The cgroup.
        path: PathBuf,
    },
    /// The cgroup is threaded or below a threaded one, so that processes or domain controllers cannot be in it.
    WrongType {
        /// The cgroup.
        path: PathBuf,
        /// The content of cgroup.type.
        kind: String,
    },
    /// A cgroup path that must not be used.
    BadPath {
        /// As it was given.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A limit that makes no sense, alone or beside another.
    BadLimit {
        /// Which one, in the terms of the configuration.
        limit: String,
        /// What is wrong with it.
        why: String,
    },
    /// A file of the kernel has content that this crate does not understand.
    BadContent {
        /// The file.
        path: PathBuf,
        /// What was found.
        found: String,
    },
    /// Something did not happen in time.
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        after: Duration,
    },
    /// bpf(2) failed for the device program.
    Devices {
        /// The cgroup.
        path: PathBuf,
        /// The failed call.
        source: casemate_sys::Error,
    },
    /// The conversation with the bus broke, or the bus could not be reached.
    Bus {
        /// The address that was used.
        address: String,
        /// What happened.
        why: String,
    },
    /// systemd answered a call with an error, or a job did not end well.
    Systemd {
        /// The method called.
        call: String,
        /// The unit concerned.
        unit: String,
        /// D-Bus error name, or `job result`.
        name: String,
        /// systemd's own words.
        message: String,
    },
}

impl Error {
    pub(crate) fn io(operation: impl Into<String>, path: impl AsRef<Path>, errno: Errno) -> Self {
        Self::Io { operation: operation.into(), path: path.as_ref().to_owned(), errno }
    }

    /// The error number behind it, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Io { errno, .. } => Some(*errno),
            Self::ControllerUnavailable { errno, .. } => *errno,
            Self::Devices { source, .. } => Some(source.errno()),
            _ => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::HasChildren { .. } => {
                Some("linux.cgroupsPath has to name a cgroup that nobody else uses".to_owned())
            }
            Self::WrongType { path, .. } => Some(format!(
                "processes in {} or threaded cgroups there are in the way; in a container, move its processes to a \
                 cgroup of their own first, or choose another cgroupsPath",
                path.parent().unwrap_or(path).display()
            )),
            _ => None,
        }
    }

    /// What is wrong, without the hint.
    pub fn message(&self) -> String {
        Message(self).to_string()
    }

    /// Whether this process was not allowed to (EACCES, EPERM, EROFS): what a rootless caller may choose to
    /// live with.
    pub fn is_permission(&self) -> bool {
        if let Self::Systemd { name, .. } = self {
            return name == "org.freedesktop.DBus.Error.AccessDenied"
                || name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired";
        }
        matches!(self.errno(), Some(Errno::ACCESS | Errno::PERM | Errno::ROFS))
    }

    /// Whether the file or the whole cgroup is gone.
    pub fn is_gone(&self) -> bool {
        // A file that was open when its cgroup was removed answers ENODEV.
        matches!(self.errno(), Some(Errno::NOENT | Errno::NODEV))
    }
}

fn controller_reason(errno: Option<Errno>) -> String {
    match errno {
        None => "the kernel does not offer it there; boot with cgroup v2 only, \
                 or remove the limit"
            .to_owned(),
        Some(Errno::BUSY) => {
            "device or resource busy: that cgroup has processes of its own, and a cgroup \
                              with processes cannot hand controllers down"
                .to_owned()
        }
        Some(errno) => errno_text(errno),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_message(f)?;
        self.hint().iter().try_for_each(|hint| write!(f, " (hint: {hint})"))
    }
}

/// An error without its hint.
struct Message<'a>(&'a Error);

impl fmt::Display for Message<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write_message(f)
    }
}

impl Error {
    fn write_message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CgroupV1Only => f.write_str(
                "no cgroup2 file system is mounted, only cgroup v1, which is not supported: \
                 boot with systemd.unified_cgroup_hierarchy=1",
            ),
            Self::NotMounted => f.write_str(
                "no cgroup file system is mounted: mount -t cgroup2 none /sys/fs/cgroup",
            ),
            Self::Io { operation, path, errno } => {
                write!(f, "{operation} {}: {}", path.display(), errno_text(*errno))
            }
            Self::ControllerUnavailable { controller, limit, at, errno } => write!(
                f,
                "{limit} needs the cgroup v2 controller {controller}, which cannot be enabled in {}: {}",
                at.display(),
                controller_reason(*errno)
            ),
            Self::NotEmpty { path, processes } => write!(
                f,
                "container's cgroup is not empty: {processes} process(es) found in {}",
                path.display()
            ),
            Self::HasChildren { path, children, controllers } => write!(
                f,
                "container's cgroup is not empty: {children} cgroup(s) found below {}, controllers handed down: \
                 {controllers:?}",
                path.display()
            ),
            Self::Frozen { path } => {
                write!(f, "container's cgroup unexpectedly frozen: {}", path.display())
            }
            Self::WrongType { path, kind } => write!(
                f,
                "cgroup {} is of type \"{kind}\" and takes no process with these limits",
                path.display()
            ),
            Self::BadPath { path, why } => write!(f, "cgroup path {path:?}: {why}"),
            Self::BadLimit { limit, why } => write!(f, "{limit}: {why}"),
            Self::BadContent { path, found } => {
                write!(f, "read {}: unexpected content {found:?}", path.display())
            }
            Self::TimedOut { what, after } => {
                write!(f, "timed out after {:.1} s waiting for {what}", after.as_secs_f64())
            }
            Self::Devices { path, source } => {
                write!(f, "device rules of cgroup {}: {source}", path.display())
            }
            Self::Bus { address, why } => write!(f, "D-Bus at {address}: {why}"),
            Self::Systemd { call, unit, name, message } => {
                write!(f, "systemd {call} {unit}: {name}: {message}")
            }
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Devices { source, .. } => Some(source),
            _ => None,
        }
    }
}
