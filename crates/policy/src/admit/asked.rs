//! What a configuration asks for, as far as controls look beyond the part that they own.

use crate::check::{clean, sysctl};
use crate::controls::{bundle, device_rules, groups, memory, mounts};
use crate::engine::Engine;
use crate::facts::MountFacts;
use crate::spec::{CapSet, IdMapping, Mount, Namespace, NamespaceKind, Spec};
use std::collections::HashMap;

/// A summary, made before the configuration is taken apart.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// The namespaces.
    pub(crate) namespaces: Vec<Namespace>,
    /// Users of a new user namespace.
    pub(crate) uid_mappings: Vec<IdMapping>,
    /// Groups of a new user namespace.
    pub(crate) gid_mappings: Vec<IdMapping>,
    /// The program, as the configuration names it.
    pub(crate) program: Option<String>,
    /// The union of the capability sets.
    pub(crate) capabilities: u64,
    /// The permitted capabilities.
    pub(crate) permitted: CapSet,
    /// What engines make of `--privileged`.
    pub(crate) everything: bool,
    /// Any device may be used.
    pub(crate) all_devices: bool,
    /// Nothing is hidden and nothing is protected.
    pub(crate) hides_nothing: bool,
    /// Kernel parameters, as paths below /proc/sys.
    pub(crate) sysctls: Vec<String>,
    /// SELinux label of the mounts.
    pub(crate) mount_label: Option<String>,
    /// Where something is mounted that no later mount covers again, cleaned.
    pub(crate) destinations: Vec<String>,
    /// The sandbox of a pod.
    pub(crate) sandbox: bool,
    /// Its pod, as far as it is known.
    pub(crate) pod: mounts::Pod,
    /// The caller's groups are to be kept.
    pub(crate) keeps_groups: bool,
    /// The root file system is to be read-only.
    pub(crate) readonly_root: bool,
}

impl Asked {
    /// `engine`: the one that has made the configuration, as far as that is certain.
    pub(crate) fn of(spec: &Spec, engine: Option<Engine>, facts: &MountFacts) -> Self {
        let process = spec.process.as_ref();
        let capabilities = process.and_then(|process| process.capabilities.as_ref());
        let linux = &spec.linux;
        let resources = linux.resources.as_ref();
        Self {
            namespaces: linux.namespaces.clone(),
            uid_mappings: linux.uid_mappings.clone(),
            gid_mappings: linux.gid_mappings.clone(),
            program: process.and_then(|process| process.args.first()).cloned(),
            capabilities: capabilities
                .map_or(0, |sets| sets.sets().iter().fold(0, |mask, (_, set)| mask | set.mask)),
            permitted: capabilities.map_or_else(CapSet::default, |sets| sets.permitted.clone()),
            everything: bundle::asks_for_everything(spec),
            all_devices: resources.is_some_and(|r| device_rules::allow_all(&r.devices)),
            hides_nothing: linux.masked_paths.is_empty() && linux.readonly_paths.is_empty(),
            sysctls: sysctls(spec),
            mount_label: linux.mount_label.clone(),
            destinations: uncovered(&spec.mounts),
            sandbox: memory::is_sandbox(&spec.annotations),
            pod: mounts::Pod::of(spec, engine, facts),
            keeps_groups: groups::are_kept(&spec.annotations),
            readonly_root: spec.root.readonly,
        }
    }

    /// The namespace entry of one kind.
    pub(crate) fn namespace(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.namespaces.iter().find(|namespace| namespace.kind == kind)
    }
}

/// Destinations at which the mount of the configuration is what is seen. A remount puts nothing there, and what is mounted
/// below the place of a later mount is hidden by that.
fn uncovered(mounts: &[Mount]) -> Vec<String> {
    let places: Vec<_> = mounts.iter().map(|mount| clean(&mount.destination)).collect();
    let last: HashMap<&str, usize> =
        places.iter().enumerate().map(|(index, place)| (place.as_ref(), index)).collect();
    let is_covered = |index: usize| {
        let place = places[index].as_ref();
        let above =
            place.match_indices('/').map(|(at, _)| if at == 0 { "/" } else { &place[..at] });
        above
            .filter(|above| *above != place)
            .any(|above| last.get(above).is_some_and(|at| *at > index))
    };
    let is_seen = |index: &usize| {
        let remount = mounts[*index].options.iter().any(|option| option == "remount");
        !remount && !is_covered(*index)
    };
    (0..places.len()).filter(is_seen).map(|index| places[index].to_string()).collect()
}

/// A configuration that was read has no parameter that does not resolve ([`Spec::parse`] refuses it).
fn sysctls(spec: &Spec) -> Vec<String> {
    if spec.linux.sysctl.is_empty() {
        return Vec::new();
    }
    let all = sysctl::resolve(spec).unwrap_or_default();
    all.into_iter().map(|sysctl| sysctl.path).collect()
}
