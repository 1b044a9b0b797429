//! What gets into a container: each property of the specification has an owner, and what had none is judged.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
#[path = "admission/joining.rs"]
mod joining;

use casemate_policy::spec::{Resources, Spec};
use casemate_policy::{
    harden_as, harden_resources, owners, Choice, ControlId, CorePattern, Decision, FileFact,
    FileKind, Hardened, HostFacts, ProfileName, Refusal, Source, SourceFact, Verdict,
};
use common::{changed, choice_for_full, facts, facts_for, plain, put};
use serde_json::{json, Value};
use std::collections::BTreeSet;

const STRICT: [ProfileName; 3] =
    [ProfileName::Baseline, ProfileName::Hardened, ProfileName::Restricted];

/// Of root, who can give a container ids; a bundle that restricted runs.
fn host() -> HostFacts {
    HostFacts { can_make_user_namespace: true, ..facts() }
}

fn admit(profile: ProfileName, allow: &[&str], spec: Spec) -> Result<Hardened, Refusal> {
    let mut choice = Choice::from(profile.profile());
    for name in ["process.root", "memory.unlimited", "landlock.off"].iter().chain(allow) {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    harden_as(spec, &choice, &host())
}

/// Every profile but privileged refuses it with this override, and runs it with that.
fn needs(allow: &str, control: ControlId, pointer: &str, value: &Value) {
    let spec = || changed(pointer, value.clone()).unwrap();
    for profile in STRICT {
        let refusal = admit(profile, &[], spec()).unwrap_err();
        assert_eq!(refusal.decision.rule, control, "{refusal}");
        assert_eq!(refusal.allow.unwrap().name, allow, "{pointer} {value}");
        admit(profile, &[allow], spec()).unwrap();
    }
    admit(ProfileName::Privileged, &[], spec()).unwrap();
}

fn tightened(hardened: &Hardened, control: ControlId) -> Vec<&Decision> {
    let all = hardened.decisions.iter();
    all.filter(|d| d.rule == control && d.verdict == Verdict::Tightened).collect()
}

#[test]
fn system_calls_are_handed_to_an_agent_and_to_no_other_socket_of_the_host() {
    let filter = json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/a",
        "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_NOTIFY"}]});
    let run = |path: &str, owner: u32, allow: &[&str]| {
        let mut choice = Choice::from(ProfileName::Hardened.profile());
        for name in allow {
            choice.overrides.grant(name, &Source::CommandLine).unwrap();
        }
        let path = path.to_owned();
        let file = FileFact { path, kind: FileKind::Socket, owner, ..FileFact::default() };
        let facts = HostFacts { listener: Some(SourceFact::Found(Box::new(file))), ..host() };
        harden_as(changed("/linux/seccomp", filter.clone()).unwrap(), &choice, &facts)
    };
    for path in [
        "/run/docker.sock",
        "/run/seccomp/docker.sock",
        "/run/systemd/private",
        "/run/dbus/system_bus_socket",
        "/srv/app/control.sock",
    ] {
        let refusal = run(path, 0, &[]).unwrap_err();
        assert_eq!(refusal.decision.rule, ControlId::SeccompListener, "{path}: {refusal}");
        assert!(run(path, 0, &["process.seccomp-listener"]).is_ok(), "{path}");
    }
    for path in ["/run/seccomp-agent.socket", "/run/crio/seccomp/c0ffee"] {
        assert!(run(path, 0, &[]).is_ok(), "{path}");
    }
    assert!(run("/srv/app/agent.sock", 1000, &[]).is_ok());
    let unseen = SourceFact::Missing("lies on a mount that cannot be seen here".to_owned());
    let facts = HostFacts { listener: Some(unseen), ..host() };
    let choice = Choice::from(ProfileName::Hardened.profile());
    let refusal = harden_as(changed("/linux/seccomp", filter).unwrap(), &choice, &facts);
    assert_eq!(refusal.unwrap_err().decision.rule, ControlId::SeccompListener);
}

