//! What must be true of a container that runs, looked at from the host, and apart from `casemate audit`.

use serde_json::Value;
use std::path::Path;

/// What stands in the host's secrets.
pub(crate) const CANARY: &str = "casemate-generate-secret-7c1f";

/// What a payload writes where it can; also on the command line of the driver's own process.
pub(crate) const MARK: &str = "casemate-generate-mark";

/// What is wrong with a running container: by its payload, by /proc and by the floor.
pub(crate) fn of(profile: &str, pid: &str, said: &Value, audit: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let list = |name: &str| said[name].as_array().cloned().unwrap_or_default();
    for path in list("read") {
        faults.push(format!("the host's secret was read at {path}"));
    }
    if said["hosts"].as_u64() != Some(0) {
        faults.push("the host's processes are seen".to_owned());
    }
    for (name, what) in [("sysctl", "core_pattern"), ("sysrq", "sysrq-trigger")] {
        if said[name] != Value::Bool(false) {
            faults.push(format!("{what} can be written"));
        }
    }
    match audit["floor"]["violations"].as_array() {
        Some(found) => faults.extend(found.iter().map(|violation| format!("audit: {violation}"))),
        None => faults.push(format!("audit says nothing about the floor: {audit:.200}")),
    }
    faults.extend(by_proc(profile, pid));
    faults
}

/// By the kernel's own words.
fn by_proc(profile: &str, pid: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) else {
        return vec!["its status cannot be read".to_owned()];
    };
    let field = |name: &str| {
        status.lines().find_map(|line| line.strip_prefix(name)).map_or("", str::trim).to_owned()
    };
    if profile != "baseline" {
        if field("Uid:")
            .split_whitespace()
            .any(|id| id.parse::<u32>().map_or(true, |id| id < 65536))
        {
            faults.push(format!("it runs as a user of the host's: {}", field("Uid:")));
        }
        if field("NoNewPrivs:") != "1" {
            faults.push("no_new_privs is not set".to_owned());
        }
    }
    if field("Seccomp:") != "2" {
        faults.push("no system call filter".to_owned());
    }
    // SYS_ADMIN, SYS_MODULE, SYS_RAWIO, SYS_PTRACE, DAC_READ_SEARCH, NET_ADMIN, BPF.
    const NEVER: u64 = 1 << 21 | 1 << 16 | 1 << 17 | 1 << 19 | 1 << 2 | 1 << 12 | 1 << 39;
    for set in ["CapBnd:", "CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
        if u64::from_str_radix(&field(set), 16).map_or(true, |mask| mask & NEVER != 0) {
            faults.push(format!("{set} {}", field(set)));
        }
    }
    for kind in ["mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let link = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/{kind}"));
        match (link(pid), link("self")) {
            (Ok(its), Ok(ours)) if its != ours => {}
            other => faults.push(format!("namespace {kind}: {other:?}")),
        }
    }
    faults
}

/// Places of the host where a payload has left its mark.
pub(crate) fn marks() -> Vec<String> {
    const PLACES: [&str; 22] = [
        "/",
        "/etc",
        "/etc/cron.d",
        "/etc/ssh",
        "/root",
        "/root/.ssh",
        "/boot",
        "/usr",
        "/usr/bin",
        "/usr/lib",
        "/opt",
        "/var",
        "/var/lib",
        "/var/lib/dpkg",
        "/var/spool/cron",
        "/run",
        "/run/casemate",
        "/run/casemate-ids",
        "/dev",
        "/dev/shm",
        "/sys/fs/cgroup",
        "/run/user",
    ];
    let marked =
        PLACES.iter().map(|place| Path::new(place).join(MARK)).filter(|path| path.exists());
    let found: Vec<_> = marked.collect();
    found.iter().for_each(|path| drop(std::fs::remove_file(path)));
    found.iter().map(|path| format!("the host's {} was written", path.display())).collect()
}
