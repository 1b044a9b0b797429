//! What a container is doing now: asked of the kernel each time, never stored.

use super::{Record, StateDir};
use crate::procfs;
use casemate_cgroup::Cgroup;
use rustix::fd::AsFd;

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
    pub fn of(record: &Record, state: &StateDir, proc: impl AsFd) -> Self {
        let Some(init) = record.init else {
            // A create that was killed left no lock behind.
            return if state.is_locked() { Self::Creating } else { Self::Stopped };
        };
        let alive = procfs::stat(proc, init.pid).is_some_and(|stat| {
            stat.start_time == init.start_time && !matches!(stat.state, 'Z' | 'X')
        });
        if alive {
            Self::while_init_lives(record, state)
        } else {
            Self::Stopped
        }
    }

    /// The same, by who knows that init lives.
    pub fn while_init_lives(record: &Record, state: &StateDir) -> Self {
        let frozen = record.cgroup.as_ref().is_some_and(|cgroup| {
            // A cgroup that vanishes under our feet is not frozen.
            Cgroup::open(&cgroup.path).and_then(|cgroup| cgroup.is_frozen()).unwrap_or(false)
        });
        if frozen {
            Self::Paused
        } else if !state.is_complete() && state.is_locked() {
            Self::Creating
        } else if state.has_gate() {
            Self::Created
        } else {
            Self::Running
        }
    }
}
