//! `delete`: everything that a container left on the host goes.

use super::end::kill_everything;
use super::unreadable::Unreadable;
use crate::audit_log::around;
use crate::hinted::hinted;
use crate::launch::hooks::run_poststop;
use crate::plan::hooks::of_record;
use crate::request::{DeleteRequest, Global};
use crate::state::Container;
use crate::state::{past, CgroupRecord, StateDir, StateRoot, Status};
use anyhow::{bail, Context as _, Result};
use rustix::io::Errno;
use tracing::debug_span;

/// Remove a container. A created one is killed first; a running one only by force.
///
/// # Errors
/// `container does not exist`, without force; a running container, without force; what could not be removed.
pub fn delete(global: &Global, request: &DeleteRequest) -> Result<()> {
    around(global, "delete", &request.id, |trail| {
        trail.set("casemate.force", || request.force.into());
        debug_span!("delete", container = %request.id).in_scope(|| remove(global, request))
    })
}

fn remove(global: &Global, request: &DeleteRequest) -> Result<()> {
    let root = StateRoot::open(&global.root)?;
    let state = match root.find(&request.id)? {
        None if request.force => return forget(global, request),
        None => root.container(&request.id)?,
        Some(state) => state,
    };
    let record = match state.load() {
        Ok(Some(record)) => record,
        // A create that was cut short before it wrote anything: by force it goes. The directory of another runtime that
        // shares the root stays, and its container with it.
        Ok(None) if !state.is_locked()? => {
            if !state.is_foreign()? {
                state.remove()?;
                forget(global, request)?;
            }
            if request.force {
                return Ok(());
            }
            bail!("container does not exist");
        }
        Err(why) if request.force => return remove_unreadable(state, why),
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
            let (id, status) = (&request.id, other.name());
            return Err(hinted(
                format!("cannot delete container {id} that is not stopped: {status}"),
                "'kill' ends it, 'delete --force' does both",
            ));
        }
        _ => {}
    }
    debug_span!("end processes").in_scope(|| kill_everything(&container))?;
    debug_span!("remove").in_scope(|| destroy(&container))
}

/// What a create took that was cut short before there was a directory to find it by.
fn forget(global: &Global, request: &DeleteRequest) -> Result<()> {
    let state = global.root.join(&request.id);
    crate::resolve::userns::forget(&state)?;
    crate::resolve::selinux::forget(&state)
}

/// By what can be read it goes as a whole, or it stays as a whole.
fn remove_unreadable(state: StateDir, why: anyhow::Error) -> Result<()> {
    // Another time it may be read, and the poststop hooks that it names run.
    let errno = why.downcast_ref::<casemate_sys::Error>().map(casemate_sys::Error::errno);
    if matches!(errno, Some(Errno::MFILE | Errno::NFILE | Errno::NOMEM)) {
        return Err(why);
    }
    match state.load_without_init() {
        // Its init is not known: it is in the cgroup.
        Ok(Some(record)) if record.cgroup.as_ref().is_some_and(CgroupRecord::is_known) => {
            let container = Container { state, record, proc: crate::procfs::open()? };
            kill_everything(&container)?;
            destroy(&container)
        }
        _ => Unreadable::new(state, why)?.remove(),
    }
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
        crate::launch::cgroups::remove(cgroup, record.rootless).context("cgroup")?;
    }
    for file in record.id_range.iter().chain(&record.own_ids) {
        crate::resolve::userns::release(file)?;
    }
    if let Some(categories) = &record.categories {
        crate::resolve::selinux::release(categories)?;
    }
    past::keep(&container.state, record);
    container.state.remove()?;
    let (list, state) =
        of_record(record, "poststop", &record.spec.hooks.poststop, &container.proc)?;
    run_poststop(&list, &state);
    Ok(())
}
