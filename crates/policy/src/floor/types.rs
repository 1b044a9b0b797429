//! Which file systems there may be, and where.
//!
//! mountinfo does not tell a bind from a new mount. A file system that the host has mounted too is something of the host's,
//! and is judged as a place of it; one that the host has not was mounted for this container.

use super::overlay;
use super::path::{is_read_only, is_root, is_within, point, root};
use super::places::Places;
use super::question::{Floor, Phase};
use casemate_kernel::mountinfo::Mount;
use casemate_kernel::MountTree;

/// Where the kernel's own file systems may be, and the overrides for anywhere else: for a new one, and for the host's.
const HOMES: [(&str, &str, &[&str]); 6] = [
    ("proc", "/proc", &["mounts.second-proc", "mounts.host-proc"]),
    ("sysfs", "/sys", &["mounts.second-sysfs", "mounts.host-sys"]),
    ("cgroup", "/sys/fs/cgroup", &["mounts.host-cgroup"]),
    ("cgroup2", "/sys/fs/cgroup", &["mounts.host-cgroup"]),
    ("mqueue", "/dev/mqueue", &["mounts.host-dev"]),
    ("devpts", "/dev/pts", &["mounts.host-dev"]),
];

/// Through these the kernel shows or changes itself or the host: nowhere.
const OF_KERNEL: [&str; 36] = [
    "aafs",
    "anon_inodefs",
    "apparmorfs",
    "autofs",
    "bdev",
    "binder",
    "binfmt_misc",
    "bpf",
    "configfs",
    "cpuset",
    "dax",
    "debugfs",
    "dmabuf",
    "drm",
    "efivarfs",
    "functionfs",
    "fusectl",
    "gadgetfs",
    "nfsd",
    "nsfs",
    "pidfs",
    "pipefs",
    "pstore",
    "resctrl",
    "rootfs",
    "rpc_pipefs",
    "secretmem",
    "securityfs",
    "selinuxfs",
    "smackfs",
    "sockfs",
    "spufs",
    "tracefs",
    "usbdevfs",
    "usbfs",
    "xenfs",
];

/// Memory: harmless where nothing of the host's is in it.
const MEMORY: [&str; 3] = ["tmpfs", "ramfs", "hugetlbfs"];

/// Kept by another machine.
const NETWORK: [&str; 14] = [
    "9p",
    "afs",
    "beegfs",
    "ceph",
    "cifs",
    "coda",
    "glusterfs",
    "lustre",
    "ncpfs",
    "nfs",
    "nfs4",
    "orangefs",
    "smb3",
    "smbfs",
];

/// Read from a block device: the kernel's parsers were not written for what an enemy puts there.
const BLOCK: [&str; 36] = [
    "bcachefs", "befs", "bfs", "btrfs", "cramfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs",
    "gfs2", "hfs", "hfsplus", "iso9660", "jffs2", "jfs", "minix", "msdos", "nilfs2", "ntfs",
    "ntfs3", "ocfs2", "omfs", "qnx4", "qnx6", "reiserfs", "romfs", "squashfs", "ubifs", "udf",
    "ufs", "vfat", "xfs", "zfs", "zonefs",
];

pub(super) fn check(floor: &mut Floor<'_>, tree: &MountTree<'_, '_>) {
    let seen = floor.seen;
    let host = floor.part(&seen.host, "mounts.places", "the host's mounts");
    let Some(places) = host.map(|host| Places::locate(host, seen.caller.privileged)) else {
        return;
    };
    for mount in tree.mounts() {
        if floor.phase == Phase::AfterExec && tree.may_be_propagated(mount) {
            continue;
        }
        judge(floor, tree, &places, mount);
    }
}

