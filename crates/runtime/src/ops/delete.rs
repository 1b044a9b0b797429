//! `delete`: everything that a container left on the host goes.

use super::Container;
use crate::audit_log::around;
use crate::lower::hooks::of_record;
use crate::request::{DeleteRequest, Global};
use crate::state::{StateRoot, Status};
use anyhow::{bail, Context as _, Result};
use casemate_sandbox::hooks;
use casemate_sandbox::plan::{Hook, HookState};
use casemate_sys::process;
use rustix::event::{poll, PollFd, PollFlags};
use std::time::Duration;

/// How long init may take to die of SIGKILL.
const DEATH: Duration = Duration::from_secs(10);

/// Remove a container. A created one is killed first; a running one only by force.
///
/// # Errors
/// `container does not exist`, without force; a running container, without force; what could not be removed.
pub fn delete(global: &Global, request: &DeleteRequest) -> Result<()> {
    around(global, "delete", &request.id, |trail| {
        trail.set("casemate.force", || request.force.into());
        remove(global, request)
    })
}

fn remove(global: &Global, request: &DeleteRequest) -> Result<()> {
    let root = StateRoot::open(&global.root)?;
    let state = match root.find(&request.id)? {
        None if request.force => return Ok(()),
        None => root.container(&request.id)?,
        Some(state) => state,
    };
    let loaded = match state.load() {
        // Of a record that can be read all but for its init, what the container has is known, and goes.
        Err(error) if request.force => state.load_without_init().map_err(|_| error),
        other => other,
    };
    let record = match loaded {
        Ok(Some(record)) => record,
        // A create that was cut short before it wrote anything, or a record that cannot be read: by force it goes. The
        // directory of another runtime that shares the root stays, and its container with it.
        Ok(None) if !state.is_locked()? => {
            if !state.is_foreign()? {
                state.remove()?;
            }
            if request.force {
                return Ok(());
            }
            bail!("container does not exist");
        }
        Err(_) if request.force => return state.remove(),
        Ok(None) => bail!("container does not exist"),
        Err(e) => return Err(e),
    };
    let container = Container { state, record, proc: crate::procfs::open()? };
    match container.status()? {
        Status::Stopped | Status::Created => {}
        Status::Creating if !request.force => {
            bail!("cannot delete container {} that is being created", request.id)
        }
        other if !request.force => {
            bail!("cannot delete container {} that is not stopped: {}", request.id, other.name())
        }
        _ => {}
    }
    kill_everything(&container)?;
    destroy(&container)
}

/// Kill init and wait for it; whatever is left in the cgroup goes with it.
pub(crate) fn kill_everything(container: &Container) -> Result<()> {
    if let Some(init) = container.init()? {
        match process::pidfd_signal(&init, super::kill::SIGKILL) {
            Err(e) if e.errno() != rustix::io::Errno::SRCH => return Err(e.into()),
            _ => {}
        }
        if let Some(cgroup) = container.cgroup()? {
            cgroup.kill_all()?;
        }
        let spec = rustix::event::Timespec { tv_sec: DEATH.as_secs() as i64, tv_nsec: 0 };
        let ended = rustix::io::retry_on_intr(|| {
            poll(&mut [PollFd::new(&init, PollFlags::IN)], Some(&spec))
        })?;
        if ended == 0 {
            bail!("container init still running");
        }
    } else if let Some(cgroup) = container.cgroup()? {
        // Processes without their init: a shared pid namespace, or one that was killed from outside.
        match cgroup.procs(true) {
            Ok(pids) if pids.is_empty() => {}
            Err(error) if error.is_gone() => {}
            Ok(_) => cgroup.kill_all()?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// After init has ended and was reaped. A pid namespace of its own has taken everything along, so that nothing is left to be
/// killed.
pub(crate) fn clean_up(container: &Container) -> Result<()> {
    if container.record.shared_pid_namespace {
        kill_everything(container)?;
    }
    destroy(container)
}

/// Remove cgroup and state, then run the poststop hooks. Hooks that fail do not bring the container back.
pub(crate) fn destroy(container: &Container) -> Result<()> {
    let record = &container.record;
    if let Some(cgroup) = &record.cgroup {
        crate::cgroups::remove(cgroup, record.rootless).context("cgroup")?;
    }
    if let Some(range) = &record.id_range {
        crate::userns::release(range)?;
    }
    if let Some(categories) = &record.categories {
        crate::selinux::release(categories)?;
    }
    container.state.remove()?;
    let (list, state) = of_record(record, "poststop", &record.spec.hooks.poststop)?;
    run_poststop(&list, &state);
    Ok(())
}

/// "the runtime MUST log a warning, but the remaining hooks and lifecycle continue" (runtime-spec).
pub(crate) fn run_poststop(list: &[Hook], state: &HookState) {
    for hook in list {
        if let Err(failure) = hooks::run(hook, &state.render("stopped", 0)) {
            crate::warnings::add(failure.to_string());
        }
    }
}
