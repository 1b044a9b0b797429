//! What a container is doing now: asked of the kernel each time, never stored.

use super::{InitRecord, Record, StateDir};
use crate::procfs;
use anyhow::{Context as _, Result};
use casemate_cgroup::Cgroup;
use casemate_sys::process;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

/// Status of a container (runtime-spec "State"; `paused` is runc's).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// `create` is at work.
    Creating,
    /// Waiting for `start`.
    Created,
    /// The program runs.
    Running,
    /// Its cgroup is frozen.
    Paused,
    /// Init is gone.
    Stopped,
}

impl Status {
    /// The name in the specification.
    pub fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }

    /// Init exists.
    pub fn is_alive(self) -> bool {
        matches!(self, Self::Created | Self::Running | Self::Paused)
    }

    /// Ask. A zombie counts as gone, so that `delete` works before whoever owns the process has reaped it.
    ///
    /// # Errors
    /// Something cannot be looked at. A container of which nothing is known is not stopped: commands that rest on that
    /// would give its ids to others, or remove what it uses.
    pub fn of(record: &Record, state: &StateDir, proc: impl AsFd) -> Result<Self> {
        let Some(init) = record.init else {
            // A create that was killed left no lock behind.
            return Ok(if state.is_locked()? { Self::Creating } else { Self::Stopped });
        };
        if init.is_alive(proc)? {
            Self::while_init_lives(record, state)
        } else {
            Ok(Self::Stopped)
        }
    }

    /// The same, by who knows that init lives.
    ///
    /// # Errors
    /// As of [`Status::of`].
    pub fn while_init_lives(record: &Record, state: &StateDir) -> Result<Self> {
        Ok(if is_frozen(record)? {
            Self::Paused
        } else if !state.is_complete()? && state.is_locked()? {
            Self::Creating
        } else if state.has_gate()? {
            Self::Created
        } else {
            Self::Running
        })
    }
}

fn is_frozen(record: &Record) -> Result<bool> {
    let Some(cgroup) = &record.cgroup else { return Ok(false) };
    match Cgroup::open(&cgroup.path).and_then(|cgroup| cgroup.is_frozen()) {
        // A cgroup that vanishes under our feet is not frozen.
        Err(error) if error.is_gone() => Ok(false),
        other => other.context("cgroup"),
    }
}

impl InitRecord {
    /// A pidfd of init that is certainly init: the start time is compared after the descriptor is open, so that a pid
    /// that was used again cannot slip in between. `None`: it is gone.
    ///
    /// # Errors
    /// It cannot be told.
    pub(crate) fn open(&self, proc: impl AsFd) -> Result<Option<OwnedFd>> {
        let pidfd = match process::pidfd_open(self.pid) {
            // The number of a process that is gone may be that of another one's thread by now: EINVAL, or ENOENT on newer
            // kernels (pidfd_open(2)).
            Err(e) if matches!(e.errno(), Errno::SRCH | Errno::INVAL | Errno::NOENT) => {
                return Ok(None)
            }
            other => other.context("container init")?,
        };
        Ok(self.is_alive(proc)?.then_some(pidfd))
    }

    /// Whether the number is certainly another's by now: it is somebody's to whom the caller may send no signal. Who has made a
    /// container may always signal its init, as the owner of its user namespace where not as the same user.
    fn is_foreign(&self) -> bool {
        let signalled =
            process::pidfd_open(self.pid).and_then(|init| process::pidfd_signal(&init, 0));
        matches!(signalled, Err(e) if matches!(e.errno(), Errno::PERM | Errno::SRCH))
    }

    /// Whether the process is there, and is the one that was recorded.
    ///
    /// # Errors
    /// It cannot be told.
    pub(crate) fn is_alive(&self, proc: impl AsFd) -> Result<bool> {
        let stat = match procfs::stat(proc, self.pid) {
            // With hidepid=1 (proc(5)) an ordinary user may not look at the processes of others.
            Err(e) if matches!(e.errno(), Errno::PERM | Errno::ACCESS) && self.is_foreign() => None,
            other => other.context("container init")?,
        };
        Ok(stat.is_some_and(|stat| {
            stat.start_time == self.start_time && !matches!(stat.state, 'Z' | 'X')
        }))
    }
}