fn judge(floor: &mut Floor<'_>, tree: &MountTree<'_, '_>, places: &Places, mount: &Mount<'_>) {
    let (base, of_host) = (mount.base_type(), places.has(mount.superblock));
    if of_host && came_along(floor, tree, places, mount) {
        return;
    }
    // A new one holds nothing of the host's: terminals and queues that are made in the container.
    let shared = base == "mqueue" && floor.granted("namespaces.host-ipc");
    if of_host && base == "mqueue" && floor.granted("mounts.host-dev") {
        return;
    }
    if shared || (!of_host && matches!(base, "devpts" | "mqueue")) {
        return memory(floor, mount);
    }
    if let Some((_, home, names)) = HOMES.iter().find(|(name, _, _)| *name == base) {
        let usual = if of_host { names.last() } else { names.first() };
        let granted = names.iter().find(|name| floor.granted(name));
        let allow = granted.or(usual).unwrap_or(&"mounts.kernel-fs");
        return at_home(floor, tree, (home, allow), mount, of_host);
    }
    if base == "devtmpfs" {
        return device(floor, mount);
    }
    if OF_KERNEL.contains(&base) {
        return of_kernel(floor, tree, mount, of_host);
    }
    if of_host {
        if let Some(hit) = places.judge(mount, |name| floor.granted(name)) {
            let what = || format!("{} shows {}", point(mount), hit.what);
            floor.violation("mounts.places", hit.allow, what);
        }
        // Somebody has stacked it, of whatever the host has.
        if base == "overlay" && !places.is_roots(mount.superblock) {
            overlay::check(floor, mount);
        }
        return;
    }
    if is_root(mount) {
        return;
    }
    match base {
        "overlay" => overlay::check(floor, mount),
        _ if MEMORY.contains(&base) => memory(floor, mount),
        _ if NETWORK.contains(&base) => wrong_type(floor, mount, "mounts.network"),
        _ if BLOCK.contains(&base) => wrong_type(floor, mount, "mounts.block"),
        "fuse" | "fuseblk" | "virtiofs" => wrong_type(floor, mount, "mounts.fuse"),
        // What is not known is not let in.
        _ => wrong_type(floor, mount, "mounts.unknown-fs"),
    }
}

fn wrong_type(floor: &mut Floor<'_>, mount: &Mount<'_>, allow: &'static str) {
    let what = || format!("{} is mounted on {}", mount.fstype, point(mount));
    floor.violation("mounts.types", Some(allow), what);
}

/// None of these is let in. Where a sysfs of its own cannot be mounted the host's comes with all that lies on it, at the same
/// places: what a mask covers nobody sees, and of the rest nothing can be written by who is not root of the host.
fn of_kernel(floor: &mut Floor<'_>, tree: &MountTree<'_, '_>, mount: &Mount<'_>, of_host: bool) {
    let place = point(mount);
    // A namespace that an engine keeps by a name. To enter it takes power over who owns it; one of mounts, processes or
    // users may be the host itself.
    const KEPT: [&[u8]; 3] = [b"net:", b"ipc:", b"uts:"];
    if mount.fstype == "nsfs" && KEPT.iter().any(|kind| mount.root.starts_with(kind)) {
        return;
    }
    let on_sysfs = of_host && tree.ancestors(mount).any(|above| above.fstype == "sysfs");
    let covered = || tree.visible(&place).is_none_or(|seen| seen.id != mount.id);
    if on_sysfs && is_within(&place, "/sys") && (covered() || !may_write_host(floor)) {
        return;
    }
    wrong_type(floor, mount, "mounts.kernel-fs");
}

/// Whoever was granted a place of the host was granted what is mounted in it.
fn came_along(
    floor: &Floor<'_>,
    tree: &MountTree<'_, '_>,
    places: &Places,
    mount: &Mount<'_>,
) -> bool {
    let granted = |name: &str| floor.granted(name);
    let given = |above: &Mount<'_>| {
        places.judge(above, |_| false).and_then(|hit| hit.allow).is_some_and(granted)
    };
    tree.ancestors(mount).any(given)
}

