//! `root.readonly`: the root file system is read-only.

use super::prelude::*;
use crate::control::Mode;

/// **What.** The root file system is read-only. Volumes and other mounts keep the flags that they
/// ask for.
///
/// **Why.** A program cannot tamper with what it cannot write: no replaced library, nothing left
/// behind for the next `exec`.
///
/// **What breaks.** Programs that write into the image outside the places of `root.tmpfs`: package
/// installation at start, data below `/var/lib` without a volume, settings below `/etc` that are
/// rewritten.
///
/// **Workaround.** Mount a volume or a tmpfs where the program writes: `--tmpfs /srv/cache`, `-v`.
///
/// **Override.**
///
/// - `rootfs.writable`: writing to the root file system
///
/// **In the profiles.**
///
/// - privileged: Writable unless the configuration says otherwise; no tmpfs is added.
/// - baseline: Most images write somewhere in their root file system.
/// - hardened: A payload that cannot write cannot leave anything behind, replace a library or edit
///   what the next exec will run.
pub(crate) const READONLY: Control = Control {
    id: ControlId::ReadonlyRoot,
    name: "root.readonly",
    allow: &["rootfs.writable"],
    modes: [OFF, WARN, ON, ON],
    severity: MEDIUM,
    summary: "the root file system is read-only",
};

/// Whether the root will be read-only: as it is asked for, or made so.
pub(super) fn will_be_readonly(draft: &Draft<'_>) -> bool {
    let control = ControlId::ReadonlyRoot;
    let made = draft.choice.mode(control) == Mode::Enforce;
    draft.asked.readonly_root || (made && draft.allows("rootfs.writable").is_none())
}

pub(crate) fn readonly(draft: &mut Draft<'_>, asked: bool) -> Result<bool, Refusal> {
    let (control, pointer) = (ControlId::ReadonlyRoot, "/root/readonly");
    if asked {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(true);
    }
    if let Some(source) = draft.allows("rootfs.writable") {
        draft.log.waive(control, pointer, source, "the root stays writable");
        return Ok(false);
    }
    draft.made_root_readonly = true;
    let reason = "what cannot be written cannot be tampered with; use volumes for data";
    draft.log.change(control, pointer, Verdict::Tightened, values(&false, &true), reason);
    Ok(true)
}
