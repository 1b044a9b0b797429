//! What procfs and sysfs show or change of the host, wherever in the container one of them is seen.

use super::identity::FIRST_FREE;
use super::observed::Part;
use super::path::is_read_only;
use super::question::Floor;
use crate::profile::ProfileName;
use casemate_kernel::id_map::IdRange;
use casemate_kernel::mountinfo::Mount;
use casemate_kernel::{Fact, MountTree};

/// Hidden. Those of single processors (thermal_throttle) are not here: they are a side channel, and their names are the
/// host's.
pub const MASKED: [&str; 31] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/dynamic_debug",
    "/proc/interrupts",
    "/proc/kallsyms",
    "/proc/kcore",
    "/proc/key-users",
    "/proc/keys",
    "/proc/kmsg",
    "/proc/kpagecgroup",
    "/proc/kpagecount",
    "/proc/kpageflags",
    "/proc/latency_stats",
    "/proc/mtrr",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/slabinfo",
    "/proc/sysrq-trigger",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/vmallocinfo",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/bpf",
    "/sys/fs/pstore",
    "/sys/fs/selinux",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/kernel/slab",
    "/sys/kernel/tracing",
    "/sys/kernel/vmcoreinfo",
];

/// Read-only.
pub const READ_ONLY: [&str; 6] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/pressure", "/proc/sys", "/sys/module"];

pub(super) fn check(floor: &mut Floor<'_>, tree: &MountTree<'_, '_>) {
    // Kubernetes' procMount: Unmasked for pods with a user namespace, which the baseline standard lets in.
    if floor.profile == ProfileName::Baseline && has_free_users(floor) {
        return;
    }
    for path in MASKED {
        if let Some(mount) = open(floor, tree, path) {
            let what = || format!("{path} shows the host's {}", mount.fstype);
            floor.violation("paths.masked", Some("paths.unmasked"), what);
        }
    }
    for path in READ_ONLY {
        if open(floor, tree, path).is_some_and(|mount| !is_read_only(mount)) {
            let what = || format!("{path} can be written");
            floor.violation("paths.readonly", Some("paths.writable"), what);
        }
    }
}

/// Nobody in the container is a user of the host's, who may write there whatever the namespace is called.
fn has_free_users(floor: &Floor<'_>) -> bool {
    let seen = floor.seen;
    let free = |map: &Part<Vec<IdRange>>| match map {
        Part::Seen(map) => map.iter().all(|range| range.outside >= FIRST_FREE),
        Part::NotLooked | Part::Unreadable(_) => false,
    };
    match seen.has_own_users() {
        Some(own) => own && (!seen.caller.privileged || free(&seen.uid_map) && free(&seen.gid_map)),
        None => true,
    }
}

/// The procfs or sysfs that is seen at a path, if the kernel has such a file in it.
fn open<'m, 't>(floor: &Floor<'_>, tree: &MountTree<'m, 't>, path: &str) -> Option<&'m Mount<'t>> {
    let mount = tree.visible(path)?;
    let shows = match mount.fstype {
        "proc" => path.starts_with("/proc/") && !is_partial(mount),
        // The host's whole one in another place was granted as a whole.
        "sysfs" => {
            let elsewhere = mount.root == b"/" && mount.point != b"/sys";
            let granted =
                ["mounts.host-sys", "mounts.second-sysfs"].iter().any(|name| floor.granted(name));
            path.starts_with("/sys/") && !(elsewhere && granted)
        }
        // Whoever was granted one of these was granted it where it is.
        _ if floor.granted("mounts.kernel-fs") => false,
        "debugfs" | "tracefs" | "securityfs" | "bpf" | "pstore" | "selinuxfs" | "efivarfs" => true,
        _ => false,
    };
    // A file that cannot be looked for is taken to be there.
    (shows && (floor.seen.kernel_has)(path) != Fact::No).then_some(mount)
}

/// A procfs with processes only (proc(5), subset=pid).
fn is_partial(mount: &Mount<'_>) -> bool {
    mount.super_options.split(|byte| *byte == b',').any(|option| option == b"subset=pid")
}
