//! `paths.*`: the union of the configuration's and the profile's lists.

use super::prelude::*;
use super::userns;
use crate::check::clean;

/// **What.** 32 paths are masked, in addition to the configuration's own. An empty file covers a
/// file and an empty directory covers a directory. Both are read-only and never the container's
/// `/dev/null` (CVE-2025-31133). A path that does not exist is skipped;
/// `/sys/devices/system/cpu/cpu*/thermal_throttle` stands for one directory per CPU of the host. If
/// the configuration mounts something on a path (lxcfs), that mount is kept.
///
/// **Why.** These paths show the host's memory, hardware, keys and timing, or control the host:
/// `/proc/kcore`, `/proc/keys`, `/proc/interrupts`, `/sys/firmware`,
/// `/sys/devices/virtual/powercap` (CVE-2020-8694) and others. Engines' lists differ; casemate uses
/// their union.
///
/// **What breaks.** Monitoring that reads the host through a container.
///
/// **Override.**
///
/// - `paths.unmasked`: only the configuration's own list is hidden
///
/// To unmask everything, also empty the engine's own list (`--security-opt unmask=ALL` in podman).
///
/// **In the profiles.**
///
/// - privileged: Only the paths that the configuration lists are masked and read-only.
/// - baseline: Engines' lists differ, and each lacks something: the union of their lists and
///   casemate's.
/// - hardened: Added to the configuration's own list; nothing is ever removed from that.
pub(crate) const MASKED: Control = Control {
    id: ControlId::MaskedPaths,
    name: "paths.masked",
    allow: &["paths.unmasked"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "paths that show or change the host are hidden",
};

/// **What.** `/proc/bus`, `/proc/fs`, `/proc/irq`, `/proc/pressure`, `/proc/sys` and `/sys/module`
/// are read-only, in addition to the configuration's own list.
///
/// **Why.** Writing there changes the host. `linux.sysctl` still works, because it is written
/// before the container's first mount.
///
/// **What breaks.** `sysctl -w` in a container; pressure triggers.
///
/// **Workaround.** Set kernel parameters through the engine (`--sysctl`).
///
/// **Override.**
///
/// - `paths.writable`: only the configuration's own list is read-only
///
/// To make everything writable, also empty the engine's own list.
///
/// **In the profiles.**
///
/// - privileged: Only the paths that the configuration lists are masked and read-only.
/// - baseline: Engines' lists differ, and each lacks something: the union of their lists and
///   casemate's.
/// - hardened: Added to the configuration's own list: paths that programs read but must not write.
pub(crate) const READONLY: Control = Control {
    id: ControlId::ReadonlyPaths,
    name: "paths.readonly",
    allow: &["paths.writable"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "paths that change the host when written are read-only",
};

pub(crate) fn masked(
    draft: &mut Draft<'_>,
    mut asked: Vec<String>,
) -> Result<Vec<String>, Refusal> {
    let (control, pointer) = (ControlId::MaskedPaths, "/linux/maskedPaths");
    if let Some(source) = draft.allows("paths.unmasked") {
        let reason = "only what the configuration lists is hidden";
        draft.log.waive(control, pointer, source, reason);
    } else if is_left_open(draft) {
        let reason = "the configuration hides nothing, and has a user namespace";
        draft.log.note(control, pointer, Verdict::Kept, reason);
    } else {
        let added = missing(draft.profile.masked_paths, &[&asked], &draft.asked.destinations);
        let reason =
            "shows or changes the host; engines' lists differ, so the profile adds its own";
        record(draft, (control, pointer), &added, reason);
        asked.extend(added.iter().map(|path| (*path).to_owned()));
    }
    draft.masked.clone_from(&asked);
    Ok(asked)
}

/// Comes after the masks: a hidden path need not be made read-only as well.
pub(crate) fn readonly(
    draft: &mut Draft<'_>,
    mut asked: Vec<String>,
) -> Result<Vec<String>, Refusal> {
    let (control, pointer) = (ControlId::ReadonlyPaths, "/linux/readonlyPaths");
    if let Some(source) = draft.allows("paths.writable") {
        let reason = "only what the configuration lists is read-only";
        draft.log.waive(control, pointer, source, reason);
    } else if is_left_open(draft) {
        let reason = "the configuration protects nothing, and has a user namespace";
        draft.log.note(control, pointer, Verdict::Kept, reason);
    } else {
        let lists = [&asked, &draft.masked];
        let added = missing(draft.profile.readonly_paths, &lists, &draft.asked.destinations);
        record(draft, (control, pointer), &added, "changes the host when written");
        asked.extend(added.iter().map(|path| (*path).to_owned()));
    }
    Ok(asked)
}

/// Kubernetes' `procMount: Unmasked` for a pod with `hostUsers: false`, which the baseline standard has nothing against: in a
/// user namespace, what is not hidden cannot be written: by who has no id of the host's, whatever the namespace is called.
fn is_left_open(draft: &Draft<'_>) -> bool {
    let own = draft.has_userns() && userns::has_free_ids(draft);
    draft.profile.unmasked_in_userns && own && draft.asked.hides_nothing
}

/// Those of `wanted` that are in none of the lists and that no mount covers (lxcfs puts its own files
/// over some: covering those would take the container's view away again).
fn missing(
    wanted: &[&'static str],
    lists: &[&Vec<String>],
    mounts: &[String],
) -> Vec<&'static str> {
    let listed = lists.iter().flat_map(|list| list.iter()).map(|path| clean(path));
    let mounted = mounts.iter().map(|mount| clean(mount));
    let known: Vec<_> = listed.chain(mounted).collect();
    wanted.iter().copied().filter(|path| !known.iter().any(|known| known == path)).collect()
}

fn record(
    draft: &mut Draft<'_>,
    (rule, pointer): (ControlId, &'static str),
    added: &[&'static str],
    reason: &'static str,
) {
    if added.is_empty() {
        let reason = "the configuration covers all of the profile's paths";
        return draft.log.note(rule, pointer, Verdict::Kept, reason);
    }
    draft.log.change(rule, format!("{pointer}/-"), Verdict::Added, values(&(), &added), reason);
}
