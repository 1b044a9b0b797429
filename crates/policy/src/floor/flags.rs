//! Flags of mounts, their peer groups, and the root's.

use super::observed::Part;
use super::path::{is_read_only, is_root, point, root};
use super::question::{Floor, Phase};
use casemate_kernel::attr;
use casemate_kernel::mountinfo::Mount;
use casemate_kernel::MountTree;
use std::collections::BTreeSet;

pub(super) fn check(floor: &mut Floor<'_>, tree: &MountTree<'_, '_>) {
    if !floor.is_hardened() {
        return;
    }
    if tree.visible("/").is_none_or(|top| !is_read_only(top)) {
        let what = || "the root file system can be written".to_owned();
        floor.violation("root.readonly", Some("rootfs.writable"), what);
    }
    shared(floor, tree);
    for mount in tree.mounts().iter().filter(|mount| !is_root(mount)) {
        if floor.phase == Phase::AfterExec && tree.may_be_propagated(mount) {
            continue;
        }
        if !repeats(tree, mount) {
            restrictions(floor, mount);
        }
    }
}

/// It shows the same part of the same file system as what it lies on, and lets no more be done with it: a place that was
/// made read-only. (On the image's own files nosuid is not asked for either: no_new_privs sees to that.)
fn repeats(tree: &MountTree<'_, '_>, mount: &Mount<'_>) -> bool {
    let Some(below) = tree.parent(mount).filter(|below| below.superblock == mount.superblock)
    else {
        return false;
    };
    let (place, on) = (point(mount), point(below));
    let same = place
        .strip_prefix(on.trim_end_matches('/'))
        .is_some_and(|rest| root(mount) == format!("{}{rest}", root(below).trim_end_matches('/')));
    same && below.restrictions() & !mount.restrictions() == 0
}

/// Mounts that are made in the container must not appear on the host.
fn shared(floor: &mut Floor<'_>, tree: &MountTree<'_, '_>) {
    let Part::Seen(host) = &floor.seen.host else { return };
    let groups: BTreeSet<u64> = host.mounts.iter().filter_map(|mount| mount.shared).collect();
    for mount in tree.mounts() {
        if mount.shared.is_some_and(|group| groups.contains(&group)) {
            let what = || format!("{} is in a peer group of the host's", point(mount));
            floor.violation("mounts.shared", Some("mounts.shared"), what);
        }
    }
}

fn restrictions(floor: &mut Floor<'_>, mount: &Mount<'_>) {
    let place = point(mount);
    let have = mount.restrictions();
    if have & attr::NOSUID == 0 {
        let what = || format!("{place} is not nosuid");
        floor.violation("mounts.nosuid", Some("mounts.suid"), what);
    }
    if have & attr::NODEV == 0 && !holds_devices(floor, mount, &place) {
        let what = || format!("{place} is not nodev");
        floor.violation("mounts.nodev", Some("mounts.dev"), what);
    }
}

/// Terminals, the container's own /dev, and single files in it: which devices these are is for others to judge.
fn holds_devices(floor: &Floor<'_>, mount: &Mount<'_>, place: &str) -> bool {
    let hosts = floor.granted("mounts.host-dev") && super::path::is_within(place, "/dev");
    let own = place == "/dev" && mount.fstype == "tmpfs" || hosts;
    let single = mount.root != b"/" && place.starts_with("/dev/");
    own || single || matches!(mount.fstype, "devpts" | "devtmpfs")
}
