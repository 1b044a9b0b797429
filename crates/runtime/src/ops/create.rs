//! `create`: a container that waits for `start`.

use super::make::{make, HeldBy, Made};
use crate::request::{CreateRequest, Global};
use anyhow::Result;
use casemate_sandbox::proto::{tell_child, FromParent};

/// Make a container and leave it at its gate.
///
/// # Errors
/// Everything that can be wrong with the bundle or the host; nothing of the container is left then.
pub fn create(global: &Global, request: &CreateRequest) -> Result<()> {
    let made = make(global, request, HeldBy::Created)?;
    let finished = made
        .save_posture()
        .and_then(|()| made.tell_caller(request))
        .and_then(|()| Ok(tell_child(&made.child.channel, FromParent::Commit)?));
    let Made { state, undo, .. } = made;
    if let Err(error) = finished {
        let error = undo.roll_back(error);
        state.remove()?;
        return Err(error);
    }
    undo.commit();
    Ok(())
}
