//! What the hardened profile does, rule by rule.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_kernel::{HostId, InnerId};
use casemate_policy::spec::{Capability, IdMapping, Mount, Process, Propagation, RlimitKind, Spec};
use casemate_policy::{
    harden, harden_as, harden_process, CallerLimits, ControlId, Decision, Hardened, HardenedSpec,
    HostFacts, Mode, ProfileName, Verdict, CONTROLS,
};
use common::{
    changed, choice_for_full, facts, facts_for, fixture, full, parse, plain, put, remove,
};
use serde_json::{json, Value};

fn hardened(spec: Spec) -> Hardened {
    let facts = facts_for(&spec);
    harden_as(spec, &choice_for_full(ProfileName::Hardened), &facts).unwrap()
}

fn podman() -> Spec {
    Spec::parse(&fixture("podman-default/config.json")).unwrap()
}

fn of(decisions: &[Decision], rule: ControlId) -> Vec<(&str, Verdict)> {
    decisions
        .iter()
        .filter(|decision| decision.rule == rule)
        .map(|decision| (decision.pointer.as_ref(), decision.verdict))
        .collect()
}

fn verdicts(result: &Hardened, rule: ControlId) -> Vec<(&str, Verdict)> {
    of(&result.decisions, rule)
}

fn mask(names: &[&str]) -> u64 {
    names.iter().fold(0, |mask, name| mask | Capability::from_name(name).unwrap().mask())
}

#[test]
fn the_privileged_profile_changes_nothing() {
    for spec in [podman(), parse(&plain()).unwrap(), parse(&full()).unwrap()] {
        let result = harden(spec.clone(), ProfileName::Privileged.profile(), &facts()).unwrap();
        assert_eq!(*result.spec, spec);
        assert_eq!(*result.spec.extras(), Default::default());
        assert_eq!(verdicts(&result, ControlId::Verbatim), [("", Verdict::Waived)]);
        assert_eq!(result.decisions.len(), 1);
    }
}

#[test]
fn every_rule_of_the_profile_answers() {
    let result = hardened(podman());
    for control in CONTROLS {
        // Of exec, and of what a caller asks for beside the configuration.
        let calls = [ControlId::ConsolePeer, ControlId::SessionKeyring, ControlId::PreservedFds];
        let elsewhere = [&calls[..], &[ControlId::ExecLabels, ControlId::ExecIds]].concat();
        let for_exec = elsewhere.contains(&control.id);
        let silent = for_exec || control.mode(ProfileName::Hardened) == Mode::Off;
        assert_eq!(verdicts(&result, control.id).is_empty(), silent, "{}", control.id);
    }
}

#[test]
fn no_new_privileges_is_forced() {
    let result = hardened(podman());
    assert!(result.spec.process.as_ref().unwrap().no_new_privileges);
    let wanted = [("/process/noNewPrivileges", Verdict::Tightened)];
    assert_eq!(verdicts(&result, ControlId::NoNewPrivileges), wanted);
    let result = hardened(parse(&plain()).unwrap());
    let wanted = [("/process/noNewPrivileges", Verdict::Kept)];
    assert_eq!(verdicts(&result, ControlId::NoNewPrivileges), wanted);
}

#[test]
fn capabilities_above_the_ceiling_are_dropped_from_all_five_sets() {
    let mut document = plain();
    let all =
        json!(["CAP_SYS_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SETPCAP", "CAP_KILL", "CAP_FUTURE"]);
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        put(&mut document, &format!("/process/capabilities/{set}"), all.clone());
    }
    let result = hardened(parse(&document).unwrap());
    let capabilities = result.spec.process.as_ref().unwrap().capabilities.as_ref().unwrap();
    for (name, set) in capabilities.sets() {
        assert_eq!(set.mask, mask(&["KILL", "NET_BIND_SERVICE"]), "{name}");
        assert!(set.unknown.is_empty(), "{name}");
    }
    let wanted = [("/process/capabilities", Verdict::Tightened)];
    assert_eq!(verdicts(&result, ControlId::Capabilities), wanted);
    let decision = result.decisions.iter().find(|d| d.rule == ControlId::Capabilities).unwrap();
    let wanted =
        "above the profile's ceiling in bounding, effective, inheritable, permitted, ambient: \
                  CAP_SETPCAP, CAP_SYS_ADMIN, CAP_FUTURE";
    assert_eq!(decision.reason, wanted);
    assert_eq!(decision.after, json!(["CAP_KILL", "CAP_NET_BIND_SERVICE"]));
}

