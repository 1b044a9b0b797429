//! What a plan depends on beside the configuration.

use crate::facts::SourceFact;
use crate::floor::Caller;
use crate::spec::NamespaceKind;
use std::collections::BTreeMap;

/// What a plan depends on beside the configuration.
#[derive(Clone, Copy, Debug)]
pub struct PlanFacts<'a> {
    /// mountinfo of the host, or of what the runtime runs in.
    pub host: &'a [u8],
    /// Absolute path of the root file system.
    pub rootfs: &'a str,
    /// Absolute path of the bundle, from which relative sources count.
    pub bundle: &'a str,
    /// What the sources led to, by the bundle's number of the mount.
    pub sources: &'a BTreeMap<usize, SourceFact>,
    /// Namespaces that are joined by path and are the host's.
    pub host_namespaces: &'a [NamespaceKind],
    /// Who makes the container.
    pub caller: Caller,
    /// The runtime's own directories.
    pub own_places: &'a [String],
}
