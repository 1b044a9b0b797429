//! What the process may use up.

use super::judgement::{some, Judgement};
use crate::observe::{Limits, Observation, Origin};
use casemate_policy::Profile;

fn limits(seen: &Observation) -> Limits {
    seen.limits.unwrap_or_default()
}

pub(super) fn pids(seen: &Observation, _: &Profile) -> Judgement {
    match limits(seen).pids {
        Some(most) => Judgement::new(true, format!("at most {most} tasks")),
        None => Judgement::new(false, "no limit"),
    }
}

pub(super) fn memory(seen: &Observation, _: &Profile) -> Judgement {
    match limits(seen).memory {
        Some(bytes) => Judgement::new(true, size(bytes)),
        None => Judgement::new(false, "no limit"),
    }
}

pub(super) fn oom_group(seen: &Observation, _: &Profile) -> Judgement {
    match limits(seen).oom_group {
        Some(true) => Judgement::new(true, "all processes together"),
        Some(false) => Judgement::new(false, "one process at a time"),
        None => Judgement::unseen("no memory controller"),
    }
}

fn size(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    if bytes >= MIB {
        format!("{} MiB", bytes / MIB)
    } else {
        format!("{bytes} bytes")
    }
}

pub(super) fn cpu(seen: &Observation, _: &Profile) -> Judgement {
    let set = limits(seen).cpu;
    Judgement::new(set, if set { "limited or weighed" } else { "no limit" })
}

/// Bytes: no file can be so small, and the kernel starts no program (core(5)).
const NO_CORE: u64 = 1;

pub(super) fn core(seen: &Observation, profile: &Profile) -> Judgement {
    match seen.core_limit {
        Some(limit) => Judgement::new(limit <= profile.core_limit.max(NO_CORE), amount(limit)),
        None => Judgement::new(false, "the engine's"),
    }
}

pub(super) fn open_files(seen: &Observation, _: &Profile) -> Judgement {
    match seen.open_files {
        Some(limit) => Judgement::new(limit <= 1 << 20, amount(limit)),
        None => Judgement::new(false, "the engine's"),
    }
}

fn amount(limit: u64) -> String {
    if limit == u64::MAX {
        "unlimited".to_owned()
    } else {
        limit.to_string()
    }
}

pub(super) fn oom_score(seen: &Observation, _: &Profile) -> Judgement {
    match seen.oom_score_adj {
        Some(score) => Judgement::new(score >= 0, score.to_string()),
        None if seen.origin == Origin::Kernel => Judgement::unseen("cannot be read"),
        None => Judgement::new(true, "inherited"),
    }
}

/// A configuration has rules, a running container programs: what they decide cannot be read back.
pub(super) fn devices(seen: &Observation, _: &Profile) -> Judgement {
    if seen.origin == Origin::Config {
        let listed = seen.devices_listed == Some(true);
        let shown = if listed { "only what is listed" } else { "not a list of what is allowed" };
        return Judgement::new(listed, shown);
    }
    match limits(seen).device_programs {
        Some(0) => Judgement::new(false, "no program decides"),
        Some(1) => Judgement::new(true, "1 program decides"),
        Some(n) => Judgement::new(true, format!("{n} programs decide")),
        None => Judgement::unseen("cannot be seen by this user"),
    }
}

pub(super) fn sysctls(seen: &Observation, _: &Profile) -> Judgement {
    match &seen.sysctls {
        None => Judgement::unseen("only of a configuration"),
        Some(names) => Judgement::new(true, some(names)),
    }
}

pub(super) fn own_cgroup(seen: &Observation, _: &Profile) -> Judgement {
    let own = seen.limits.is_some();
    Judgement::new(own, if own { "a cgroup of its own" } else { "the root cgroup" })
}

/// The list of the Pod Security Standards, as of Kubernetes 1.36.
pub(super) fn safe_sysctls(seen: &Observation, _: &Profile) -> Judgement {
    const SAFE: [&str; 14] = [
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_notsent_lowat",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_slow_start_after_idle",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    ];
    let Some(names) = &seen.sysctls else { return Judgement::unseen("only of a configuration") };
    let dotted = |name: &String| name.replace('/', ".");
    let others: Vec<String> =
        names.iter().map(dotted).filter(|name| !SAFE.contains(&name.as_str())).collect();
    Judgement::new(others.is_empty(), format!("beyond the list: {}", some(&others)))
}
