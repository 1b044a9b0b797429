//! `root.tmpfs`: the writable places that a root that was made read-only needs.

use super::prelude::*;
use crate::check::clean;
use crate::profile::Tmpfs;
use crate::spec::Mount;

pub(crate) const PLACES: Control = Control {
    id: ControlId::RootTmpfs,
    name: "root.tmpfs",
    allow: &["root.no-tmpfs"],
    modes: [OFF, OFF, ON, ON],
    summary: "a root that was made read-only gets writable /tmp, /var/tmp and /run",
};

/// A configuration that asked for a read-only root knows what it needs to write: only
/// one that did not gets these.
pub(crate) fn provide(draft: &mut Draft<'_>, mut asked: Vec<Mount>) -> Result<Vec<Mount>, Refusal> {
    if !draft.made_root_readonly {
        return Ok(asked);
    }
    if let Some(source) = draft.allows("root.no-tmpfs") {
        draft.log.waive(
            ControlId::RootTmpfs,
            "/mounts",
            source,
            "the read-only root gets no tmpfs",
        );
        return Ok(asked);
    }
    let present = |tmpfs: &&Tmpfs| {
        !tmpfs.if_present || draft.facts.present.iter().any(|place| place == tmpfs.destination)
    };
    let added: Vec<Mount> = draft
        .profile
        .tmpfs
        .iter()
        .filter(present)
        .filter(|tmpfs| !is_provided(&asked, tmpfs.destination))
        .map(mount)
        .collect();
    if added.is_empty() {
        let reason = "the configuration mounts something on all of them";
        draft.log.note(ControlId::RootTmpfs, "/mounts", Verdict::Kept, reason);
        return Ok(asked);
    }
    let after: Vec<&str> = added.iter().map(|mount| mount.destination.as_str()).collect();
    let change = values(&(), &after);
    let reason = "the root was made read-only, and most programs write here";
    draft.log.change(ControlId::RootTmpfs, "/mounts/-", Verdict::Added, change, reason);
    // In front: engines bind files below /run, which must end up on the tmpfs and not under it.
    draft.extras.added_mounts = added.len();
    asked.splice(0..0, added);
    Ok(asked)
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