#[test]
fn a_hook_that_no_list_has_is_a_finding_and_runs() {
    let run = |hook: Value, list: bool| {
        let mut choice = Choice::from(ProfileName::Hardened.profile());
        choice.overrides.values.hooks_allow = list.then(Vec::new);
        harden_as(changed("/hooks", json!({"prestart": [hook]})).unwrap(), &choice, &host())
    };
    let warned = |hook: Value| {
        let decisions = run(hook, false).unwrap().decisions;
        let mine = decisions.iter().filter(|d| d.rule == ControlId::ListedHooks);
        mine.filter(|d| d.verdict == Verdict::Warned).count()
    };
    let shell = json!({"path": "/bin/sh", "args": ["sh", "-c", "id"]});
    assert_eq!(warned(shell.clone()), 1);
    assert!(run(shell, true).is_err());
    assert_eq!(warned(json!({"path": "/proc/77/exe"})), 1);
    for usual in [
        json!({"path": "/usr/bin/nvidia-cdi-hook", "args": ["nvidia-cdi-hook", "chmod"]}),
        json!({"path": "/proc/77/exe", "args": ["libnetwork-setkey", "-exec-root=/run/docker"]}),
    ] {
        assert_eq!(warned(usual.clone()), 0, "{usual}");
    }
}

#[test]
fn each_property_of_the_specification_has_an_owner_and_no_other_has() {
    let text = include_str!("../../../tests/fixtures/policy/specification.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let wanted: BTreeSet<(String, String)> = lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(within, property)| (within.to_owned(), property.to_owned()))
        .collect();
    let known = owners().filter(|owner| !owner.property.starts_with('('));
    let known: BTreeSet<(String, String)> =
        known.map(|owner| (owner.within.to_owned(), owner.property.to_owned())).collect();
    assert_eq!(known, wanted);
}

#[test]
fn network_devices_of_the_host_need_an_override() {
    needs("network.devices", ControlId::NetDevices, "/linux/netDevices", &json!({"eth1": {}}));
}

#[test]
fn a_priority_above_the_hosts_own_services_needs_an_override() {
    for scheduler in [
        json!({"policy": "SCHED_FIFO", "priority": 99}),
        json!({"policy": "SCHED_RR", "priority": 1}),
        json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 2_000_000, "period": 2_000_000}),
        json!({"policy": "SCHED_OTHER", "nice": -20}),
        json!({"policy": "SCHED_BATCH", "nice": -1}),
        json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_UTIL_CLAMP_MIN"]}),
    ] {
        needs("process.scheduler", ControlId::Scheduler, "/process/scheduler", &scheduler);
    }
    let real_time = json!({"class": "IOPRIO_CLASS_RT", "priority": 0});
    needs("process.scheduler", ControlId::Scheduler, "/process/ioPriority", &real_time);
    for (pointer, value) in [
        ("/process/scheduler", json!({"policy": "SCHED_OTHER", "nice": 19})),
        ("/process/scheduler", json!({"policy": "SCHED_IDLE"})),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 0})),
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_IDLE"})),
    ] {
        let result = admit(ProfileName::Hardened, &[], changed(pointer, value).unwrap()).unwrap();
        let process = result.spec.process.as_ref().unwrap();
        assert!(process.scheduler.is_some() || process.io_priority.is_some());
    }
}

#[test]
fn the_right_to_raise_the_priority_later_is_cut() {
    let limits = json!([
        {"type": "RLIMIT_RTPRIO", "soft": 5, "hard": 99},
        {"type": "RLIMIT_NICE", "soft": 40, "hard": 40}
    ]);
    let spec = || changed("/process/rlimits", limits.clone()).unwrap();
    let result = admit(ProfileName::Hardened, &[], spec()).unwrap();
    let all = &result.spec.process.as_ref().unwrap().rlimits;
    assert_eq!((all[0].soft, all[0].hard, all[1].soft, all[1].hard), (0, 0, 20, 20));
    assert_eq!(tightened(&result, ControlId::Scheduler).len(), 2);
    let result = admit(ProfileName::Hardened, &["process.scheduler"], spec()).unwrap();
    assert_eq!(result.spec.process.as_ref().unwrap().rlimits[0].hard, 99);
}

