//! Which of the namespaces that are joined by path are the runtime's own. That a path is given says nothing, the inode does
//! (CVE-2022-0811). Launching compares what it has opened with this once more, so that no link can be changed between.

use casemate_policy::spec::{NamespaceKind, Spec};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD};

/// The kinds that a configuration joins by path and that are ours.
pub(super) fn of_host(spec: &Spec, proc: &OwnedFd) -> Vec<NamespaceKind> {
    let joined = spec.linux.namespaces.iter();
    let own = joined.filter(|namespace| {
        namespace.path.as_deref().is_some_and(|path| is_own(namespace.kind, path, proc))
    });
    own.map(|namespace| namespace.kind).collect()
}

/// A path that cannot be looked at is not ours; joining it fails later, and says why.
fn is_own(kind: NamespaceKind, path: &str, proc: &OwnedFd) -> bool {
    let joined = rustix::fs::statat(CWD, path, AtFlags::empty());
    let own = rustix::fs::statat(proc, link(kind), AtFlags::empty());
    matches!((joined, own), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
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
