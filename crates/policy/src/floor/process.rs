//! Capabilities, no_new_privs, filters, limits: what one process may do.

use super::question::{Floor, Phase};

/// Capabilities by number (include/uapi/linux/capability.h), as overrides call them.
const CAPABILITIES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

const BASELINE: [&str; 13] = [
    "chown",
    "dac_override",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "net_bind_service",
    "sys_chroot",
    "mknod",
    "audit_write",
    "setfcap",
];
const HARDENED: [&str; 8] =
    ["chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "net_bind_service"];
const RESTRICTED: [&str; 1] = ["net_bind_service"];

/// A core file of this many bytes is never written, and at exactly this limit the kernel starts no program for it either
/// (core(5), fs/coredump.c).
const NO_CORE: u64 = 1;

pub(super) fn check(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    if let Some(status) = floor.part(&seen.status, "process.capabilities", "its status") {
        let sets = [
            ("bounding", status.bounding),
            ("permitted", status.permitted),
            ("effective", status.effective),
            ("inheritable", status.inheritable),
            ("ambient", status.ambient),
        ];
        capabilities(floor, &sets);
        if floor.is_hardened() && !status.no_new_privs {
            let what = || "no_new_privs is not set".to_owned();
            floor.violation("process.no-new-privs", Some("process.new-privileges"), what);
        }
    }
    filters(floor);
    core(floor);
    if let Some(score) = floor.part(&seen.oom_score_adj, "oom.score", "oom_score_adj") {
        // Who has no privilege inherits what others have set, and cannot go below it.
        if floor.is_hardened() && *score < 0 && floor.seen.caller.privileged {
            let what = || format!("oom_score_adj is {score}");
            floor.violation("oom.score", Some("oom.negative-score"), what);
        }
    }
    if let Some(listed) = floor.part(&seen.devices_listed, "devices.listed", "device rules") {
        if !listed {
            let what = || "every device may be used".to_owned();
            floor.violation("devices.listed", Some("devices.all"), what);
        }
    }
}

fn capabilities(floor: &mut Floor<'_>, sets: &[(&str, u64)]) {
    if floor.granted("capabilities.all") {
        return;
    }
    let ceiling: &[&str] = match (floor.is_restricted(), floor.is_hardened()) {
        (true, _) => &RESTRICTED,
        (false, true) => &HARDENED,
        (false, false) => &BASELINE,
    };
    let may =
        |name: &str| ceiling.contains(&name) || floor.granted(&format!("capabilities.{name}"));
    let known = CAPABILITIES.iter().enumerate().filter(|(_, name)| may(name));
    let ceiling = known.fold(0, |mask, (number, _)| mask | 1_u64 << number);
    for (set, mask) in sets {
        let above = mask & !ceiling;
        if above != 0 {
            let what = || format!("the {set} capabilities include {}", names(above));
            floor.violation("process.capabilities", Some("capabilities.all"), what);
        }
    }
}

fn names(mask: u64) -> String {
    let name = |number: u32| match CAPABILITIES.get(number as usize) {
        Some(name) => (*name).to_owned(),
        None => format!("number {number}"),
    };
    let held: Vec<String> =
        (0..u64::BITS).filter(|number| mask & (1 << number) != 0).map(name).collect();
    match held.len() {
        0..=4 => held.join(", "),
        more => format!("{} and {} more", held[..3].join(", "), more - 3),
    }
}

fn filters(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    let Some((loaded, own)) = floor.part(&seen.filters, "seccomp.filters", "filters") else {
        return;
    };
    let ours = u32::from(!floor.granted("seccomp.unconfined"));
    // `baseline` is content with the configuration's own.
    let wanted = if floor.is_hardened() { own + ours } else { (*own).max(ours) };
    if *loaded < wanted {
        let what = || format!("{loaded} system call filters, not {wanted}");
        floor.violation("seccomp.filters", Some("seccomp.unconfined"), what);
    }
}

/// What a crash leaves behind, and who gets it. A pipe is handed a core whatever the limit, unless that is 1; a socket
/// (`@`, Linux 6.16) is handed one in any case.
fn core(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    let limit = floor.part(&seen.core_limit, "rlimits.core", "RLIMIT_CORE").copied();
    let pattern = floor.part(&seen.core_pattern, "process.core-pattern", "kernel.core_pattern");
    if !floor.is_hardened() {
        return;
    }
    if let Some(limit) = limit.filter(|limit| limit.hard > NO_CORE) {
        let what = || format!("RLIMIT_CORE is {}", limit.hard);
        floor.violation("rlimits.core", Some("rlimits.core"), what);
    }
    let Some(pattern) = pattern else { return };
    let handed = match pattern.as_bytes().first() {
        Some(b'|') => limit.is_some_and(|limit| limit.soft != NO_CORE),
        Some(b'@') => true,
        _ => false,
    };
    // With ids of its own, or in a nested host, what is handed over comes from nobody of power.
    let confined = floor.seen.has_own_users() != Some(false) || !floor.seen.caller.privileged;
    if floor.is_restricted() && handed && !confined && floor.phase != Phase::AfterExec {
        let what = || format!("a crash reaches the host by kernel.core_pattern {pattern:.60}");
        floor.violation("process.core-pattern", Some("process.core-pipe"), what);
    }
}