#[test]
fn of_the_cgroups_files_only_limits_and_shares_are_written_by_name() {
    let pointer = "/linux/resources/unified";
    for file in ["cpuset.cpus.partition", "cpuset.cpus.exclusive", "novel.file"] {
        needs("cgroup.any-file", ControlId::UnifiedFiles, pointer, &json!({file: "1"}));
    }
    // No override is named for what is no resource under any profile.
    for file in ["procs", "threads", "type", "subtree_control", "freeze", "kill"]
        .map(|name| format!("cgroup.{name}"))
    {
        let spec = changed(pointer, json!({file: "1", "novel.file": "1"})).unwrap();
        let refusal = admit(ProfileName::Hardened, &[], spec).unwrap_err();
        assert_eq!((refusal.decision.rule, refusal.allow), (ControlId::UnifiedFiles, None));
    }
    let fine = json!({
        "memory.high": "1", "cpu.max": "1 2", "cgroup.max.descendants": "3", "io.max": "x",
        "memory.oom.group": "1", "hugetlb.2MB.max": "0"
    });
    let spec = changed("/linux/resources/unified", fine).unwrap();
    let result = admit(ProfileName::Hardened, &[], spec).unwrap();
    assert_eq!(result.spec.linux.resources.as_ref().unwrap().unified.len(), 6);
}

#[test]
fn of_systemds_properties_only_harmless_ones_pass() {
    let annotations = json!({
        "org.systemd.property.KillSignal": "15",
        "org.systemd.property.TimeoutStopUSec": "uint64 10000000",
        "org.systemd.property.DevicePolicy": "'auto'",
        "other": "stays"
    });
    let spec = || changed("/annotations", annotations.clone()).unwrap();
    let result = admit(ProfileName::Hardened, &[], spec()).unwrap();
    assert!(!result.spec.annotations.contains_key("org.systemd.property.DevicePolicy"));
    assert_eq!(result.spec.annotations.len(), 3);
    assert_eq!(tightened(&result, ControlId::Annotations).len(), 1);
    let result = admit(ProfileName::Hardened, &["annotations.systemd"], spec()).unwrap();
    assert_eq!(result.spec.annotations.len(), 4);
}

#[test]
fn annotations_that_name_files_of_the_host_do_not_reach_hooks() {
    let host = [
        "run.oci.handler",
        "run.oci.hooks.stdout",
        "run.oci.hooks.stderr",
        "run.oci.seccomp.receiver",
        "run.oci.systemd.subgroup",
        "org.criu.config",
        "io.containers.trace-syscall",
        "io.katacontainers.config.hypervisor.path",
    ];
    let other = ["run.oci.mount_context_type", "com.example/x", "io.kubernetes.pod.name"];
    let all: serde_json::Map<_, _> =
        host.iter().chain(&other).map(|key| ((*key).to_owned(), json!("/x"))).collect();
    let spec = || changed("/annotations", json!(all)).unwrap();
    for profile in [ProfileName::Baseline, ProfileName::Hardened, ProfileName::Restricted] {
        let allow = ["process.root", "memory.unlimited", "pids.unlimited", "userns.fallback"];
        let result = admit(profile, &allow, spec()).unwrap();
        let left: Vec<&String> = result.spec.annotations.keys().collect();
        assert_eq!(left, ["com.example/x", "io.kubernetes.pod.name", "run.oci.mount_context_type"]);
        let said = tightened(&result, ControlId::Annotations);
        assert_eq!(said[0].before.as_array().unwrap().len(), host.len());
        let result = admit(profile, &[&allow[..], &["annotations.host-files"]].concat(), spec());
        assert_eq!(result.unwrap().spec.annotations.len(), all.len());
    }
    let result = admit(ProfileName::Privileged, &[], spec()).unwrap();
    assert_eq!(result.spec.annotations.len(), all.len());
}

