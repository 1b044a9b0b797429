//! Whether a control's aim holds in what was seen, and what to show for it. One function for each control that can be
//! seen from outside; of the others the recorded decisions speak.
//!
//! A judgement knows nothing of modes and overrides: it says what is, and `report` says what to think of it.

mod files;
mod identity;
mod judgement;
mod resources;

pub use judgement::Judgement;

use crate::observe::Observation;
use casemate_policy::{Control, ControlId, Profile, ProfileName};

type Judge = fn(&Observation, &Profile) -> Judgement;
type Insists = fn(&Profile) -> bool;

/// By the id of the control, or of the observation ([`EXTRA`]).
const JUDGES: &[(&str, Judge)] = &[
    ("process.no-new-privileges", identity::no_new_privileges),
    ("capabilities.ceiling", identity::capabilities),
    ("bundle.privileged", identity::privileged),
    ("process.root", identity::root),
    ("userns.auto", identity::user_namespace),
    ("seccomp.default", identity::filters),
    ("apparmor.profile", identity::apparmor),
    ("selinux.label", identity::selinux),
    ("process.descriptors", identity::descriptors),
    ("hooks.trusted", identity::hooks),
    ("namespaces.mount", identity::mount_namespace),
    ("namespaces.host-network", identity::network),
    ("namespaces.host-pid", identity::pid),
    ("namespaces.host-ipc", identity::ipc),
    ("namespaces.host-uts", identity::uts),
    ("namespaces.host-cgroup", identity::cgroup_namespace),
    ("mounts.shared-propagation", files::propagation),
    ("mounts.sources", files::sources),
    ("mounts.flags", files::flags),
    ("mounts.proc-subset", files::proc_subset),
    ("cgroup.readonly", files::cgroup),
    ("root.readonly", files::root),
    ("root.tmpfs", files::tmpfs),
    ("paths.masked", files::masked),
    ("paths.readonly", files::readonly),
    ("devices.nodes", files::devices),
    ("devices.cgroup", resources::devices),
    ("pids.limit", resources::pids),
    ("memory.limit", resources::memory),
    ("memory.oom-group", resources::oom_group),
    ("cpu.limit", resources::cpu),
    ("rlimits.core", resources::core),
    ("rlimits.defaults", resources::open_files),
    ("oom.score", resources::oom_score),
    ("sysctls.allowlist", resources::sysctls),
];

/// What only a standard asks for: stricter than a control, or beside it; with the profiles that enforce it.
const MEASURES: &[(&str, Judge, Insists)] = &[
    ("capabilities.pss-baseline", identity::pss_baseline, |profile| {
        profile.capability_ceiling & !identity::PSS_BASELINE == 0
    }),
    ("capabilities.net-bind-only", identity::net_bind_only, |profile| {
        profile.capability_ceiling & !identity::NET_BIND_SERVICE == 0
    }),
    ("cgroup.own", resources::own_cgroup, |_| true),
    ("mac.any", identity::mandatory, |_| false),
    ("sysctls.safe", resources::safe_sysctls, |profile| profile.name == ProfileName::Restricted),
];

/// A judgement that only standards ask for, and whether the profile enforces it.
pub fn measure(id: &str, seen: &Observation, profile: &Profile) -> Option<(Judgement, bool)> {
    let (_, judge, enforced) = MEASURES.iter().find(|(known, _, _)| *known == id)?;
    if seen.is_unread(id) {
        return Some((Judgement::unseen("cannot be read"), false));
    }
    Some((judge(seen, profile), enforced(profile) && profile.name != ProfileName::Privileged))
}

/// Whether anything is known by this name.
pub fn is_known(id: &str) -> bool {
    let measured = MEASURES.iter().any(|(known, _, _)| *known == id);
    let extra = EXTRA.iter().any(|(known, _)| *known == id);
    measured || extra || Control::find(id).is_some()
}

/// What is worth knowing of a container and no control decides.
pub const EXTRA: &[(&str, &str)] = &[
    ("process.descriptors", "no descriptor leads out of the container"),
    ("cpu.limit", "processor time is limited or weighed"),
];

