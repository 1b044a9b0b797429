//! The commands, one per file.

mod create;
mod delete;
mod events;
mod exec;
mod explain;
mod kill;
mod list;
mod make;
mod pause;
mod permit;
mod policy;
mod run;
mod start;
mod update;

pub use create::create;
pub use delete::delete;
pub use events::events;
pub use exec::exec;
pub use explain::explain;
pub use kill::kill;
pub use list::{list, ps, state};
pub use pause::{pause, resume};
pub use permit::permit;
pub use policy::{policy, policy_in, ControlReport, PolicyReport};
pub use run::run;
pub use start::start;
pub use update::update;

use crate::notify::Relay;
use crate::procfs;
use crate::request::Global;
use crate::state::{Record, StateDir, StateRoot, Status};
use crate::ContainerId;
use anyhow::{bail, Context as _, Result};
use casemate_cgroup::Cgroup;
use casemate_sys::process;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// A container as the commands after `create` find it.
pub(crate) struct Container {
    pub(crate) state: StateDir,
    pub(crate) record: Box<Record>,
    pub(crate) proc: OwnedFd,
}

impl Container {
    /// Load it; the state root decides, nothing else does.
    pub(crate) fn load(global: &Global, id: &ContainerId) -> Result<Self> {
        let state = StateRoot::open(&global.root)?.container(id)?;
        let Some(record) = state.load()? else { bail!("container does not exist") };
        Ok(Self { state, record, proc: procfs::open()? })
    }

    pub(crate) fn status(&self) -> Result<Status> {
        Status::of(&self.record, &self.state, &self.proc)
    }

    /// A pidfd of init that is certainly init: the start time is compared after the descriptor is open, so that a pid
    /// that was used again cannot slip in between.
    pub(crate) fn init(&self) -> Result<Option<OwnedFd>> {
        let Some(init) = self.record.init else { return Ok(None) };
        let pidfd = match process::pidfd_open(init.pid) {
            // The number of a process that is gone may be that of another one's thread by now: EINVAL, or ENOENT on newer
            // kernels (pidfd_open(2)).
            Err(e) if matches!(e.errno(), Errno::SRCH | Errno::INVAL | Errno::NOENT) => {
                return Ok(None)
            }
            other => other.context("container init")?,
        };
        Ok(init.is_alive(&self.proc)?.then_some(pidfd))
    }

    /// Init as above, and what the container does meanwhile; `None` when there is no init.
    pub(crate) fn living(&self) -> Result<Option<(OwnedFd, Status)>> {
        let Some(init) = self.init()? else { return Ok(None) };
        Ok(Some((init, Status::while_init_lives(&self.record, &self.state)?)))
    }

    /// The socket for readiness, bound now, if a service manager waits for it.
    pub(crate) fn relay(&self) -> Result<Option<Relay>> {
        self.record
            .notify_socket
            .as_ref()
            .map(|manager| Relay::bind(&self.state, manager))
            .transpose()
    }

    /// The container's cgroup, if it has one that still exists.
    ///
    /// # Errors
    /// It cannot be opened, for another reason than that it is gone.
    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        let Some(record) = &self.record.cgroup else { return Ok(None) };
        match Cgroup::open(&record.path) {
            Err(error) if error.is_gone() => Ok(None),
            other => other.map(Some).context("cgroup"),
        }
    }
}