#[test]
fn a_capability_in_one_set_only_is_dropped_there() {
    let ambient = json!(["CAP_NET_ADMIN"]);
    let result = hardened(changed("/process/capabilities/ambient", ambient).unwrap());
    let wanted = [
        ("/process/capabilities", Verdict::Tightened),
        ("/process/capabilities/ambient", Verdict::Tightened),
    ];
    assert_eq!(verdicts(&result, ControlId::Capabilities), wanted);
}

#[test]
fn a_container_without_capabilities_stays_without() {
    let mut document = plain();
    remove(&mut document, "/process/capabilities");
    let result = hardened(parse(&document).unwrap());
    assert_eq!(result.spec.process.as_ref().unwrap().capabilities, None);
    assert_eq!(result.spec.reachable_capabilities(), 0);
}

#[test]
fn reachable_capabilities_follow_no_new_privileges() {
    let mut document = plain();
    put(
        &mut document,
        "/process/capabilities",
        json!({"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"]}),
    );
    let spec = parse(&document).unwrap();
    assert_eq!(hardened(spec.clone()).spec.reachable_capabilities(), mask(&["KILL"]));
    put(&mut document, "/process/noNewPrivileges", json!(false));
    let spec = parse(&document).unwrap();
    let result = harden(spec, ProfileName::Privileged.profile(), &facts()).unwrap();
    assert_eq!(result.spec.reachable_capabilities(), mask(&["KILL", "CHOWN"]));
}

#[test]
fn core_dumps_are_off() {
    let core = |result: &Hardened| {
        let process = result.spec.process.as_ref().unwrap();
        let found: Vec<_> =
            process.rlimits.iter().filter(|limit| limit.kind == RlimitKind::Core).collect();
        assert_eq!(found.len(), 1);
        (found[0].soft, found[0].hard)
    };
    let added = hardened(podman());
    assert_eq!(core(&added), (0, 0));
    assert_eq!(verdicts(&added, ControlId::CoreLimit), [("/process/rlimits/-", Verdict::Added)]);
    let tightened = hardened(parse(&full()).unwrap());
    assert_eq!(core(&tightened), (0, 0));
    assert_eq!(
        verdicts(&tightened, ControlId::CoreLimit),
        [("/process/rlimits/0", Verdict::Tightened)]
    );
    let limit = json!({"type": "RLIMIT_CORE", "hard": 0, "soft": 0});
    let kept = hardened(changed("/process/rlimits/0", limit).unwrap());
    assert_eq!(verdicts(&kept, ControlId::CoreLimit), [("/process/rlimits", Verdict::Kept)]);
}

#[test]
fn the_default_filter_is_loaded_with_and_without_the_engines() {
    let stacked = hardened(podman());
    assert!(stacked.spec.extras().default_seccomp);
    assert_eq!(stacked.spec.linux.seccomp, podman().linux.seccomp);
    assert_eq!(
        verdicts(&stacked, ControlId::DefaultSeccomp),
        [("/linux/seccomp", Verdict::Tightened)]
    );
    let alone = hardened(parse(&plain()).unwrap());
    assert!(alone.spec.extras().default_seccomp);
    assert_eq!(verdicts(&alone, ControlId::DefaultSeccomp), [("/linux/seccomp", Verdict::Added)]);
    let empty = hardened(changed("/linux/seccomp", json!({})).unwrap());
    assert_eq!(verdicts(&empty, ControlId::DefaultSeccomp), [("/linux/seccomp", Verdict::Added)]);
}

#[test]
fn a_writable_root_becomes_read_only_with_writable_places() {
    let result = hardened(podman());
    assert!(result.spec.root.readonly);
    let first: Vec<&str> =
        result.spec.mounts[..3].iter().map(|mount| mount.destination.as_str()).collect();
    // Before the engine's own mounts: one of those is a file below /run.
    assert_eq!(first, ["/tmp", "/var/tmp", "/run"]);
    assert_eq!(result.spec.mounts[0].options[..3], ["nosuid", "nodev", "mode=1777"]);
    assert_eq!(result.spec.mounts[2].options[2], "mode=755");
    let destinations =
        |mounts: &[Mount]| mounts.iter().map(|m| m.destination.clone()).collect::<Vec<_>>();
    assert_eq!(destinations(&result.spec.mounts[3..]), destinations(&podman().mounts));
    assert_eq!(
        verdicts(&result, ControlId::ReadonlyRoot),
        [("/root/readonly", Verdict::Tightened)]
    );
    assert_eq!(verdicts(&result, ControlId::RootTmpfs), [("/mounts/-", Verdict::Added)]);
}

