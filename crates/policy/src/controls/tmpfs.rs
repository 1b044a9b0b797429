//! `root.tmpfs`: the writable places that a root that was made read-only needs.

use super::prelude::*;
use crate::check::clean;
use crate::profile::Tmpfs;
use crate::spec::Mount;

/// **What.** If `root.readonly` changed the configuration, some places stay writable while the
/// container runs, nosuid and nodev. These are always `/tmp`, `/var/tmp` (mode 1777) and `/run`
/// (755). If the image has a directory of that name, also `/var/cache`, `/var/log`,
/// `/var/lib/nginx`, `/var/run`, `/var/lock`, `/usr/local/apache2/logs` and tomcat's `logs`, `temp`
/// and `work`, with their owner and mode. They show what the image has there, of any size: small
/// contents are copied into a tmpfs of at most 64 MiB; larger ones are shown through an overlay
/// whose changes go to a tmpfs of 64 MiB that these places share. The image itself is not changed.
/// A place is omitted if the configuration mounts something on it or above it. If the configuration
/// itself asks for a read-only root, there are no such places: it knows what it needs.
///
/// **Why.** Most images need the first three, and services exit when they cannot open their log.
/// The other places hold what nobody misses after a restart. Places of data are omitted on purpose:
/// data that disappears tomorrow is worse than an error today.
///
/// **What breaks.** Programs with more than 64 MiB of scratch files (`No space left on device`),
/// including logs that nobody rotates. The content counts towards the container's memory limit. It
/// is deleted with the container, and `docker cp` and `commit` do not see it.
///
/// **Workaround.** Mount a tmpfs of another size or a volume on the place: `--tmpfs /tmp:size=1g`.
///
/// **Override.**
///
/// - `root.no-tmpfs`: no writable /tmp, /var/tmp, /run, /var/cache and so on in a root that was
///   made read-only
///
/// **In the profiles.**
///
/// - privileged: Writable unless the configuration says otherwise; no tmpfs is added.
/// - baseline: Not needed, because the root file system is not changed.
/// - hardened: Only if root.readonly made the root read-only: most images need a few writable
///   places.
pub(crate) const PLACES: Control = Control {
    id: ControlId::RootTmpfs,
    name: "root.tmpfs",
    allow: &["root.no-tmpfs"],
    modes: [OFF, OFF, ON, ON],
    severity: LOW,
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
