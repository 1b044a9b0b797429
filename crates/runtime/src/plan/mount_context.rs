//! What the plan of a mount depends on besides the configuration.

use crate::decide::bundle::Bundle;
use crate::resolve::ids::IdMaps;
use crate::resolve::userns::idmap::Mapper;
use casemate_policy::{LayerFact, SourceFact};
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What lowering a mount has to know besides the spec.
#[derive(Debug)]
pub(super) struct MountContext<'a> {
    /// The bundle, for relative sources.
    pub bundle: &'a Bundle,
    /// What the rules were told about the sources, by the bundle's number of the mount.
    pub sources: &'a BTreeMap<usize, SourceFact>,
    /// The same about the layers of overlays.
    pub layers: &'a BTreeMap<usize, Vec<LayerFact>>,
    /// The runtime's /proc.
    pub proc: &'a OwnedFd,
    /// Ids of what is created on the host's side of the user namespace.
    pub ids: &'a IdMaps,
    /// The container's user namespace, for `idmap` without mappings of its own.
    pub user_namespace: Option<&'a OwnedFd>,
    /// The container has its own cgroup namespace, or that of another one.
    pub own_cgroup_namespace: bool,
    /// The host directory of the container's cgroup, or of the whole hierarchy.
    pub cgroup_dir: Option<PathBuf>,
    /// Where the host's cgroup2 is mounted.
    pub cgroup_mount: Option<PathBuf>,
    /// The runtime may clone mounts of the host.
    pub clones: bool,
    /// Ids that the kernel would not know are left out of options rather than refused (rootless, as crun does).
    pub unprivileged: bool,
    /// What the host's mounts become for the container, before anything is mounted there.
    pub propagation: u64,
    /// Makes the clones for a container that got its user namespace from us.
    pub(crate) mapper: Option<Mapper<'a>>,
    /// The caller is in a container itself, or has no privilege: there are file systems that it may not mount.
    pub nested: bool,
}
