//! `console.peer`: the terminal is handed to the caller or to root, and to nobody else.

use super::prelude::*;
use crate::control::Mode;

pub(crate) const PEER: Control = Control {
    id: ControlId::ConsolePeer,
    name: "console.peer",
    allow: &["console.foreign"],
    modes: [OFF, ON, ON, ON],
    summary: "the terminal is handed to the caller or to root, and to nobody else",
};

impl HardenedSpec {
    /// Whether `peer`, the user at the other end of the console socket, gets the terminal of a caller with the uid `caller`.
    ///
    /// # Errors
    /// It is somebody else.
    pub fn check_console(&self, peer: u32, caller: u32) -> Result<(), Refusal> {
        let control = ControlId::ConsolePeer;
        let known =
            peer == 0 || peer == caller || self.overrides().allows("console.foreign").is_some();
        if known || self.mode(control) != Mode::Enforce {
            return Ok(());
        }
        let reason = format!(
            "the console socket is listened on by uid {peer}, and not by root or the caller (uid {caller})"
        );
        Err(self.refuse_later(control, "", reason, Some("console.foreign")))
    }
}
