//! `kill`: signals, to a process that is certainly the container's.

use super::end::{self, SIGKILL};
use super::unreadable::Unreadable;
use crate::audit_log::around;
use crate::request::{Global, KillRequest};
use crate::state::Container;
use crate::state::{StateRoot, Status};
use anyhow::{bail, Result};
use casemate_sys::process;
use std::time::Duration;
use tracing::debug_span;

/// How long a frozen cgroup may take to thaw.
pub(crate) const THAW: Duration = Duration::from_secs(2);

/// Send a signal to init, or to all processes.
///
/// # Errors
/// `container not running` for a stopped one, except with `--all`, where leftovers of a shared pid namespace are what is
/// meant and having none is fine.
pub fn kill(global: &Global, request: &KillRequest) -> Result<()> {
    around(global, "kill", &request.id, |trail| {
        trail.set("casemate.signal", || request.signal.into());
        debug_span!("kill", container = %request.id, signal = request.signal)
            .in_scope(|| signal(global, request))
    })
}

fn signal(global: &Global, request: &KillRequest) -> Result<()> {
    let state = StateRoot::open(&global.root)?.container(&request.id)?;
    let record = match state.load() {
        Err(why) => return Unreadable::new(state, why)?.signal(request),
        Ok(None) => bail!("container does not exist"),
        Ok(Some(record)) => record,
    };
    let container = Container { state, record, proc: crate::procfs::open()? };
    if request.all {
        return kill_all(&container, request.signal);
    }
    let status = container.status()?;
    // A container without a pid namespace of its own does not end with its init.
    if request.signal == SIGKILL && container.record.shared_pid_namespace {
        if let Some(cgroup) = container.cgroup()? {
            return Ok(end::kill_all(&cgroup, end::kept(&container))?);
        }
    }
    let Some(init) = container.init()? else { bail!("container not running") };
    match process::pidfd_signal(&init, request.signal) {
        Err(e) if e.errno() == rustix::io::Errno::SRCH => {
            bail!("container not running: no such process")
        }
        other => other?,
    }
    // A frozen process dies only when it may run again.
    if request.signal == SIGKILL && status == Status::Paused {
        if let Some(cgroup) = container.cgroup()? {
            cgroup.thaw(THAW)?;
        }
    }
    Ok(())
}

fn kill_all(container: &Container, signal: i32) -> Result<()> {
    match container.cgroup()? {
        Some(cgroup) if signal == SIGKILL => Ok(end::kill_all(&cgroup, end::kept(container))?),
        Some(cgroup) => Ok(cgroup.signal_all_raw(signal)?),
        None => match container.init()? {
            Some(init) => Ok(process::pidfd_signal(&init, signal)?),
            None => Ok(()),
        },
    }
}
