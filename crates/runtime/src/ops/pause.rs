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
