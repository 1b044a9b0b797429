//! `run`: create, start, and, in the foreground, wait and delete.

use super::make::{make, Made};
use super::start::run_poststart;
use crate::audit_log::Trail;
use crate::launch::container::HeldBy;
use crate::launch::foreground::Foreground;
use crate::launch::notify::Relay;
use crate::launch::supervise::await_exec;
use crate::request::{CreateRequest, Global, RunRequest};
use crate::state::Container;
use anyhow::Result;
use casemate_sandbox::proto::{tell_child, FromParent};
use casemate_sys::process;
use tracing::debug_span;

/// Run a container; answers the exit status of its process, or 0 when detached.
///
/// # Errors
/// As `create` and `start`; nothing of the container is left then.
pub fn run(global: &Global, request: &RunRequest) -> Result<i32> {
    let foreground =
        if request.detach { None } else { Some(Foreground::take_over(!request.no_subreaper)?) };
    let _command = debug_span!("run", container = %request.create.id).entered();
    let mut trail = Trail::begin(global, "run", &request.create.id)?;
    let made = make(global, &request.create, HeldBy::Run(request.detach), &mut trail);
    let made = trail.note(made)?;
    trail.set("casemate.init.pid", || made.child.pid.into());
    let released = trail
        .allow()
        .and_then(|()| debug_span!("start").in_scope(|| release(&made, &request.create)));
    let released = trail.note(released);
    let Made { state, record, proc, child, master, undo, .. } = made;
    let relay = match released {
        Ok(relay) => relay,
        Err(error) => {
            let error = undo.roll_back(error);
            state.remove()?;
            return Err(error);
        }
    };
    undo.commit();
    let container = Container { state, record, proc };
    if let (Some(relay), true) = (&relay, request.detach) {
        relay.await_ready(&child.pidfd, child.pid)?;
    }
    if let Err(error) = run_poststart(&container) {
        // Killed, and reaped now or by whoever comes after us.
        process::wait(child.pid, true).ok();
        super::delete::destroy(&container)?;
        return Err(error);
    }
    let Some(foreground) = foreground else { return Ok(0) };
    let exit =
        debug_span!("wait").in_scope(|| foreground.wait(child.pid, &child.pidfd, master, relay));
    if !request.keep {
        let mut trail = Trail::begin_lax(global, "delete", &request.create.id);
        // What it could complain of is for those who start something.
        trail.of_record(&container.record).ok();
        let cleaned = debug_span!("remove").in_scope(|| super::delete::clean_up(&container));
        trail.finish(cleaned)?;
    }
    Ok(exit?.status())
}

/// Let the payload run, with the socket for its readiness in place.
fn release(made: &Made, request: &CreateRequest) -> Result<Option<Relay>> {
    let relay = made
        .record
        .notify_socket
        .as_ref()
        .map(|manager| Relay::bind(&made.state, manager))
        .transpose()?;
    // Stored first: whoever hears from the program may ask for its state, or exec into it, at once.
    made.save_posture()?;
    tell_child(&made.child.channel, FromParent::Start)?;
    let limit = crate::plan::hooks::limit(&made.record.spec.hooks.start_container);
    await_exec(&made.child.channel, limit)?;
    made.tell_caller(request)?;
    // For hooks, and as the last step: one that fails takes everything back.
    made.state.unlock()?;
    Ok(relay)
}
