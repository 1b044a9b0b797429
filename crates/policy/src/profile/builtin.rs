//! The profiles of `profiles/*.toml` as constants. The reasons stand in those files.

use super::{Profile, ProfileName, Tmpfs};

pub(super) const PRIVILEGED: Profile = Profile {
    name: ProfileName::Privileged,
    no_new_privileges: false,
    require_mount_namespace: false,
    allow_shared_propagation: true,
    capability_ceiling: None,
    core_limit: None,
    default_filter: false,
    readonly_root: false,
    tmpfs: &[],
    masked_paths: &[],
    readonly_paths: &[],
    pids_limit: None,
    strict_devices: false,
};

pub(super) const HARDENED: Profile = Profile {
    name: ProfileName::Hardened,
    no_new_privileges: true,
    require_mount_namespace: true,
    allow_shared_propagation: false,
    capability_ceiling: Some(CEILING),
    core_limit: Some(0),
    default_filter: true,
    readonly_root: true,
    tmpfs: &[
        Tmpfs { destination: "/tmp", options: &WORLD_WRITABLE },
        Tmpfs { destination: "/var/tmp", options: &WORLD_WRITABLE },
        Tmpfs {
            destination: "/run",
            options: &["nosuid", "nodev", "mode=755", "size=64m", "tmpcopyup"],
        },
    ],
    masked_paths: &MASKED,
    readonly_paths: &[
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/pressure",
        "/proc/sys",
        "/sys/module",
    ],
    pids_limit: Some(2048),
    strict_devices: true,
};

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, by number.
const CEILING: u64 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10;

const WORLD_WRITABLE: [&str; 5] = ["nosuid", "nodev", "mode=1777", "size=64m", "tmpcopyup"];

const MASKED: [&str; 31] = [
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
