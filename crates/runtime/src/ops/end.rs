//! Ending a container's processes.

use crate::state::Container;
use anyhow::{bail, Result};
use casemate_cgroup::Cgroup;
use casemate_sys::process;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::time::Duration;

/// How long init may take to die of SIGKILL.
const DEATH: Duration = Duration::from_secs(10);

/// Kill init and wait for it; whatever is left in the cgroup goes with it.
pub(crate) fn kill_everything(container: &Container) -> Result<()> {
    end(container.init()?, container.cgroup()?, kept(container))
}

/// Whether the cgroup was there before the container, and is given back.
pub(crate) fn kept(container: &Container) -> bool {
    container.record.cgroup.as_ref().is_some_and(|cgroup| cgroup.before.is_some())
}

/// SIGKILL for everything in the cgroup.
pub(crate) fn kill_all(cgroup: &Cgroup, kept: bool) -> casemate_cgroup::Result<()> {
    match kept {
        true => cgroup.kill_all_of_kept(),
        false => cgroup.kill_all(),
    }
}

/// The same of a container of which these are known. `kept`: the cgroup stays.
pub(crate) fn end(init: Option<OwnedFd>, cgroup: Option<Cgroup>, kept: bool) -> Result<()> {
    if let Some(init) = init {
        match process::pidfd_signal(&init, SIGKILL) {
            Err(e) if e.errno() != Errno::SRCH => return Err(e.into()),
            _ => {}
        }
        if let Some(cgroup) = cgroup {
            kill_all(&cgroup, kept)?;
        }
        let spec = rustix::event::Timespec { tv_sec: DEATH.as_secs() as i64, tv_nsec: 0 };
        let ended = rustix::io::retry_on_intr(|| {
            poll(&mut [PollFd::new(&init, PollFlags::IN)], Some(&spec))
        })?;
        if ended == 0 {
            bail!("container init still running");
        }
    } else if let Some(cgroup) = cgroup {
        // Processes without their init: a shared pid namespace, or one that was killed from outside.
        match cgroup.procs(true) {
            Ok(pids) if pids.is_empty() => {}
            Err(error) if error.is_gone() => {}
            Ok(_) => kill_all(&cgroup, kept)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// SIGKILL.
pub(crate) const SIGKILL: i32 = 9;
