//! The profiles of `profiles/*.toml` as constants. The reasons stand in those files.

use super::{Profile, ProfileName, Tmpfs};

pub(super) const PRIVILEGED: Profile = Profile { name: ProfileName::Privileged, ..BASELINE };

pub(super) const BASELINE: Profile = Profile {
    name: ProfileName::Baseline,
    capability_ceiling: BASELINE_CEILING,
    stack_filter: false,
    unmasked_in_userns: true,
    ..HARDENED
};

pub(super) const HARDENED: Profile = Profile {
    name: ProfileName::Hardened,
    capability_ceiling: HARDENED_CEILING,
    core_limit: 0,
    stack_filter: true,
    strict_filter: false,
    fail_closed: false,
    tmpfs: &scratch(
        &["nosuid", "nodev", "mode=1777", "size=64m", "tmpcopyup"],
        &["nosuid", "nodev", "mode=755", "size=64m", "tmpcopyup"],
        &["nosuid", "nodev", "size=64m", "tmpcopyup"],
    ),
    masked_paths: &MASKED,
    readonly_paths: &[
        "/proc/bus",
        "/proc/fs",
        "/proc/irq",
        "/proc/pressure",
        "/proc/sys",
        "/sys/module",
    ],
    unmasked_in_userns: false,
    pids_limit: 2048,
    root_in_userns: true,
    noexec_volumes: false,
    sysctls: &SAFE_SYSCTLS,
    nofile_limit: (1024, 1_048_576),
    memlock_limit: (8 << 20, 8 << 20),
};

pub(super) const RESTRICTED: Profile = Profile {
    name: ProfileName::Restricted,
    capability_ceiling: bit(NET_BIND_SERVICE),
    tmpfs: &scratch(
        &["nosuid", "nodev", "noexec", "mode=1777", "size=64m", "tmpcopyup"],
        &["nosuid", "nodev", "noexec", "mode=755", "size=64m", "tmpcopyup"],
        &["nosuid", "nodev", "noexec", "size=64m", "tmpcopyup"],
    ),
    pids_limit: 512,
    strict_filter: true,
    fail_closed: true,
    root_in_userns: false,
    noexec_volumes: true,
    ..HARDENED
};

const NET_BIND_SERVICE: u8 = 10;

const fn bit(number: u8) -> u64 {
    1 << number
}

/// CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE.
const HARDENED_CEILING: u64 =
    bit(0) | bit(1) | bit(3) | bit(4) | bit(5) | bit(6) | bit(7) | bit(NET_BIND_SERVICE);

/// The same and SETPCAP, SYS_CHROOT, MKNOD, AUDIT_WRITE, SETFCAP.
const BASELINE_CEILING: u64 = HARDENED_CEILING | bit(8) | bit(18) | bit(27) | bit(29) | bit(31);

type Options = &'static [&'static str];

/// Control `root.tmpfs`: everybody's, that of root, and those that look like the image's directory.
const fn scratch(shared: Options, own: Options, like_image: Options) -> [Tmpfs; 12] {
    const fn always(destination: &'static str, options: Options) -> Tmpfs {
        Tmpfs { destination, options, if_present: false }
    }
    const fn if_present(destination: &'static str, options: Options) -> Tmpfs {
        Tmpfs { destination, options, if_present: true }
    }
    [
        always("/tmp", shared),
        always("/var/tmp", shared),
        always("/run", own),
        if_present("/var/run", like_image),
        if_present("/var/lock", like_image),
        if_present("/var/cache", like_image),
        if_present("/var/log", like_image),
        if_present("/var/lib/nginx", like_image),
        if_present("/usr/local/apache2/logs", like_image),
        if_present("/usr/local/tomcat/logs", like_image),
        if_present("/usr/local/tomcat/temp", like_image),
        if_present("/usr/local/tomcat/work", like_image),
    ]
}

const SAFE_SYSCTLS: [&str; 14] = [
    "kernel/shm_rmid_forced",
    "net/ipv4/ip_local_port_range",
    "net/ipv4/ip_local_reserved_ports",
    "net/ipv4/ip_unprivileged_port_start",
    "net/ipv4/ping_group_range",
    "net/ipv4/tcp_fin_timeout",
    "net/ipv4/tcp_keepalive_intvl",
    "net/ipv4/tcp_keepalive_probes",
    "net/ipv4/tcp_keepalive_time",
    "net/ipv4/tcp_notsent_lowat",
    "net/ipv4/tcp_rmem",
    "net/ipv4/tcp_slow_start_after_idle",
    "net/ipv4/tcp_syncookies",
    "net/ipv4/tcp_wmem",
];

const MASKED: [&str; 32] = [
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
    "/sys/devices/system/cpu/cpu*/thermal_throttle",
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
