//! `root.readonly`: the root file system is read-only.

use super::prelude::*;

pub(crate) const READONLY: Control = Control {
    id: ControlId::ReadonlyRoot,
    name: "root.readonly",
    allow: &["rootfs.writable"],
    modes: [OFF, WARN, ON, ON],
    summary: "the root file system is read-only",
};

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