/// A file system of the kernel's at its place: as a whole, or a part of it over the same part, which only restricts.
fn at_home(
    floor: &mut Floor<'_>,
    tree: &MountTree<'_, '_>,
    (home, allow): (&str, &'static str),
    mount: &Mount<'_>,
    of_host: bool,
) {
    let (place, shown) = (point(mount), root(mount));
    let elsewhere = match mount.base_type() {
        "cgroup" | "cgroup2" => !is_within(&place, home),
        "proc" | "sysfs" if shown != "/" => {
            let same = tree.visible(home).is_some_and(|own| own.superblock == mount.superblock);
            // The driver's part of the host's procfs, which NVIDIA's hook binds.
            let driver = floor.granted("devices.gpu") && is_within(&shown, "/driver/nvidia");
            place.strip_prefix(home) != Some(&*shown) || !(same || driver)
        }
        _ => place != home,
    };
    if elsewhere {
        return wrong_type(floor, mount, allow);
    }
    let shares = |name: &str| floor.granted(name);
    match mount.base_type() {
        "proc" if of_host && shown == "/" && !shares("namespaces.host-pid") => {
            let what = || "/proc shows the host's processes".to_owned();
            floor.violation("mounts.places", Some(allow), what);
        }
        "mqueue" if of_host && !shares("namespaces.host-ipc") => {
            let what = || "/dev/mqueue shows the host's queues".to_owned();
            floor.violation("mounts.places", Some(allow), what);
        }
        // One of the host's terminals as well: /dev/console is one of the container's own.
        "devpts" => {
            let what = || "/dev/pts shows the host's terminals".to_owned();
            floor.violation("mounts.places", Some(allow), what);
        }
        // A user namespace leaves nothing in sysfs to be written.
        "sysfs" if shown == "/" && !is_read_only(mount) && may_write_host(floor) => {
            let what = || "/sys can be written".to_owned();
            floor.violation("mounts.sysfs", Some(allow), what);
        }
        "cgroup" | "cgroup2" if !is_read_only(mount) && shares_cgroups(floor) => {
            let what = || format!("{place} can be written");
            floor.violation("mounts.cgroup", Some("cgroup.writable"), what);
        }
        _ => {}
    }
}

/// Root of the container may be root of the host.
fn may_write_host(floor: &Floor<'_>) -> bool {
    floor.seen.caller.privileged && floor.seen.has_own_users() == Some(false)
}

fn shares_cgroups(floor: &Floor<'_>) -> bool {
    match &floor.seen.namespaces {
        super::Part::Seen(found) => found.get(&super::Namespace::Cgroup) == Some(&true),
        _ => false,
    }
}

/// The host's device file system: single devices of the usual ones, or of a kind that was granted.
fn device(floor: &mut Floor<'_>, mount: &Mount<'_>) {
    const USUAL: [&str; 9] = [
        "/null",
        "/zero",
        "/full",
        "/random",
        "/urandom",
        "/tty",
        "/console",
        "/ptmx",
        "/net/none",
    ];
    let shown = root(mount);
    // By the second name one is mounted anew, which is the host's all the same.
    let granted = floor.granted("mounts.host-dev") || floor.granted("mounts.kernel-fs");
    if USUAL.contains(&shown.as_ref()) || granted {
        return;
    }
    let kinds = floor.granted.iter().any(|name| name.starts_with("devices."));
    if shown == "/" || !kinds {
        let allow = if shown == "/" { "mounts.host-dev" } else { "devices.all" };
        let what = || format!("{} shows /dev{}", point(mount), shown.trim_end_matches('/'));
        floor.violation("devices.nodes", Some(allow), what);
    }
}

/// Below /proc and /sys memory only hides: what is written there would be believed.
fn memory(floor: &mut Floor<'_>, mount: &Mount<'_>) {
    if is_read_only(mount) {
        return;
    }
    let place = point(mount);
    let in_kernel = |home: &str| is_within(&place, home) && !is_within(&place, "/sys/fs/cgroup");
    if in_kernel("/proc") || in_kernel("/sys") {
        wrong_type(floor, mount, "mounts.covered");
    }
}
