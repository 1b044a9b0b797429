//! A container as the commands after `create` find it.

use super::dir::StateDir;
use super::record::{CgroupRecord, Record};
use super::root::StateRoot;
use super::status::Status;
use crate::request::Global;
use crate::{procfs, ContainerId};
use anyhow::{bail, Context as _, Result};
use casemate_cgroup::Cgroup;
use rustix::fd::OwnedFd;

/// A container's cgroup, if it still exists.
pub(crate) fn open_cgroup(record: &CgroupRecord) -> Result<Option<Cgroup>> {
    match Cgroup::open(&record.path) {
        Err(error) if error.is_gone() => Ok(None),
        other => other.map(Some).context("cgroup"),
    }
}

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

    /// A pidfd of init; `None` when it is gone.
    pub(crate) fn init(&self) -> Result<Option<OwnedFd>> {
        self.record.init.map_or(Ok(None), |init| init.open(&self.proc))
    }

    /// Init as above, and what the container does meanwhile; `None` when there is no init.
    pub(crate) fn living(&self) -> Result<Option<(OwnedFd, Status)>> {
        let Some(init) = self.init()? else { return Ok(None) };
        Ok(Some((init, Status::while_init_lives(&self.record, &self.state)?)))
    }

    /// The container's cgroup, if it has one that still exists.
    ///
    /// # Errors
    /// It cannot be opened, for another reason than that it is gone.
    pub(crate) fn cgroup(&self) -> Result<Option<Cgroup>> {
        self.record.cgroup.as_ref().map_or(Ok(None), open_cgroup)
    }
}
