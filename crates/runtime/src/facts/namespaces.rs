//! Which of the namespaces that are joined by path are the runtime's own. That a path is given says nothing, the inode does
//! (CVE-2022-0811). Launching compares what it has opened with this once more, so that no link can be changed between.

use anyhow::Result;
use casemate_policy::spec::{NamespaceKind, Spec};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD};

/// The kinds that a configuration joins by path and that are ours.
pub(super) fn of_host(spec: &Spec, proc: &OwnedFd) -> Result<Vec<NamespaceKind>> {
    let mut own = Vec::new();
    for namespace in &spec.linux.namespaces {
        if let Some(path) = &namespace.path {
            if is_own(namespace.kind, path, proc)? {
                own.push(namespace.kind);
            }
        }
    }
    Ok(own)
}

fn is_own(kind: NamespaceKind, path: &str, proc: &OwnedFd) -> Result<bool> {
    let joined = rustix::fs::statat(CWD, path, AtFlags::empty())
        .call(|| format!("linux.namespaces {} path {path}: stat()", kind.name()))?;
    let own = rustix::fs::statat(proc, link(kind), AtFlags::empty())
        .call(|| format!("stat(/proc/{})", link(kind)))?;
    Ok((joined.st_dev, joined.st_ino) == (own.st_dev, own.st_ino))
}

/// The link to the runtime's own namespace of a kind, below /proc.
pub(crate) fn link(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Pid => "self/ns/pid",
        NamespaceKind::Network => "self/ns/net",
        NamespaceKind::Mount => "self/ns/mnt",
        NamespaceKind::Ipc => "self/ns/ipc",
        NamespaceKind::Uts => "self/ns/uts",
        NamespaceKind::User => "self/ns/user",
        NamespaceKind::Cgroup => "self/ns/cgroup",
        NamespaceKind::Time => "self/ns/time",
    }
}
