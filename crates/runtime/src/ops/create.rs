//! `create`: a container that waits for `start`.

use super::make::{make, Made};
use crate::audit_log::Trail;
use crate::launch::container::HeldBy;
use crate::request::{CreateRequest, Global};
use anyhow::Result;
use casemate_sandbox::proto::{tell_child, FromParent};
use tracing::debug_span;

/// Make a container and leave it at its gate.
///
/// # Errors
/// Everything that can be wrong with the bundle or the host; nothing of the container is left then.
pub fn create(global: &Global, request: &CreateRequest) -> Result<()> {
    let _command = debug_span!("create", container = %request.id).entered();
    let mut trail = Trail::begin(global, "create", &request.id)?;
    let made = make(global, request, HeldBy::Created, &mut trail);
    let made = trail.note(made)?;
    trail.set("casemate.init.pid", || made.child.pid.into());
    let finished = trail
        .allow()
        .and_then(|()| made.save_posture())
        .and_then(|()| made.tell_caller(request))
        .and_then(|()| Ok(tell_child(&made.child.channel, FromParent::Commit)?));
    let finished = trail.note(finished);
    let Made { state, undo, .. } = made;
    if let Err(error) = finished {
        let error = undo.roll_back(error);
        state.remove()?;
        return Err(error);
    }
    undo.commit();
    Ok(())
}