#[test]
fn what_the_model_does_not_know_is_left_out_and_said() {
    let mut document = plain();
    put(&mut document, "/linux/newControl", json!({"a": 1}));
    put(&mut document, "/process/future", json!(true));
    let spec = Spec::parse(document.to_string().as_bytes()).unwrap();
    let result = admit(ProfileName::Hardened, &[], spec).unwrap();
    let said = tightened(&result, ControlId::UnknownProperties);
    assert_eq!(said[0].before, json!(["linux.newControl", "process.future"]));
    assert!(!serde_json::to_string(&result.spec).unwrap().contains("newControl"));
}

#[test]
fn a_user_namespace_with_ids_of_the_hosts_users_is_none() {
    let with = |host_id: u32| {
        let map = json!([{"containerID": 0, "hostID": host_id, "size": 65536}]);
        let mut document = plain();
        put(&mut document, "/linux/namespaces/-", json!({"type": "user"}));
        put(&mut document, "/linux/uidMappings", map.clone());
        put(&mut document, "/linux/gidMappings", map);
        Spec::parse(document.to_string().as_bytes()).unwrap()
    };
    for host_id in [0, 1, 1000, 65535] {
        let refusal = admit(ProfileName::Hardened, &[], with(host_id)).unwrap_err();
        assert_eq!(refusal.allow.as_ref().unwrap().name, "userns.host", "{refusal}");
        admit(ProfileName::Hardened, &["userns.host"], with(host_id)).unwrap();
        // Whom the kernel gives no other ids anyway.
        let choice = Choice::from(ProfileName::Hardened.profile());
        harden_as(with(host_id), &choice, &HostFacts { euid: 1000, ..facts() }).unwrap();
    }
    admit(ProfileName::Hardened, &[], with(65536)).unwrap();
}

#[test]
fn a_user_namespace_that_is_joined_and_is_the_hosts_is_none() {
    let mut document = plain();
    let joined = json!({"type": "user", "path": "/proc/1/ns/user"});
    put(&mut document, "/linux/namespaces/-", joined);
    let spec = Spec::parse(document.to_string().as_bytes()).unwrap();
    let facts =
        HostFacts { host_namespaces: vec![casemate_policy::spec::NamespaceKind::User], ..host() };
    let choice = Choice::from(ProfileName::Hardened.profile());
    let refusal = harden_as(spec, &choice, &facts).unwrap_err();
    assert_eq!(refusal.allow.unwrap().name, "userns.host");
}

