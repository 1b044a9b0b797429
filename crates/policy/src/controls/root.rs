//! `root.*`: a read-only root, and the writable places that it then needs.

use crate::check::clean;
use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::profile::Tmpfs;
use crate::spec::Mount;
use serde_json::{json, Value};

/// Rule `root.readonly`.
pub(crate) fn readonly(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::ReadonlyRoot, "/root/readonly");
    if draft.spec.root.readonly {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
        return Ok(());
    }
    if let Some(source) = draft.allows("rootfs.writable") {
        draft.log.waive(rule, pointer, source, "the root stays writable");
        return Ok(());
    }
    draft.spec.root.readonly = true;
    draft.made_root_readonly = true;
    let reason = "what cannot be written cannot be tampered with; use volumes for data";
    draft.log.change(rule, pointer, Verdict::Tightened, (json!(false), json!(true)), reason);
    Ok(())
}

/// Rule `root.tmpfs`. A configuration that asked for a read-only root knows what it needs to write: only
/// one that did not gets these.
pub(crate) fn tmpfs(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    if !draft.made_root_readonly {
        return Ok(());
    }
    if let Some(source) = draft.allows("root.no-tmpfs") {
        draft.log.waive(
            ControlId::RootTmpfs,
            "/mounts",
            source,
            "the read-only root gets no tmpfs",
        );
        return Ok(());
    }
    let present = |tmpfs: &&Tmpfs| {
        !tmpfs.if_present || draft.facts.present.iter().any(|place| place == tmpfs.destination)
    };
    let added: Vec<Mount> = draft
        .profile
        .tmpfs
        .iter()
        .filter(present)
        .filter(|tmpfs| !is_provided(&draft.spec.mounts, tmpfs.destination))
        .map(mount)
        .collect();
    if added.is_empty() {
        let reason = "the configuration mounts something on all of them";
        draft.log.note(ControlId::RootTmpfs, "/mounts", Verdict::Kept, reason);
        return Ok(());
    }
    let after: Vec<&str> = added.iter().map(|mount| mount.destination.as_str()).collect();
    let values = (Value::Null, json!(after));
    let reason = "the root was made read-only, and most programs write here";
    draft.log.change(ControlId::RootTmpfs, "/mounts/-", Verdict::Added, values, reason);
    // In front: engines bind files below /run, which must end up on the tmpfs and not under it.
    draft.extras.added_mounts = added.len();
    draft.spec.mounts.splice(0..0, added);
    Ok(())
}

/// True when a mount of the configuration covers the place: on it, or above it.
fn is_provided(mounts: &[Mount], place: &str) -> bool {
    mounts.iter().any(|mount| {
        let destination = clean(&mount.destination);
        let rest = place.strip_prefix(destination.as_ref());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

fn mount(tmpfs: &Tmpfs) -> Mount {
    Mount {
        destination: tmpfs.destination.to_owned(),
        kind: Some("tmpfs".to_owned()),
        source: Some("tmpfs".to_owned()),
        options: tmpfs.options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    }
}