#[test]
fn a_root_that_was_read_only_already_gets_no_tmpfs() {
    let result = hardened(parse(&plain()).unwrap());
    assert_eq!(result.spec.mounts.len(), 3);
    assert_eq!(verdicts(&result, ControlId::RootTmpfs), []);
}

#[test]
fn places_that_the_configuration_provides_get_no_tmpfs() {
    let mut document = plain();
    put(&mut document, "/root/readonly", json!(false));
    for destination in ["/var/", "/tmp/../run", "/tmpfiles"] {
        let mount = json!({"destination": destination, "source": "/srv", "options": ["bind"]});
        put(&mut document, "/mounts/-", mount);
    }
    let result = hardened(parse(&document).unwrap());
    let tmpfs: Vec<&str> = result
        .spec
        .mounts
        .iter()
        .filter(|mount| mount.options.iter().any(|option| option == "tmpcopyup"))
        .map(|mount| mount.destination.as_str())
        .collect();
    assert_eq!(tmpfs, ["/tmp"]);
}

#[test]
fn masked_and_read_only_paths_are_joined_and_none_is_lost() {
    let result = hardened(podman());
    let linux = &result.spec.linux;
    for path in &podman().linux.masked_paths {
        assert!(linux.masked_paths.contains(path), "{path}");
    }
    for path in ProfileName::Hardened.profile().masked_paths {
        let count = |list: &[String]| list.iter().filter(|known| known == path).count();
        let given = count(&podman().linux.masked_paths);
        assert_eq!(count(&linux.masked_paths), given.max(1), "{path}");
    }
    assert!(linux.readonly_paths.contains(&"/sys/module".to_owned()));
    assert!(linux.readonly_paths.contains(&"/proc/asound".to_owned()));
    assert_eq!(
        verdicts(&result, ControlId::MaskedPaths),
        [("/linux/maskedPaths/-", Verdict::Added)]
    );
}

#[test]
fn a_path_that_is_mounted_on_is_not_masked() {
    let lxcfs = json!({"destination": "/proc/slabinfo", "source": "/lxcfs", "options": ["bind"]});
    let result = hardened(changed("/mounts/-", lxcfs).unwrap());
    assert!(!result.spec.linux.masked_paths.contains(&"/proc/slabinfo".to_owned()));
    assert!(result.spec.linux.masked_paths.contains(&"/proc/kallsyms".to_owned()));
}

#[test]
fn a_masked_path_is_not_also_made_read_only() {
    let result = hardened(changed("/linux/maskedPaths/-", json!("/proc/irq/")).unwrap());
    assert!(!result.spec.linux.readonly_paths.contains(&"/proc/irq".to_owned()));
}

#[test]
fn shared_propagation_becomes_slave() {
    let mut document = plain();
    put(&mut document, "/linux/rootfsPropagation", json!("rshared"));
    let mount = json!({"destination": "/a", "source": "/b", "options": ["rbind", "rshared"]});
    put(&mut document, "/mounts/-", mount);
    let result = hardened(parse(&document).unwrap());
    assert_eq!(result.spec.linux.rootfs_propagation, Some(Propagation::Rslave));
    assert_eq!(result.spec.mounts[3].options, ["rbind", "rslave", "rnosuid", "rnodev"]);
    let wanted = [
        ("/mounts/3/options/1", Verdict::Tightened),
        ("/linux/rootfsPropagation", Verdict::Tightened),
    ];
    assert_eq!(verdicts(&result, ControlId::SharedPropagation), wanted);
}

#[test]
fn a_task_limit_is_added_only_when_there_is_none_and_it_can_be_enforced() {
    let limit = |result: &Hardened| {
        result.spec.linux.resources.as_ref().unwrap().pids.and_then(|pids| pids.limit)
    };
    let added = hardened(parse(&plain()).unwrap());
    assert_eq!(limit(&added), Some(2048));
    assert_eq!(verdicts(&added, ControlId::PidsLimit), [("/linux/resources/pids", Verdict::Added)]);
    for explicit in [-1, 0, 10, 1_000_000] {
        let pids = json!({"limit": explicit});
        let kept = hardened(changed("/linux/resources/pids", pids).unwrap());
        assert_eq!(limit(&kept), Some(explicit));
        assert_eq!(
            verdicts(&kept, ControlId::PidsLimit),
            [("/linux/resources/pids", Verdict::Kept)]
        );
    }
    let spec = parse(&plain()).unwrap();
    let profile = ProfileName::Hardened.profile();
    let waived = harden(spec, profile, &HostFacts::default()).unwrap();
    assert_eq!(limit(&waived), None);
    assert_eq!(
        verdicts(&waived, ControlId::PidsLimit),
        [("/linux/resources/pids", Verdict::Waived)]
    );
}

