//! `console.peer`: the terminal is handed to the caller or to root, and to nobody else.

use super::prelude::*;
use crate::control::Mode;

/// **What.** casemate sends the terminal of a container, or of an `exec`, to `--console-socket`
/// only if root or the caller itself listens there. It asks the kernel who listens (SO_PEERCRED)
/// and does not rely on the owner of a path.
///
/// **Why.** The process at the other end of a terminal reads what is shown and can type. In a
/// directory that others may write, a socket can be replaced.
///
/// **What breaks.** Using `sudo` for the runtime but not for the program that shows the terminal.
///
/// **Override.**
///
/// - `console.foreign`: a terminal for another user than the caller
///
/// **In the profiles.**
///
/// - privileged: Sent to any listener.
/// - baseline: A terminal is a way in.
/// - hardened: The owner of a terminal can type into it. The socket that it is sent to has a path,
///   and a path may belong to somebody else.
pub(crate) const PEER: Control = Control {
    id: ControlId::ConsolePeer,
    name: "console.peer",
    allow: &["console.foreign"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "the terminal is sent only to the caller or to root",
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
