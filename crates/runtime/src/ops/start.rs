//! `start`: open the gate of a created container.

use crate::audit_log::Trail;
use crate::hinted::{hinted, Hinted};
use crate::launch::notify::Relay;
use crate::launch::supervise::await_exec;
use crate::plan::hooks::{limit, of_record};
use crate::request::Global;
use crate::state::Container;
use crate::state::Status;
use crate::ContainerId;
use anyhow::{anyhow, bail, Result};
use casemate_sandbox::hooks;
use casemate_sandbox::proto::{start_child, STEP_SECONDS};
use casemate_sys::socket;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags};
use std::time::Duration;
use tracing::{debug, debug_span};

/// Start a created container, and run its poststart hooks.
///
/// # Errors
/// Any other status; the program could not be executed; a poststart hook failed (the container is stopped then,
/// as the specification asks).
pub fn start(global: &Global, id: &ContainerId) -> Result<()> {
    let mut trail = Trail::begin(global, "start", id)?;
    let started =
        debug_span!("start", container = %id).in_scope(|| release(global, id, &mut trail));
    trail.note(started)
}

fn release(global: &Global, id: &ContainerId, trail: &mut Trail) -> Result<()> {
    let container = Container::load(global, id)?;
    trail.of_record(&container.record)?;
    container.state.lock()?;
    match container.status()? {
        Status::Created => {}
        Status::Stopped => bail!("cannot start a container that has stopped"),
        Status::Running => bail!("cannot start an already running container"),
        other => bail!("cannot start a container in the {} state", other.name()),
    }
    let relay = Relay::of(&container)?;
    let init = if relay.is_some() { container.init()? } else { None };
    trail.allow()?;
    debug!("container {id}: opening its gate");
    debug_span!("gate").in_scope(|| open_gate(&container))?;
    container.state.unlock()?;
    if let (Some(relay), Some(init), Some(record)) = (relay, init, container.record.init) {
        debug_span!("readiness").in_scope(|| relay.await_ready(&init, record.pid))?;
    }
    debug_span!("poststart hooks").in_scope(|| run_poststart(&container))
}

fn open_gate(container: &Container) -> Result<()> {
    let gone = |error: anyhow::Error| Hinted::new("container init is gone", LOOK).because(error);
    let connection = container.state.connect_gate().map_err(|error| gone(error.into()))?;
    start_child(&connection, status_of(container)?).map_err(|error| gone(error.into()))?;
    let mut word = [0u8; 1];
    if !casemate_sys::fd::readable(&connection, Duration::from_secs(STEP_SECONDS))? {
        bail!("container init does not answer within {STEP_SECONDS} s (is it paused?)");
    }
    let (n, _) = socket::receive(&connection, &mut word)?;
    if n == 0 {
        return Err(not_waiting(container)?);
    }
    container.state.remove_gate()?;
    await_exec(&connection, limit(&container.record.spec.hooks.start_container))
}

/// What to do with a container that has ended before its start.
const LOOK: &str = "delete it and look at its log";

/// How long a process may take to end that has let go of its gate.
const DYING: Duration = Duration::from_secs(2);

/// Why nobody was at the gate any more: another start has opened it, or init has ended there, for instance because the
/// cgroup had no memory left.
fn not_waiting(container: &Container) -> Result<anyhow::Error> {
    let lives = match container.init()? {
        Some(init) => !casemate_sys::fd::readable(&init, DYING)?,
        None => false,
    };
    let ended = "cannot start a container that has stopped: container init ended while it waited";
    Ok(match lives {
        true => anyhow!("cannot start an already running container"),
        false => hinted(ended, LOOK),
    })
}

/// By which the container counts its filters, behind the last of them.
fn status_of(container: &Container) -> Result<OwnedFd> {
    let init = container.record.init.ok_or_else(|| anyhow!("the container has no process"))?;
    let path = format!("{}/status", init.pid);
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&container.proc, &path, flags, Mode::empty())
        .map_err(|e| anyhow!("open /proc/{path}: {}", casemate_sys::errno_text(e)))
}

/// poststart: after the program runs, before `start` returns.
pub(crate) fn run_poststart(container: &Container) -> Result<()> {
    let record = &container.record;
    let (list, state) =
        of_record(record, "poststart", &record.spec.hooks.poststart, &container.proc)?;
    let pid = record.init.map_or(0, |init| init.pid);
    if let Err(failure) = hooks::run_all(&list, &state.render("running", pid)) {
        super::end::kill_everything(container)?;
        return Err(failure.into());
    }
    Ok(())
}
