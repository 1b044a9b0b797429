//! What a configuration asks for, as far as controls look beyond the part that they own.

use super::pod::Pod;
use crate::check::{clean, sysctl};
use crate::engine::Engine;
use crate::facts::MountFacts;
use crate::spec::{
    CapSet, Capability, DeviceRule, DeviceRuleKind, IdMapping, Mount, Namespace, NamespaceKind,
    Spec,
};
use std::collections::{BTreeMap, HashMap};

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
    pub(crate) pod: Pod,
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
            everything: asks_for_everything(spec),
            all_devices: resources.is_some_and(|r| allow_all(&r.devices)),
            hides_nothing: linux.masked_paths.is_empty() && linux.readonly_paths.is_empty(),
            sysctls: sysctls(spec),
            mount_label: linux.mount_label.clone(),
            destinations: uncovered(&spec.mounts),
            sandbox: is_sandbox(&spec.annotations),
            pod: Pod::of(spec, engine, facts),
            keeps_groups: keeps_groups(&spec.annotations),
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

/// A configuration with this many capabilities was given all that its engine knows of; engines know different kernels.
const NEARLY_ALL: u32 = 35;

/// All capabilities, all devices, and nothing of /proc hidden: no single option of an engine gives all three.
pub(crate) fn asks_for_everything(spec: &Spec) -> bool {
    let Some(capabilities) = spec.process.as_ref().and_then(|p| p.capabilities.as_ref()) else {
        return false;
    };
    let bounding = &capabilities.bounding;
    let admin = Capability::from_name("CAP_SYS_ADMIN").is_some_and(|c| bounding.contains(c));
    let devices = spec.linux.resources.as_ref().map_or(&[][..], |limits| &limits.devices);
    admin
        && bounding.mask.count_ones() >= NEARLY_ALL
        && spec.linux.masked_paths.is_empty()
        && devices.last().is_some_and(allows_all)
}

/// Not given and -1 mean every number.
pub(crate) fn any_number(number: Option<i64>) -> bool {
    number.is_none_or(|number| number == -1)
}

pub(crate) fn is_all_devices(rule: &DeviceRule) -> bool {
    matches!(rule.kind, None | Some(DeviceRuleKind::All))
        && any_number(rule.major)
        && any_number(rule.minor)
}

/// The rule lets every device be used.
pub(crate) fn allows_all(rule: &DeviceRule) -> bool {
    rule.allow && is_all_devices(rule)
}

/// True for a list that engines write for "privileged".
pub(crate) fn allow_all(rules: &[DeviceRule]) -> bool {
    rules.iter().any(allows_all)
}

/// How engines mark the sandbox of a pod: containerd's CRI service, CRI-O. Nothing is gained by saying so.
const SANDBOX: [(&str, &str); 2] = [
    ("io.kubernetes.cri.container-type", "sandbox"),
    ("io.kubernetes.cri-o.ContainerType", "sandbox"),
];

/// The configuration is a pod's sandbox.
pub(crate) fn is_sandbox(annotations: &BTreeMap<String, String>) -> bool {
    SANDBOX.iter().any(|(key, value)| annotations.get(*key).is_some_and(|v| v == value))
}

/// The annotation by which podman's `--group-add keep-groups` reaches a runtime.
const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// The annotation asks for them.
pub(crate) fn keeps_groups(annotations: &BTreeMap<String, String>) -> bool {
    annotations.get(KEEP_GROUPS).is_some_and(|value| value == "1")
}
