//! `process.keyring`: the container does not have its caller's session keyring.

use super::prelude::*;
use crate::control::Mode;
use crate::decision::Decision;

/// **What.** The container has a session keyring of its own, also when its caller says
/// `--no-new-keyring` (containers.conf `keyring = false`, containerd's `NoNewKeyring`), which with
/// runc leaves it that of the caller. `decisions.json` tells that it was asked for.
///
/// **Why.** The caller's keyring holds what its session was given: keys of encrypted directories,
/// Kerberos tickets, tokens of network file systems. The kernel uses them for a process without any
/// call of its own.
///
/// **What breaks.** Containers that are to use such keys of the host's session. Hosts where the
/// quota of keys is too small for one keyring for each container: raise `kernel.keys.maxkeys`.
///
/// **Override.**
///
/// - `keyring.inherited`: the caller's session keyring, with `--no-new-keyring`
///
/// **In the profiles.**
///
/// - privileged: As the caller says.
/// - baseline: As the caller says.
/// - hardened: What is in the caller's session keyring is the caller's: keys of file systems,
///   tickets. --no-new-keyring asks for it.
pub(crate) const OWN: Control = Control {
    id: ControlId::SessionKeyring,
    name: "process.keyring",
    allow: &["keyring.inherited"],
    modes: [OFF, OFF, ON, ON],
    severity: LOW,
    summary: "the container does not have its caller's session keyring",
};

impl HardenedSpec {
    /// Whether a container whose caller asks for no keyring of its own (`--no-new-keyring`) keeps the caller's.
    #[must_use]
    pub fn may_inherit_keyring(&self) -> bool {
        self.mode(ControlId::SessionKeyring) != Mode::Enforce
            || self.overrides().allows("keyring.inherited").is_some()
    }

    /// What is recorded of that; `inherit`: the caller asks.
    #[must_use]
    pub fn keyring_decision(&self, inherit: bool) -> Option<Decision> {
        let mut log = Log::default();
        let control = ControlId::SessionKeyring;
        match (self.mode(control), inherit, self.overrides().allows("keyring.inherited")) {
            (Mode::Off, ..) => return None,
            (_, false, _) => {
                let reason = "the container has a session keyring of its own";
                log.note(control, "", Verdict::Kept, reason);
            }
            (_, true, Some(source)) => {
                log.waive(control, "", source, "the container has its caller's session keyring");
            }
            (mode, true, None) => {
                let enforced = mode == Mode::Enforce;
                let verdict = if enforced { Verdict::Tightened } else { Verdict::Warned };
                let reason =
                    "--no-new-keyring would give the container the keys of its caller's session";
                log.note(control, "", verdict, reason);
            }
        }
        log.into_last()
    }
}
