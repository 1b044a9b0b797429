//! What is added to a container: a process by exec, limits by update, and a namespace that it joins.

use super::common::{changed, facts, plain, put};
use super::{admit, host};
use casemate_policy::spec::{Process, Resources, RlimitKind, Spec};
use casemate_policy::{
    harden_as, harden_process, harden_resources, CallerLimits, Choice, ControlId, HostFacts,
    ProfileName,
};
use serde_json::{json, Value};

#[test]
fn a_process_that_joins_is_admitted_by_the_same_table() {
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
    let spec = changed("/process/rlimits", limits).unwrap();
    let container = admit(ProfileName::Hardened, &[], spec).unwrap().spec;
    let join = |more: Value| {
        let mut process = json!({"args": ["x"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
        process.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        harden_process(
            Process::parse(process.to_string().as_bytes()).unwrap(),
            &container,
            CallerLimits::default(),
        )
    };
    for more in [
        json!({"scheduler": {"policy": "SCHED_FIFO", "priority": 1}}),
        json!({"scheduler": {"policy": "SCHED_OTHER", "nice": -5}}),
        json!({"ioPriority": {"class": "IOPRIO_CLASS_RT"}}),
    ] {
        let refusal = join(more).unwrap_err();
        assert_eq!((refusal.decision.rule, refusal.allow), (ControlId::Scheduler, None));
    }
    let more = json!({"rlimits": [{"type": "RLIMIT_NOFILE", "soft": 150, "hard": 9999}]});
    let (process, _) = join(more).unwrap();
    let nofile = &process.rlimits[0];
    assert_eq!((nofile.soft, nofile.hard), (150, 200), "not above the container's own");
    let (process, _) =
        join(json!({"rlimits": [{"type": "RLIMIT_CPU", "soft": 5, "hard": 5}]})).unwrap();
    let kinds: Vec<String> = process.rlimits.iter().map(|l| format!("{:?}", l.kind)).collect();
    assert_eq!(kinds, ["Cpu", "Core", "Nofile"], "what is not given is the container's");
}

#[test]
fn a_process_that_joins_gets_no_larger_core_than_its_container_where_one_is_granted() {
    let core = |hard: u64| json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": hard}]);
    let spec = changed("/process/rlimits", core(4096)).unwrap();
    let container = admit(ProfileName::Hardened, &["rlimits.core"], spec).unwrap().spec;
    for more in [json!({}), json!({"rlimits": core(u64::MAX)})] {
        let mut process = json!({"args": ["x"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
        process.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let process = Process::parse(process.to_string().as_bytes()).unwrap();
        let (made, _) = harden_process(process, &container, CallerLimits::default()).unwrap();
        let limit = made.rlimits.iter().find(|limit| limit.kind == RlimitKind::Core).unwrap();
        assert_eq!(limit.hard, 4096, "{more}");
    }
}

#[test]
fn limits_of_an_update_are_admitted_by_the_same_table() {
    let spec = changed("/process/cwd", json!("/")).unwrap();
    let container = admit(ProfileName::Restricted, &[], spec).unwrap().spec;
    let update = |text: &str| {
        harden_resources(Resources::parse(text.as_bytes()).unwrap(), &container, &facts())
    };
    let (kept, _) = update(r#"{"cpu": {"shares": 5}}"#).unwrap();
    assert_eq!((kept.pids, kept.memory.limit), (None, None), "what is not named stays");
    let (cut, _) = update(r#"{"pids": {"limit": -1}}"#).unwrap();
    assert_eq!(cut.pids.unwrap().limit, Some(512));
    let refusal = update(r#"{"unified": {"cgroup.freeze": "1"}}"#).unwrap_err();
    assert_eq!(refusal.decision.rule, ControlId::UnifiedFiles);
}

#[test]
fn what_an_engine_has_of_protection_from_the_oom_killer_is_not_for_who_joins() {
    let spec = changed("/process/oomScoreAdj", json!(300)).unwrap();
    let scored = admit(ProfileName::Hardened, &[], spec).unwrap().spec;
    let plain = admit(ProfileName::Hardened, &[], changed("/process/cwd", json!("/")).unwrap());
    let plain = plain.unwrap().spec;
    let join = |container: &_, own: i32| {
        let process = json!({"args": ["x"], "cwd": "/", "user": {"uid": 0, "gid": 0}});
        let process = Process::parse(process.to_string().as_bytes()).unwrap();
        let limits = CallerLimits { oom_score_adj: Some(own), ..CallerLimits::default() };
        harden_process(process, container, limits).unwrap().0.oom_score_adj
    };
    // As containerd's shim calls.
    assert_eq!(join(&plain, -998), Some(0));
    assert_eq!(join(&plain, 200), None, "an ordinary user may not lower it");
    assert_eq!(join(&scored, -998), Some(300));
}

#[test]
fn a_mount_namespace_that_is_joined_is_refused_whosever_it_is() {
    use casemate_policy::spec::NamespaceKind::Mount;
    let mut document = plain();
    let list = document["linux"]["namespaces"].as_array_mut().unwrap();
    let entry = list.iter_mut().find(|namespace| namespace["type"] == "mount").unwrap();
    entry["path"] = json!("/proc/1/ns/mnt");
    let spec = Spec::parse(document.to_string().as_bytes()).unwrap();
    for profile in &ProfileName::ALL[1..] {
        let choice = Choice::from(profile.profile());
        for host_namespaces in [vec![Mount], vec![]] {
            let facts = HostFacts { host_namespaces, ..host() };
            let refusal = harden_as(spec.clone(), &choice, &facts).unwrap_err();
            assert_eq!((refusal.decision.rule, refusal.allow), (ControlId::MountNamespace, None));
        }
    }
}

#[test]
fn counts_of_a_user_namespace_that_is_joined_are_its_owners() {
    let with = |user: Value| {
        let mut document = plain();
        put(&mut document, "/linux/namespaces/-", user);
        put(&mut document, "/linux/sysctl", json!({"user.max_user_namespaces": "9"}));
        let spec = Spec::parse(document.to_string().as_bytes()).unwrap();
        harden_as(spec, &Choice::from(ProfileName::Hardened.profile()), &host())
    };
    let refusal = with(json!({"type": "user", "path": "/proc/9/ns/user"})).unwrap_err();
    assert_eq!(refusal.decision.rule, ControlId::NestedUserns);
    let text = refusal.to_string();
    assert!(text.contains("user.max_user_namespaces of a user namespace that is joined"), "{text}");
}
