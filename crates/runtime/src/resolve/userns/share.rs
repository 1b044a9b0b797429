//! Whose ids a container shares: those of the container whose namespaces it joins.

use crate::resolve::ids::{read_map, IdMaps};
use crate::resolve::pool::ids::Range;
use anyhow::{Context as _, Result};
use casemate_kernel::InnerId;
use casemate_policy::spec::{NamespaceKind, Spec};
use casemate_sys::ns;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// A namespace that is joined by path.
pub(super) struct Joined {
    pub(super) inode: u64,
    path: String,
}

/// The user namespace of another process.
pub(super) struct Shared {
    pub(super) path: String,
    /// For records.
    pub(super) whose: String,
    pub(super) maps: IdMaps,
    pub(super) range: Range,
}

/// Kinds that containers of a pod share, and by which they can be told to be one.
const KINDS: [NamespaceKind; 4] =
    [NamespaceKind::Ipc, NamespaceKind::Pid, NamespaceKind::Network, NamespaceKind::Uts];

/// The namespaces that `spec` joins. A path that leads nowhere is reported by who opens it.
pub(super) fn joined(spec: &Spec) -> Vec<Joined> {
    let paths = KINDS.iter().filter_map(|kind| spec.namespace(*kind)?.path.clone());
    let stat = |path: String| {
        let inode = rustix::fs::stat(path.as_str()).ok()?.st_ino;
        Some(Joined { inode, path })
    };
    paths.filter_map(stat).collect()
}

/// The user namespace of the process that the joined namespaces are named after, if it is not our own and maps root: engines
/// name another container's namespaces by its process (`/proc/PID/ns/ipc`).
pub(super) fn user_namespace(proc: &OwnedFd, joined: &[Joined]) -> Result<Option<Shared>> {
    let Some(pid) = joined.iter().find_map(|joined| pid_of(&joined.path)) else { return Ok(None) };
    let theirs = match ns::inode(proc, &pid.to_string(), "user") {
        // It has ended: who opens the namespaces tells.
        Err(error) if error.errno() == Errno::SRCH => None,
        other => other.context("user namespace of the pod")?,
    };
    if theirs.is_none() || theirs == ns::inode(proc, "self", "user")? {
        return Ok(None);
    }
    let maps =
        IdMaps { uid: read_map(proc, pid, "uid_map")?, gid: read_map(proc, pid, "gid_map")? };
    let range = maps
        .host_uid(InnerId::ROOT)
        .zip(maps.host_gid(InnerId::ROOT))
        .filter(|_| !maps.uid.is_empty());
    let Some((uid, gid)) = range else { return Ok(None) };
    Ok(Some(Shared {
        path: format!("/proc/{pid}/ns/user"),
        whose: crate::launch::cgroups::whose(pid)?,
        maps,
        range: Range { uid: uid.0, gid: gid.0 },
    }))
}

/// The process by which the path of a namespace names it.
pub(crate) fn pid_of(path: &str) -> Option<i32> {
    let (pid, rest) = path.strip_prefix("/proc/")?.split_once('/')?;
    // `self`, for one, is no number.
    rest.starts_with("ns/").then(|| pid.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_named_by_the_path_of_its_namespaces() {
        assert_eq!(pid_of("/proc/4711/ns/ipc"), Some(4711));
        for path in ["/run/netns/x", "/proc/self/ns/ipc", "/proc/1/root/ns/ipc", "/proc/1"] {
            assert_eq!(pid_of(path), None, "{path}");
        }
    }
}
