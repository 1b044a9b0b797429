//! Which of the namespaces that are joined by path are the runtime's own. That a path is given says nothing, the inode does
//! (CVE-2022-0811). Launching compares what it has opened with this once more, so that no link can be changed between.

use anyhow::Result;
use casemate_policy::spec::{Namespace, NamespaceKind, Spec};
use casemate_sys::{ns, Context as _};
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

/// A user namespace of its own, with ids that the configuration names. Of one that is joined by path they are only told.
pub(crate) fn brings_ids(spec: &Spec) -> bool {
    let linux = &spec.linux;
    let new = |namespace: &&Namespace| namespace.path.is_none();
    let own = linux.namespaces.iter().find(|namespace| namespace.kind == NamespaceKind::User);
    own.as_ref().is_some_and(new)
        && !(linux.uid_mappings.is_empty() && linux.gid_mappings.is_empty())
}

fn is_own(kind: NamespaceKind, path: &str, proc: &OwnedFd) -> Result<bool> {
    let joined = rustix::fs::statat(CWD, path, AtFlags::empty())
        .call(|| format!("linux.namespaces {} path {path}: stat()", kind.name()))?;
    Ok(ns::inode(proc, "self", file(kind))? == Some(joined.st_ino))
}

/// The file of a kind in the ns directory of a process.
pub(crate) fn file(kind: NamespaceKind) -> &'static str {
    match kind {
        NamespaceKind::Pid => "pid",
        NamespaceKind::Network => "net",
        NamespaceKind::Mount => "mnt",
        NamespaceKind::Ipc => "ipc",
        NamespaceKind::Uts => "uts",
        NamespaceKind::User => "user",
        NamespaceKind::Cgroup => "cgroup",
        NamespaceKind::Time => "time",
    }
}
