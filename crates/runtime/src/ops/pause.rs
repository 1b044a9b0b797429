//! `pause` and `resume`: the cgroup's freezer.

use crate::audit_log::around;
use crate::request::Global;
use crate::state::Container;
use crate::state::Status;
use crate::ContainerId;
use anyhow::{anyhow, bail, Result};
use std::time::Duration;

/// How long a busy container may take to come to a stop.
const FREEZE: Duration = Duration::from_secs(10);

/// Freeze all processes of a created or running container.
///
/// # Errors
/// The container does not exist, is neither created nor running, or has no cgroup; its processes do
/// not stop within 10 s.
pub fn pause(global: &Global, id: &ContainerId) -> Result<()> {
    around(global, "pause", id, |_| freeze(global, id))
}

fn freeze(global: &Global, id: &ContainerId) -> Result<()> {
    let container = Container::load(global, id)?;
    // A `start` that has found it created, and now waits for its answer, would wait until it is resumed.
    container.state.lock()?;
    match container.status()? {
        Status::Created | Status::Running => {}
        _ => bail!("container not running"),
    }
    let cgroup =
        container.cgroup()?.ok_or_else(|| anyhow!("the container has no cgroup to freeze"))?;
    Ok(cgroup.freeze(FREEZE)?)
}

/// Thaw a paused container.
///
/// # Errors
/// The container does not exist, is not paused, or has no cgroup; an ancestor of its cgroup is
/// frozen for longer than 10 s.
pub fn resume(global: &Global, id: &ContainerId) -> Result<()> {
    around(global, "resume", id, |_| thaw(global, id))
}

fn thaw(global: &Global, id: &ContainerId) -> Result<()> {
    let container = Container::load(global, id)?;
    if container.status()? != Status::Paused {
        bail!("container not paused");
    }
    let cgroup =
        container.cgroup()?.ok_or_else(|| anyhow!("the container has no cgroup to thaw"))?;
    Ok(cgroup.thaw(FREEZE)?)
}
