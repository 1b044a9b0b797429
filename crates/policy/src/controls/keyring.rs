//! `process.keyring`: the container does not have its caller's session keyring.

use super::prelude::*;
use crate::control::Mode;
use crate::decision::Decision;

/// **What.** The container has a session keyring of its own, even if its caller says
/// `--no-new-keyring` (containers.conf `keyring = false`, containerd's `NoNewKeyring`). With runc,
/// the container then shares the caller's keyring. `decisions.json` records that this was asked
/// for.
///
/// **Why.** The caller's keyring holds what its session was given: keys of encrypted directories,
/// Kerberos tickets, tokens of network file systems. The kernel uses them for a process without a
/// call by that process.
///
/// **What breaks.** Containers that are meant to use such keys of the host's session. Hosts where
/// the quota of keys is too small for one keyring per container: raise `kernel.keys.maxkeys`.
///
/// **Override.**
///
/// - `keyring.inherited`: the caller's session keyring, with `--no-new-keyring`
///
/// **In the profiles.**
///
/// - privileged: As the caller asks.
/// - baseline: As the caller asks.
/// - hardened: The contents of the caller's session keyring belong to the caller: keys of file
///   systems, tickets. --no-new-keyring would share them.
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
