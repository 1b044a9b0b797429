//! `console.peer`: the terminal is handed to the caller or to root, and to nobody else.

use super::prelude::*;
use crate::control::Mode;

/// **What.** The terminal of a container, or of an `exec`, is sent to `--console-socket` only if
/// root or the caller itself listens there, as the kernel says (SO_PEERCRED), not the owner of a
/// path.
///
/// **Why.** Who has the terminal's other side reads what is shown and types. A socket in a
/// directory that others may write can be another one than it was.
///
/// **What breaks.** `sudo` in front of the runtime and not in front of the program that shows the
/// terminal.
///
/// **Override.**
///
/// - `console.foreign`: a terminal for another user than the caller
///
/// **In the profiles.**
///
/// - privileged: To whoever listens.
/// - baseline: A terminal is a way in.
/// - hardened: Whoever has the terminal types into it. The socket that it is sent to has a path,
///   and a path may be somebody else's.
pub(crate) const PEER: Control = Control {
    id: ControlId::ConsolePeer,
    name: "console.peer",
    allow: &["console.foreign"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
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