#[test]
fn wildcard_device_rules_are_cut_back() {
    let rules = json!([
        {"allow": true, "access": "rwm"},
        {"allow": true, "type": "c", "access": "m"},
        {"allow": true, "type": "b", "major": -1, "minor": -1, "access": "rwm"},
        {"allow": true, "type": "c", "major": 136, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": -1, "access": "m"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
        {"allow": false, "type": "b", "access": "w"},
    ]);
    let result = hardened(changed("/linux/resources/devices", rules).unwrap());
    let written =
        serde_json::to_value(&result.spec.linux.resources.as_ref().unwrap().devices).unwrap();
    let wanted = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 136, "access": "rw"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"},
        {"allow": false, "type": "b", "access": "w"},
    ]);
    assert_eq!(written, wanted);
    assert!(result.spec.extras().strict_devices);
    let wanted = [("/linux/resources/devices", Verdict::Tightened)];
    assert_eq!(verdicts(&result, ControlId::DeviceCgroup), wanted);
}

#[test]
fn a_configuration_without_device_rules_denies_all_but_the_default_devices() {
    let mut document = plain();
    remove(&mut document, "/linux/resources");
    let spec = parse(&document).unwrap();
    let result = hardened(spec);
    let devices = &result.spec.linux.resources.as_ref().unwrap().devices;
    assert_eq!(serde_json::to_value(devices).unwrap(), json!([{"allow": false, "access": "rwm"}]));
    let wanted = [("/linux/resources/devices", Verdict::Added)];
    assert_eq!(verdicts(&result, ControlId::DeviceCgroup), wanted);
}

#[test]
fn a_container_without_mount_namespace_is_refused() {
    let mut document = plain();
    remove(&mut document, "/linux/maskedPaths");
    remove(&mut document, "/linux/readonlyPaths");
    put(&mut document, "/linux/namespaces", json!([{"type": "uts"}]));
    let spec = parse(&document).unwrap();
    let refusal = harden(spec.clone(), ProfileName::Hardened.profile(), &facts()).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "denied by profile hardened: a container without a mount namespace cannot \
         be confined; add one, or use the profile privileged (rule namespaces.mount)"
    );
    harden(spec, ProfileName::Privileged.profile(), &facts()).unwrap();
}

#[test]
fn a_container_without_process_is_hardened_too() {
    let mut document = plain();
    remove(&mut document, "/process");
    let result = hardened(parse(&document).unwrap());
    assert!(result.spec.process.is_none());
    assert_eq!(result.spec.reachable_capabilities(), 0);
}

#[test]
fn a_hardened_spec_survives_its_record() {
    for spec in [podman(), parse(&full()).unwrap()] {
        let mut result = hardened(spec).spec;
        let bytes = serde_json::to_vec(&result).unwrap();
        let restored = HardenedSpec::restore(&bytes).unwrap();
        // Warnings have been reported when the record was written.
        result = HardenedSpec::restore(&serde_json::to_vec(&result).unwrap()).unwrap();
        assert_eq!(restored, result);
        assert_eq!(restored.profile(), ProfileName::Hardened);
        assert!(restored.extras().default_seccomp);
    }
}

fn exec_process(changes: &[(&str, Value)]) -> Process {
    let mut document =
        json!({"process": {"args": ["sh"], "cwd": "/", "user": {"uid": 0, "gid": 0}}});
    for (pointer, value) in changes {
        put(&mut document, pointer, value.clone());
    }
    Process::parse(document["process"].to_string().as_bytes()).unwrap()
}

