//! What is not as the record says: the process has more than was planned, or other processes of the container
//! have more than its first one.

use super::finding::{Finding, Level};
use super::material::{Material, Peer};
use crate::observe::{covers, Observation};
use casemate_policy::spec::Capability;

/// All differences.
pub fn differences(material: &Material<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(recorded) = material.recorded {
        found.extend(privileges(recorded, material.effective));
        found.extend(limits(recorded, material.effective));
        found.extend(mounts(recorded, material.effective));
    }
    for peer in &material.peers {
        found.extend(beyond(material.effective, peer));
    }
    found
}

fn finding(level: Level, control: &str, message: String) -> Finding {
    Finding { level, control: control.to_owned(), message, pointer: String::new() }
}

fn privileges(recorded: &Observation, now: &Observation) -> Vec<Finding> {
    let mut found = Vec::new();
    let more = now.capabilities.any() & !recorded.capabilities.any();
    if more != 0 {
        let message = format!("has more than was recorded: {}", names(more));
        found.push(finding(Level::High, "capabilities.ceiling", message));
    }
    if now.filters < recorded.filters {
        let message = format!("{} filters, {} were recorded", now.filters, recorded.filters);
        found.push(finding(Level::High, "seccomp.default", message));
    }
    found
}

fn names(mask: u64) -> String {
    let named = Capability::all().filter(|capability| mask & capability.mask() != 0);
    named.map(Capability::name).collect::<Vec<_>>().join(" ")
}

/// A limit that is wider than the record's: the cgroup was written to by somebody else.
fn limits(recorded: &Observation, now: &Observation) -> Vec<Finding> {
    let (Some(recorded), Some(now)) = (recorded.limits, now.limits) else { return Vec::new() };
    let wider = |before: Option<u64>, now: Option<u64>| match (before, now) {
        (Some(before), Some(now)) => now > before,
        (Some(_), None) => true,
        (None, _) => false,
    };
    let shown = |limit: Option<u64>| limit.map_or("no limit".to_owned(), |limit| limit.to_string());
    let pairs = [
        ("pids.limit", recorded.pids, now.pids),
        // The kernel counts in pages.
        ("memory.limit", recorded.memory, now.memory),
    ];
    pairs
        .into_iter()
        .filter(|(_, before, now)| wider(*before, *now))
        .map(|(control, before, now)| {
            let message = format!("is {}, {} was recorded", shown(now), shown(before));
            finding(Level::Medium, control, message)
        })
        .collect()
}

/// Mounts that nobody recorded. What came along with a recursive bind mount, and what the runtime itself puts below /dev,
/// /proc and /sys, is no news.
fn mounts(recorded: &Observation, now: &Observation) -> Vec<Finding> {
    let known = |point: &str| {
        point == "/"
            || recorded.masked.iter().chain(&recorded.readonly).any(|path| path == point)
            || recorded.mounts.iter().any(|mount| {
                let own =
                    ["proc", "sysfs", "tmpfs", "devpts", "mqueue"].contains(&mount.kind.as_str());
                mount.point == point || (!own && covers(&mount.point, point))
            })
            || ["/dev", "/proc", "/sys"].iter().any(|place| covers(place, point))
    };
    let new = now.mounts.iter().filter(|mount| !known(&mount.point));
    new.map(|mount| {
        let message = format!("{} on {} was not there at the start", mount.kind, mount.point);
        finding(Level::Low, "mounts.sources", message)
    })
    .collect()
}

fn beyond(init: &Observation, peer: &Peer) -> Option<Finding> {
    let mut more = Vec::new();
    let capabilities = peer.status.capabilities.any() & !init.capabilities.any();
    if capabilities != 0 {
        more.push(format!("capabilities {}", names(capabilities)));
    }
    if init.no_new_privileges && !peer.status.no_new_privileges {
        more.push("no no_new_privs".to_owned());
    }
    if peer.status.filters < init.filters {
        more.push(format!("{} filters in place of {}", peer.status.filters, init.filters));
    }
    if more.is_empty() {
        return None;
    }
    let who = format!("process {} ({})", peer.pid, peer.status.name);
    let message = format!("{who} has more than the container's first: {}", more.join(", "));
    Some(finding(Level::High, "process.peers", message))
}
