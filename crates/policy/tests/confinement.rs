//! The layers behind the system call filter: Landlock, and the limit on nested user namespaces.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::Spec;
use casemate_policy::{
    harden_as, Choice, ControlId, Decision, Hardened, HostFacts, Mode, Overrides, ProfileName,
    Refusal, Source, Verdict,
};
use common::{facts, parse, plain, put};
use serde_json::json;

/// An ordinary user without capabilities, as restricted wants it.
fn modest() -> Spec {
    let mut document = plain();
    put(&mut document, "/process/user", json!({"uid": 1000, "gid": 1000}));
    put(&mut document, "/linux/resources", json!({"memory": {"limit": 1 << 28}}));
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        put(&mut document, &format!("/process/capabilities/{set}"), json!([]));
    }
    parse(&document).unwrap()
}

fn with_landlock(abi: u32) -> HostFacts {
    HostFacts { landlock_abi: abi, ..facts() }
}

fn run(
    spec: Spec,
    profile: ProfileName,
    allow: &[&str],
    facts: &HostFacts,
) -> Result<Hardened, Refusal> {
    let mut choice = Choice::from(profile.profile());
    for name in allow {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    harden_as(spec, &choice, facts)
}

fn only(result: &Hardened, rule: ControlId) -> &Decision {
    let mut found = result.decisions.iter().filter(|decision| decision.rule == rule);
    let decision = found.next().unwrap();
    assert!(found.next().is_none());
    decision
}

#[test]
fn restricted_demands_the_layer_and_hardened_does_not() {
    let result = run(modest(), ProfileName::Restricted, &[], &with_landlock(7)).unwrap();
    assert!(result.spec.extras().landlock);
    assert_eq!(only(&result, ControlId::Landlock).verdict, Verdict::Added);
    let result = run(modest(), ProfileName::Hardened, &[], &with_landlock(7)).unwrap();
    assert!(!result.spec.extras().landlock);
    assert!(result.decisions.iter().all(|decision| decision.rule != ControlId::Landlock));
}

#[test]
fn restricted_refuses_a_kernel_that_cannot_keep_the_promise() {
    for abi in [0, 1, 2] {
        let refusal = run(modest(), ProfileName::Restricted, &[], &with_landlock(abi)).unwrap_err();
        let text = refusal.to_string();
        assert!(text.contains("Landlock") && text.contains("rule landlock.layer"), "{text}");
        assert!(text.contains("org.casemate.allow/landlock.off=true"), "{text}");
        let allow = ["landlock.off"];
        let result = run(modest(), ProfileName::Restricted, &allow, &with_landlock(abi)).unwrap();
        assert!(!result.spec.extras().landlock);
        assert_eq!(only(&result, ControlId::Landlock).verdict, Verdict::Waived);
    }
    let result = run(modest(), ProfileName::Restricted, &[], &with_landlock(3)).unwrap();
    assert!(result.spec.extras().landlock);
    assert!(only(&result, ControlId::Landlock).reason.contains("cannot limit signals"));
}

#[test]
fn a_node_that_switches_the_layer_on_for_hardened_gets_what_the_kernel_has() {
    let mut choice = Choice::from(ProfileName::Hardened.profile());
    choice.overrides.modes.insert(ControlId::Landlock, Mode::Enforce);
    for (abi, on) in [(0, false), (2, false), (3, true)] {
        let result = harden_as(modest(), &choice, &with_landlock(abi)).unwrap();
        assert_eq!(result.spec.extras().landlock, on, "ABI {abi}");
        let verdict = if on { Verdict::Added } else { Verdict::Waived };
        assert_eq!(only(&result, ControlId::Landlock).verdict, verdict);
    }
}

#[test]
fn who_may_mount_gets_no_layer() {
    let mut document = plain();
    put(&mut document, "/process/user", json!({"uid": 1000, "gid": 1000}));
    put(&mut document, "/linux/resources", json!({"memory": {"limit": 1 << 28}}));
    for set in ["bounding", "effective", "permitted"] {
        put(&mut document, &format!("/process/capabilities/{set}"), json!(["CAP_SYS_ADMIN"]));
    }
    let spec = parse(&document).unwrap();
    let result = run(spec.clone(), ProfileName::Restricted, &[], &with_landlock(7)).unwrap();
    assert!(result.spec.extras().landlock, "the ceiling takes the capability away first");
    let allow = ["capabilities.sys_admin"];
    let result = run(spec, ProfileName::Restricted, &allow, &with_landlock(7)).unwrap();
    assert!(!result.spec.extras().landlock);
    assert!(only(&result, ControlId::Landlock).reason.contains("CAP_SYS_ADMIN"));
}

#[test]
fn nested_user_namespaces_are_off_unless_allowed_by_either_name() {
    let mut own = plain();
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 65536}]);
    put(&mut own, "/linux/uidMappings", map.clone());
    put(&mut own, "/linux/gidMappings", map);
    put(
        &mut own,
        "/linux/namespaces",
        json!(["user", "mount", "uts", "network", "pid", "ipc", "cgroup"]
            .map(|kind| json!({"type": kind}))),
    );
    let spec = parse(&own).unwrap();
    let result = run(spec.clone(), ProfileName::Hardened, &[], &facts()).unwrap();
    assert!(result.spec.extras().no_nested_userns);
    assert_eq!(only(&result, ControlId::NestedUserns).verdict, Verdict::Added);
    for name in ["userns.nested", "seccomp.userns"] {
        let result = run(spec.clone(), ProfileName::Hardened, &[name], &facts()).unwrap();
        assert!(!result.spec.extras().no_nested_userns, "{name}");
        assert_eq!(only(&result, ControlId::NestedUserns).verdict, Verdict::Waived);
    }
    let result = run(spec, ProfileName::Baseline, &[], &facts()).unwrap();
    assert!(!result.spec.extras().no_nested_userns);
}

#[test]
fn granted_features_and_the_strict_variant_reach_the_runtime() {
    let allow = ["seccomp.io_uring", "+keyring"];
    let result = run(modest(), ProfileName::Restricted, &allow, &with_landlock(7)).unwrap();
    let features: Vec<&str> =
        result.spec.extras().seccomp_features.iter().map(String::as_str).collect();
    assert_eq!(features, ["io_uring", "keyring"]);
    assert!(result.spec.extras().strict_seccomp && result.spec.extras().default_seccomp);
    let result = run(modest(), ProfileName::Hardened, &[], &facts()).unwrap();
    assert!(!result.spec.extras().strict_seccomp && result.spec.extras().default_seccomp);
    assert_eq!(*result.spec.overrides(), Overrides::default());
}

#[test]
fn ports_that_the_kernel_cannot_limit_are_a_reason_to_refuse() {
    let mut choice = Choice::from(ProfileName::Restricted.profile());
    choice.overrides.values.tcp_bind = Some([8080].into());
    let refusal = harden_as(modest(), &choice, &with_landlock(3)).unwrap_err().to_string();
    assert!(refusal.contains("TCP ports"), "{refusal}");
    let result = harden_as(modest(), &choice, &with_landlock(4)).unwrap();
    assert!(only(&result, ControlId::Landlock).reason.contains("TCP ports"));
}