#[test]
fn exec_can_only_narrow() {
    let mut document = plain();
    put(&mut document, "/process/apparmorProfile", json!("profile-a"));
    put(&mut document, "/process/capabilities/bounding", json!(["CAP_KILL"]));
    let container = hardened(parse(&document).unwrap()).spec;
    let process = exec_process(&[
        ("/process/apparmorProfile", json!("unconfined")),
        (
            "/process/capabilities",
            json!({"bounding": ["CAP_SYS_ADMIN", "CAP_KILL", "CAP_CHOWN"], "inheritable": ["CAP_CHOWN"]}),
        ),
    ]);
    let (process, decisions) =
        harden_process(process, &container, CallerLimits::default()).unwrap();
    assert!(process.no_new_privileges);
    assert_eq!(process.apparmor_profile.as_deref(), Some("profile-a"));
    let capabilities = process.capabilities.as_ref().unwrap();
    assert_eq!(capabilities.bounding.mask, mask(&["KILL"]));
    assert!(capabilities.inheritable.is_empty());
    // Core dumps are off, and what is not given is the container's.
    let kinds: Vec<RlimitKind> = process.rlimits.iter().map(|limit| limit.kind).collect();
    assert_eq!(kinds, [RlimitKind::Core, RlimitKind::Nofile]);
    for rule in [
        ControlId::NoNewPrivileges,
        ControlId::Capabilities,
        ControlId::CoreLimit,
        ControlId::ExecLabels,
    ] {
        assert!(!of(&decisions, rule).is_empty(), "{rule}");
    }
}

#[test]
fn exec_into_a_privileged_container_is_run_as_written() {
    let spec = parse(&plain()).unwrap();
    let container = harden(spec, ProfileName::Privileged.profile(), &facts()).unwrap().spec;
    let process =
        exec_process(&[("/process/capabilities", json!({"bounding": ["CAP_SYS_ADMIN"]}))]);
    let (hardened, decisions) =
        harden_process(process.clone(), &container, CallerLimits::default()).unwrap();
    assert_eq!(*hardened, process);
    assert_eq!(decisions.len(), 1);
}

#[test]
fn cve_2024_40635_exec_with_an_id_that_wraps_is_refused() {
    let spec = parse(&plain()).unwrap();
    let container = harden(spec, ProfileName::Privileged.profile(), &facts()).unwrap().spec;
    let process = exec_process(&[("/process/user/additionalGids", json!([4_294_967_295_u32]))]);
    let refusal =
        harden_process(process, &container, CallerLimits::default()).unwrap_err().to_string();
    assert!(refusal.contains("/process/user/additionalGids/0: 4294967295 is above"), "{refusal}");
    let mut document = full();
    let high =
        IdMapping { container_id: InnerId(3_000_000_000), host_id: HostId(1_000_000), size: 10 };
    put(&mut document, "/linux/uidMappings/-", json!(high));
    let container = hardened(parse(&document).unwrap()).spec;
    let process = exec_process(&[("/process/user/uid", json!(3_000_000_005_u32))]);
    harden_process(process, &container, CallerLimits::default()).unwrap();
}

#[test]
fn who_loses_raw_sockets_may_still_ping() {
    const PING: &str = "net.ipv4.ping_group_range";
    let with_raw = |more: &[(&str, Value)]| {
        let mut document = plain();
        put(
            &mut document,
            "/process/capabilities",
            json!({"bounding": ["CAP_NET_RAW", "CAP_KILL"]}),
        );
        for (pointer, value) in more {
            put(&mut document, pointer, value.clone());
        }
        hardened(parse(&document).unwrap())
    };
    let result = with_raw(&[]);
    assert_eq!(result.spec.linux.sysctl[PING], "0 2147483647");
    assert!(verdicts(&result, ControlId::Capabilities).contains(&("/linux/sysctl", Verdict::Added)));
    // What the configuration says about it stays. A pod's network is made by its engine.
    let own = with_raw(&[("/linux/sysctl", json!({PING: "5 5"}))]);
    assert_eq!(own.spec.linux.sysctl[PING], "5 5");
    let kinds = ["mount", "pid", "ipc", "uts", "cgroup"].map(|kind| json!({"type": kind}));
    let mut namespaces = kinds.to_vec();
    namespaces.push(json!({"type": "network", "path": "/run/netns/x"}));
    let joined = with_raw(&[("/linux/namespaces", json!(namespaces))]);
    assert_eq!(joined.spec.linux.sysctl[PING], "0 2147483647");
    // The kernel takes no group that the user namespace does not have.
    let kinds = ["mount", "pid", "ipc", "uts", "cgroup", "network", "user"];
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    let own_ids = with_raw(&[
        ("/linux/namespaces", json!(kinds.map(|kind| json!({"type": kind})))),
        ("/linux/uidMappings", map.clone()),
        ("/linux/gidMappings", map),
    ]);
    assert_eq!(own_ids.spec.linux.sysctl[PING], "0 65535");
    let without = with_raw(&[("/process/capabilities", json!({"bounding": ["CAP_KILL"]}))]);
    assert!(without.spec.linux.sysctl.is_empty());
}
