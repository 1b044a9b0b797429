//! What a configuration says, before or after hardening.

use super::{Capabilities, Limits, Mount, Observation, Origin, Place};
use casemate_cgroup::convert::cpu_weight;
use casemate_policy::spec::{
    DeviceRule, DeviceRuleKind, NamespaceKind, Process, Propagation, RlimitKind, Spec,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a configuration asks for. `default_filter`: casemate loads its own filter; `paths`: those of the paths
/// worth hiding that this kernel has ([`super::present`]).
pub fn observe(spec: &Spec, default_filter: bool, paths: &BTreeSet<String>) -> Observation {
    let process = spec.process.clone().unwrap_or_default();
    let own = spec.linux.seccomp.as_ref().is_some_and(|profile| !profile.is_empty());
    let root = spec.linux.rootfs_propagation;
    let limit = |kind| process.rlimits.iter().find(|limit| limit.kind == kind).map(|l| l.hard);
    Observation {
        origin: Origin::Config,
        uid: process.user.uid,
        gid: process.user.gid,
        groups: process.user.additional_gids.clone(),
        capabilities: capabilities(&process),
        no_new_privileges: process.no_new_privileges,
        filters: usize::from(own) + usize::from(default_filter),
        namespaces: namespaces(spec),
        uid_map: spec.linux.uid_mappings.clone(),
        mounts: mounts(spec),
        root_readonly: spec.root.readonly,
        root_shared: matches!(root, Some(Propagation::Shared | Propagation::Rshared)),
        masked: spec.linux.masked_paths.clone(),
        readonly: spec.linux.readonly_paths.clone(),
        present: paths.clone(),
        apparmor: Some(process.apparmor_profile.clone().unwrap_or_default()),
        selinux: Some(process.selinux_label.clone().unwrap_or_default()),
        core_limit: limit(RlimitKind::Core),
        open_files: limit(RlimitKind::Nofile),
        oom_score_adj: process.oom_score_adj,
        limits: Some(limits(spec)),
        devices_listed: Some(devices_listed(spec)),
        devices: spec.linux.devices.iter().map(|device| device.path.clone()).collect(),
        sysctls: Some(spec.linux.sysctl.keys().cloned().collect()),
        hooks: Some(hooks(spec)),
        escapes: None,
        unread: Vec::new(),
        evidence: None,
    }
}

fn capabilities(process: &Process) -> Capabilities {
    let Some(sets) = &process.capabilities else { return Capabilities::default() };
    // A name without a number here counts as one capability more.
    let mask = |set: &casemate_policy::spec::CapSet| {
        set.mask | if set.unknown.is_empty() { 0 } else { 1 << 63 }
    };
    Capabilities {
        bounding: mask(&sets.bounding),
        effective: mask(&sets.effective),
        inheritable: mask(&sets.inheritable),
        permitted: mask(&sets.permitted),
        ambient: mask(&sets.ambient),
    }
}

/// A namespace that is joined counts as private unless its path says that it is the host's: what is behind it
/// is not looked at here.
fn namespaces(spec: &Spec) -> BTreeMap<NamespaceKind, Place> {
    let place = |kind: NamespaceKind| match spec.namespace(kind) {
        None => Place::Host,
        Some(found) => match found.path.as_deref() {
            Some(path) if path.starts_with("/proc/1/ns/") || path.starts_with("/proc/self/ns/") => {
                Place::Host
            }
            _ => Place::Private,
        },
    };
    NamespaceKind::ALL.into_iter().map(|kind| (kind, place(kind))).collect()
}

fn mounts(spec: &Spec) -> Vec<Mount> {
    spec.mounts
        .iter()
        .map(|mount| {
            let bind = mount.is_bind();
            let kind = if bind { "bind" } else { mount.kind.as_deref().unwrap_or("none") };
            let shared = |option: &String| option == "shared" || option == "rshared";
            // "rro" is stronger than "ro", "rnosuid" than "nosuid", and so on.
            let strong = |option: &String| match option.strip_prefix('r') {
                Some(rest @ ("ro" | "nosuid" | "nodev" | "noexec")) => rest.to_owned(),
                _ => option.clone(),
            };
            Mount {
                point: mount.destination.clone(),
                kind: kind.to_owned(),
                source: mount.source.clone().filter(|_| bind),
                options: mount.options.iter().map(strong).collect(),
                shared: mount.options.iter().any(shared),
            }
        })
        .collect()
}

fn limits(spec: &Spec) -> Limits {
    let Some(resources) = &spec.linux.resources else {
        return Limits { oom_group: Some(false), ..Limits::default() };
    };
    // A negative number is no limit, and neither is `max`.
    let positive = |limit: Option<i64>| limit.and_then(|limit| u64::try_from(limit).ok());
    let unified = |file: &str| resources.unified.get(file).and_then(|text| text.parse().ok());
    let cpu = &resources.cpu;
    Limits {
        pids: positive(resources.pids.and_then(|pids| pids.limit)).or_else(|| unified("pids.max")),
        memory: positive(resources.memory.limit)
            .filter(|bytes| *bytes > 0)
            .or_else(|| unified("memory.max")),
        oom_group: Some(unified("memory.oom.group") == Some(1)),
        // The weight that every cgroup has by itself is none.
        cpu: cpu_weight(cpu.shares).is_some_and(|weight| weight != 100)
            || cpu.quota.is_some_and(|quota| quota > 0)
            || resources.unified.get("cpu.max").is_some_and(|text| !text.starts_with("max"))
            || resources.unified.get("cpu.weight").is_some_and(|text| text != "100"),
        device_programs: None,
    }
}

/// The first rule denies everything, and no later one allows a whole class.
fn devices_listed(spec: &Spec) -> bool {
    let rules = spec.linux.resources.as_ref().map(|resources| resources.devices.as_slice());
    let Some((first, rest)) = rules.and_then(<[DeviceRule]>::split_first) else { return false };
    let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
    let whole = |rule: &DeviceRule| {
        matches!(rule.kind, None | Some(DeviceRuleKind::All)) || any(rule.major)
    };
    !first.allow && whole(first) && !rest.iter().any(|rule| rule.allow && whole(rule))
}

fn hooks(spec: &Spec) -> Vec<String> {
    let kinds = spec.hooks.kinds();
    let named = kinds
        .iter()
        .flat_map(|(kind, hooks)| hooks.iter().map(move |hook| format!("{kind} {}", hook.path)));
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ctr asks for 1024 shares for every container.
    #[test]
    fn the_weight_of_every_cgroup_is_no_limit_of_processor_time() {
        let limited = |cpu: &str, unified: &str| {
            let text = format!(
                r#"{{"ociVersion": "1.0.2", "root": {{"path": "r"}}, "linux": {{"resources": {{"cpu": {cpu}, "unified": {unified}}}}}}}"#
            );
            limits(&Spec::parse(text.as_bytes()).unwrap()).cpu
        };
        for cpu in [r#"{"shares": 512}"#, r#"{"shares": 2048}"#, r#"{"quota": 50000}"#] {
            assert!(limited(cpu, "{}"), "{cpu}");
        }
        assert!(limited("{}", r#"{"cpu.max": "50000 100000"}"#));
        assert!(limited("{}", r#"{"cpu.weight": "50"}"#));
        assert!(!limited(
            r#"{"shares": 1024}"#,
            r#"{"cpu.max": "max 100000", "cpu.weight": "100"}"#
        ));
        assert!(!limited("{}", "{}"));
    }
}
