//! What looking at files needs to know of the host and of this container.

use super::names::Mounts;
use casemate_policy::BundleFact;
use rustix::fd::OwnedFd;

/// The host, and what must not be given away.
pub(super) struct Scene<'a> {
    /// The runtime's /proc.
    pub(super) proc: &'a OwnedFd,
    /// The mounts of the host.
    pub(super) mounts: Mounts<'a, 'a>,
    /// What this container's hooks on the host's side depend on.
    pub(super) hooks: Vec<String>,
    /// Where the audit log lies, and what leads there.
    pub(super) log: Vec<String>,
    /// The other containers of the state root, once somebody has asked.
    pub(super) others: Option<Vec<BundleFact>>,
    /// The caller is root of the host.
    pub(super) root: bool,
}
