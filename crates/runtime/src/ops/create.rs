//! `create`: a container that waits for `start`.

use super::make::{make, Made, HeldBy};
use crate::request::{CreateRequest, Global};
use anyhow::Result;
use casemate_sandbox::proto::{tell_child, FromParent};

/// Make a container and leave it at its gate.
///
/// # Errors
/// Everything that can be wrong with the bundle or the host; nothing of the container is left then.
pub fn create(global: &Global, request: &CreateRequest) -> Result<()> {
    let Made { state, child, undo, .. } = make(global, request, HeldBy::Created)?;
    if let Err(error) = tell_child(&child.channel, FromParent::Commit) {
        let error = undo.roll_back(error.into());
        state.remove()?;
        return Err(error);
    }
    undo.commit();
    Ok(())
}
