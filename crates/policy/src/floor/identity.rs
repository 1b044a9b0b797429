//! Namespaces and ids: what of the host a process is part of.

use super::observed::{Namespace, Part};
use super::question::{Floor, Phase};
use crate::profile::ProfileName;
use casemate_kernel::id_map::IdRange;
use casemate_kernel::{HostId, InnerId};

/// Below this, ids belong to the host's own users and services: distributions and engines hand out ranges from here up
/// (subuid(5), systemd's UIDS-GIDS.md).
pub(super) const FIRST_FREE: HostId = HostId(65536);

/// The kind, what it is called, and the override that permits sharing it.
const SHARED: [(Namespace, &str, Option<&str>); 6] = [
    (Namespace::Mount, "mount", None),
    (Namespace::Network, "network", Some("namespaces.host-network")),
    (Namespace::Pid, "pid", Some("namespaces.host-pid")),
    (Namespace::Ipc, "ipc", Some("namespaces.host-ipc")),
    (Namespace::Uts, "uts", Some("namespaces.host-uts")),
    (Namespace::Cgroup, "cgroup", Some("namespaces.host-cgroup")),
];

pub(super) fn check(floor: &mut Floor<'_>) {
    namespaces(floor);
    users(floor);
    ids(floor);
    nested(floor);
    root(floor);
}

fn namespaces(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    let Some(found) = floor.part(&seen.namespaces, "namespaces.own", "namespaces") else { return };
    // An ordinary user cannot connect a network namespace to anything.
    let ordinary = seen.caller.euid != 0 && floor.profile < ProfileName::Restricted;
    for (kind, name, allow) in SHARED {
        if kind == Namespace::Network && ordinary {
            continue;
        }
        if found.get(&kind) == Some(&true) {
            let what = || format!("the {name} namespace is the host's");
            floor.violation("namespaces.own", allow, what);
        }
    }
}

/// Root of the container is nobody on the host.
fn users(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    if !floor.is_hardened() || !seen.caller.privileged || seen.has_own_users() != Some(false) {
        return;
    }
    // Whoever was granted these shares more with the host than a user namespace would keep apart.
    let others = ["userns.fallback", "namespaces.host-pid", "namespaces.host-network"];
    if others.iter().any(|name| floor.granted(name)) {
        return;
    }
    // Nothing is mapped yet when it is planned.
    let waived = seen.unmappable.is_some() && !floor.is_restricted();
    if !waived && floor.phase != Phase::Plan {
        let what = || "root of the container is root of the host".to_owned();
        floor.violation("userns.own", Some("userns.host"), what);
    }
}

/// No id of the container is one of the host's own. An ordinary user has none but its own to give.
fn ids(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    let maps = [("user", &seen.uid_map), ("group", &seen.gid_map)];
    for (what, map) in maps {
        let Some(map) = floor.part(map, "userns.ids", "the id map") else { continue };
        if !floor.is_hardened() || !seen.caller.privileged || seen.has_own_users() == Some(false) {
            continue;
        }
        if let Some(low) = map.iter().map(|range| range.outside).min().filter(|id| *id < FIRST_FREE)
        {
            let what = || format!("{what} id {low} of the host is one of the container's");
            floor.violation("userns.ids", Some("userns.host"), what);
        }
    }
}

/// No user namespaces can be made below the container's own.
fn nested(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    let part = &seen.max_user_namespaces;
    let Some(most) = floor.part(part, "userns.nested", "user.max_user_namespaces") else { return };
    let lifted = floor.granted("seccomp.userns");
    if floor.is_hardened() && *most != 0 && !lifted {
        let what = || format!("{most} user namespaces can be made below the container's");
        floor.violation("userns.nested", Some("userns.nested"), what);
    }
}

/// `restricted`: no process runs as root of the container or in its group.
fn root(floor: &mut Floor<'_>) {
    let seen = floor.seen;
    let (Part::Seen(status), Part::Seen(uids), Part::Seen(gids), true) =
        (&seen.status, &seen.uid_map, &seen.gid_map, floor.is_restricted())
    else {
        return;
    };
    let uid = status.uid.iter().any(|id| inside(uids, *id) == Some(InnerId::ROOT));
    let gid =
        status.gid.iter().chain(&status.groups).any(|id| inside(gids, *id) == Some(InnerId::ROOT));
    if uid || gid {
        let what = || format!("it runs as root{}", if uid { "" } else { "'s group" });
        floor.violation("process.root", Some("process.root"), what);
    }
}

/// What an id is in the container; without a map the same.
fn inside(map: &[IdRange], id: u32) -> Option<InnerId> {
    if map.is_empty() {
        return Some(InnerId(id));
    }
    map.iter().find_map(|range| range.to_inner(HostId(id)))
}