/// What was found about a control; `None` when nothing outside shows it.
pub fn judge(id: &str, seen: &Observation, profile: &Profile) -> Option<Judgement> {
    let (_, judge) = JUDGES.iter().find(|(known, _)| *known == id)?;
    if seen.is_unread(id) {
        return Some(Judgement::unseen("cannot be read"));
    }
    Some(judge(seen, profile))
}

/// Controls that speak at `exec`, or when a terminal is handed over, and so show nothing before.
pub fn is_for_exec(id: ControlId) -> bool {
    [ControlId::ExecIds, ControlId::ExecLabels, ControlId::ConsolePeer, ControlId::PreservedFds]
        .contains(&id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::config::observe;
    use casemate_policy::spec::Spec;
    use serde_json::json;
    use std::collections::BTreeSet;

    fn judged(spec: serde_json::Value) -> impl Fn(&str) -> Judgement {
        let mut whole = json!({
            "ociVersion": "1.0.2",
            "root": {"path": "rootfs"},
            "process": {"args": ["x"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
            "linux": {"namespaces": [{"type": "mount"}]},
        });
        for (key, value) in spec.as_object().unwrap() {
            let target = whole[key.as_str()].as_object_mut();
            match (target, value.as_object()) {
                (Some(target), Some(value)) => target.extend(value.clone()),
                _ => whole[key.as_str()] = value.clone(),
            }
        }
        let spec = Spec::parse(whole.to_string().as_bytes()).unwrap();
        let paths: BTreeSet<String> =
            ["/proc/kcore", "/proc/sys"].into_iter().map(str::to_owned).collect();
        let seen = observe(&spec, false, &paths);
        move |id| judge(id, &seen, ProfileName::Hardened.profile()).unwrap()
    }

    #[test]
    fn an_empty_configuration_satisfies_little() {
        let of = judged(json!({}));
        for id in [
            "process.no-new-privileges",
            "userns.auto",
            "seccomp.default",
            "namespaces.host-network",
            "root.readonly",
            "pids.limit",
            "memory.limit",
            "rlimits.core",
            "process.root",
            "devices.cgroup",
        ] {
            assert_eq!(of(id).holds, Some(false), "{id}: {:?}", of(id));
        }
        assert_eq!(of("capabilities.ceiling").holds, Some(true));
        assert_eq!(of("namespaces.mount").holds, Some(true));
    }

    #[test]
    fn what_is_mounted_decides_whether_a_path_of_the_kernel_is_open() {
        let proc = json!([{"destination": "/proc", "type": "proc", "source": "proc"}]);
        assert_eq!(judged(json!({}))("paths.masked").holds, Some(true));
        let open = judged(json!({"mounts": proc}));
        assert_eq!(open("paths.masked").holds, Some(false));
        assert!(open("paths.masked").shown.contains("/proc/kcore"), "{:?}", open("paths.masked"));
        assert_eq!(open("paths.readonly").holds, Some(false));
        let closed = judged(json!({
            "mounts": proc,
            "linux": {"maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"]},
        }));
        assert_eq!(closed("paths.masked").holds, Some(true));
        assert_eq!(closed("paths.readonly").holds, Some(true));
    }

    #[test]
    fn sockets_and_volumes_are_told_apart() {
        let bind = |source: &str, options: &[&str]| {
            let mut all = vec!["rbind"];
            all.extend(options);
            let mount =
                json!({"destination": "/x", "type": "bind", "source": source, "options": all});
            judged(json!({"mounts": [mount]}))
        };
        assert_eq!(bind("/srv/data", &["nosuid", "nodev"])("mounts.sources").holds, Some(true));
        assert_eq!(bind("/srv/data", &["nosuid", "nodev"])("mounts.flags").holds, Some(true));
        assert_eq!(bind("/srv/data", &[])("mounts.flags").holds, Some(false));
        assert_eq!(bind("/var/run/docker.sock", &[])("mounts.sources").holds, Some(false));
        assert_eq!(bind("/srv", &["rshared"])("mounts.shared-propagation").holds, Some(false));
    }

    #[test]
    fn every_observation_that_is_no_control_has_a_judge() {
        for (id, _) in EXTRA {
            assert!(JUDGES.iter().any(|(known, _)| known == id), "{id}");
        }
    }
}