#[test]
fn a_socket_in_core_pattern_is_judged_like_a_pipe_and_the_record_tells_the_truth() {
    for (text, wanted) in [
        ("core", CorePattern::File),
        ("|/usr/lib/systemd/systemd-coredump %P", CorePattern::Pipe),
        ("@/run/core.sock", CorePattern::Socket),
        ("@@/run/core.sock", CorePattern::Socket),
    ] {
        assert_eq!(CorePattern::parse(text), wanted, "{text}");
    }
    let facts = HostFacts { core_pattern: CorePattern::Socket, ..host() };
    let spec = || changed("/process/cwd", json!("/")).unwrap();
    let mut choice = Choice::from(ProfileName::Restricted.profile());
    for name in ["process.root", "memory.unlimited", "landlock.off"] {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    let refusal = harden_as(spec(), &choice, &facts).unwrap_err();
    assert_eq!(refusal.allow.unwrap().name, "process.core-pipe");
    let hardened = Choice::from(ProfileName::Hardened.profile());
    let result = harden_as(spec(), &hardened, &facts).unwrap();
    let said = result.decisions.iter().find(|d| d.rule == ControlId::CoreLimit).unwrap();
    assert_eq!(said.verdict, Verdict::Waived);
}

/// `plain.json` without lists of paths, with these mounts behind its own and this user namespace.
fn unmasked(mounts: &[Value], host_id: Option<u32>) -> Spec {
    let mut document = plain();
    for name in ["maskedPaths", "readonlyPaths"] {
        put(&mut document, &format!("/linux/{name}"), json!([]));
    }
    for mount in mounts {
        put(&mut document, "/mounts/-", mount.clone());
    }
    if let Some(id) = host_id {
        let map = json!([{"containerID": 0, "hostID": id, "size": 65536}]);
        put(&mut document, "/linux/namespaces/-", json!({"type": "user"}));
        put(&mut document, "/linux/uidMappings", map.clone());
        put(&mut document, "/linux/gidMappings", map);
    }
    Spec::parse(document.to_string().as_bytes()).unwrap()
}

#[test]
fn baseline_leaves_nothing_open_in_a_user_namespace_with_the_hosts_ids() {
    let masked = |host_id: u32| {
        let result = admit(ProfileName::Baseline, &[], unmasked(&[], Some(host_id))).unwrap();
        !result.spec.linux.masked_paths.is_empty() && !result.spec.linux.readonly_paths.is_empty()
    };
    assert!(masked(0) && masked(1000) && masked(65535));
    assert!(!masked(100_000));
}

#[test]
fn a_mount_that_is_covered_again_or_changes_another_takes_no_mask_away() {
    let bind = json!({"destination": "/sys/firmware", "source": "/srv", "options": ["bind"]});
    let sysfs = json!({"destination": "/sys", "type": "sysfs", "source": "sysfs"});
    let remount = json!({"destination": "/sys/firmware", "options": ["remount"]});
    let hidden = |mounts: &[Value]| {
        let spec = unmasked(mounts, None);
        let choice = choice_for_full(ProfileName::Hardened);
        let result = harden_as(spec.clone(), &choice, &facts_for(&spec)).unwrap();
        result.spec.linux.masked_paths.iter().any(|path| path == "/sys/firmware")
    };
    assert!(!hidden(&[sysfs.clone(), bind.clone()]));
    assert!(hidden(&[bind.clone(), sysfs]));
    assert!(!hidden(&[bind, remount]));
}

#[test]
fn what_is_shown_by_an_override_is_not_writable_with_it() {
    let result = admit(ProfileName::Hardened, &["paths.unmasked"], unmasked(&[], None)).unwrap();
    let has = |list: &[String]| list.iter().any(|path| path == "/proc/sysrq-trigger");
    assert!(!has(&result.spec.linux.masked_paths));
    assert!(has(&result.spec.linux.readonly_paths));
}

#[test]
fn the_hosts_system_console_is_no_device_of_every_container() {
    let console = json!([{"path": "/dev/console", "type": "c", "major": 5, "minor": 1}]);
    needs("devices.all", ControlId::DeviceNodes, "/linux/devices", &console);
    // The rule that every engine writes is for the container's own, a pseudo terminal.
    let rule = json!([{"allow": true, "type": "c", "major": 5, "minor": 1, "access": "rwm"}]);
    let spec = changed("/linux/resources/devices", rule).unwrap();
    let result = admit(ProfileName::Hardened, &[], spec).unwrap();
    assert_eq!(result.spec.linux.resources.as_ref().unwrap().devices.len(), 2);
}

#[test]
fn a_limit_is_judged_whichever_way_it_is_spelt() {
    let unified = |files: Value| changed("/linux/resources/unified", files).unwrap();
    let mut choice = Choice::from(ProfileName::Restricted.profile());
    for name in ["process.root", "landlock.off"] {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    let restricted = |spec: Spec| harden_as(spec, &choice, &host());
    for files in [json!({"memory.max": "max"}), json!({"memory.max": "9223372036854775807"})] {
        let refusal = restricted(unified(files)).unwrap_err();
        assert_eq!(refusal.decision.rule, ControlId::MemoryLimit);
    }
    let result = restricted(unified(json!({"memory.max": "67108864", "pids.max": "max"}))).unwrap();
    let resources = result.spec.linux.resources.as_ref().unwrap();
    assert_eq!(resources.memory.limit, Some(64 << 20));
    assert_eq!(resources.pids.unwrap().limit, Some(512), "restricted wants a number");
    assert!(!resources.unified.contains_key("pids.max"));
    // And of a running container.
    let update = |text: &str| {
        harden_resources(Resources::parse(text.as_bytes()).unwrap(), &result.spec, &facts())
    };
    assert!(update(r#"{"unified": {"memory.max": "max"}}"#).is_err());
    assert!(update(r#"{"memory": {"limit": 9223372036854775807}}"#).is_err());
}
