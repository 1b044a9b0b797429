//! The container's program: it tries to read what no container is to see and to write where no container is to write, says
//! in one line what it could, and waits, so that it can be looked at.

use super::checks::{CANARY, MARK};
use serde_json::json;
use std::io::{BufRead, Write};
use std::path::Path;

pub(crate) fn run() {
    let places = mount_points();
    let mut read = Vec::new();
    for place in &places {
        for name in ["", "/shadow", "/etc/shadow", "/root/etc/shadow", "/1/root/etc/shadow"] {
            let path = format!("{place}{name}");
            let is_secret =
                |text: Vec<u8>| text.windows(CANARY.len()).any(|w| w == CANARY.as_bytes());
            if is_small(&path) && std::fs::read(&path).is_ok_and(is_secret) {
                read.push(path);
            }
        }
    }
    let mut wrote = Vec::new();
    for place in places.iter().filter(|place| Path::new(place).is_dir()) {
        // Those of the kernel take no new files; below them are the memory and the data of the container, which do.
        let path = format!("{}/{MARK}", place.trim_end_matches('/'));
        if std::fs::write(&path, MARK).is_ok() {
            wrote.push(path);
        }
    }
    // SAFETY: no arguments.
    let uid = unsafe { libc::getuid() };
    let found = json!({
        "read": read, "wrote": wrote, "uid": uid, "hosts": hosts_processes(),
        "sysctl": may_write("/proc/sys/kernel/core_pattern"),
        "sysrq": may_write("/proc/sysrq-trigger"),
    });
    println!("{found}");
    drop(std::io::stdout().flush());
    let mut line = String::new();
    drop(std::io::stdin().lock().read_line(&mut line));
}

fn is_small(path: &str) -> bool {
    // What cannot be looked at cannot be read.
    std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() < 1 << 16)
}

/// Opened, never written.
fn may_write(path: &str) -> bool {
    std::fs::OpenOptions::new().write(true).open(path).is_ok()
}

/// Where something is mounted; without a procfs, where it usually is.
fn mount_points() -> Vec<String> {
    let Ok(table) = std::fs::read("/proc/self/mountinfo") else {
        return ["/", "/mnt", "/data", "/tmp", "/etc", "/dev/shm"].map(str::to_owned).to_vec();
    };
    let table = String::from_utf8_lossy(&table);
    let points = table.lines().filter_map(|line| line.split(' ').nth(4));
    let plain =
        |text: &str| text.replace("\\040", " ").replace("\\012", "\n").replace("\\134", "\\");
    points.map(plain).collect()
}

/// Processes of the driver, which no container sees.
fn hosts_processes() -> u64 {
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let others = entries.flatten().filter(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.windows(MARK.len()).any(|window| window == MARK.as_bytes())
    });
    others.count() as u64
}
