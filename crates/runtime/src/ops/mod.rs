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
use anyhow::{bail, Result};
use casemate_cgroup::Cgroup;
use casemate_sys::process;
use rustix::fd::OwnedFd;

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

    pub(crate) fn status(&self) -> Status {
        Status::of(&self.record, &self.state, &self.proc)
    }

    /// A pidfd of init that is certainly init: the start time is compared after the descriptor is open, so that a pid
    /// that was used again cannot slip in between.
    pub(crate) fn init(&self) -> Result<Option<OwnedFd>> {
        let Some(init) = self.record.init else { return Ok(None) };
        let Ok(pidfd) = process::pidfd_open(init.pid) else { return Ok(None) };
        let same = procfs::stat(&self.proc, init.pid).is_some_and(|stat| {
            stat.start_time == init.start_time && !matches!(stat.state, 'Z' | 'X')
        });
        Ok(same.then_some(pidfd))
    }

    /// Init as above, and what the container does meanwhile; `None` when there is no init.
    pub(crate) fn living(&self) -> Result<Option<(OwnedFd, Status)>> {
        let init = self.init()?;
        Ok(init.map(|init| (init, Status::while_init_lives(&self.record, &self.state))))
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
    pub(crate) fn cgroup(&self) -> Option<Cgroup> {
        let record = self.record.cgroup.as_ref()?;
        Cgroup::open(&record.path).ok()
    }
}
