//! Security labels: which the rules take, and what becomes of containers without one.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::{
    harden, harden_as, Choice, ControlId, Hardened, HostFacts, ProfileName, Refusal, Source,
    Verdict,
};
use casemate_policy::{DefaultProfile, SelinuxFacts, TypeName};
use common::{changed, facts, parse, plain};
use serde_json::json;

fn selinux(label: Option<&str>, profile: ProfileName) -> Result<Hardened, Refusal> {
    let spec = match label {
        Some(label) => changed("/process/selinuxLabel", json!(label)).unwrap(),
        None => parse(&plain()).unwrap(),
    };
    let mut choice = Choice::from(profile.profile());
    // What else restricted refuses is not looked at here.
    for name in ["process.root", "memory.unlimited", "landlock.off", "userns.fallback"] {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    harden_as(spec, &choice, &HostFacts { selinux: true, ..facts() })
}

fn verdict(result: &Hardened, rule: ControlId) -> Verdict {
    result.decisions.iter().find(|decision| decision.rule == rule).unwrap().verdict
}

#[test]
fn a_label_of_containers_passes_and_others_are_refused() {
    for label in [
        "system_u:system_r:container_t:s0:c1,c2",
        "unconfined_u:system_r:container_t:s0:c1,c1023",
        "system_u:system_r:container_init_t:s0:c3,c4",
        "system_u:system_r:container_kvm_t:s0:c5,c6",
    ] {
        for profile in [ProfileName::Baseline, ProfileName::Hardened] {
            let result = selinux(Some(label), profile).unwrap();
            assert_eq!(verdict(&result, ControlId::SelinuxLabel), Verdict::Kept, "{label}");
        }
    }
    for label in [
        "system_u:system_r:spc_t:s0",
        "system_u:system_r:init_t:s0",
        "root:system_r:container_t:s0",
        "system_u:sysadm_r:container_t:s0",
        "container_t",
        "",
    ] {
        if label.is_empty() {
            continue;
        }
        let text = selinux(Some(label), ProfileName::Hardened).unwrap_err().to_string();
        assert!(text.contains(label) && text.contains("(rule selinux.label)"), "{text}");
        assert!(text.contains("org.casemate.allow/selinux.unlabelled=true"), "{text}");
    }
}

#[test]
fn a_missing_label_is_on_record_and_restricted_wants_categories() {
    let result = selinux(None, ProfileName::Hardened).unwrap();
    assert_eq!(verdict(&result, ControlId::SelinuxLabel), Verdict::Waived);
    for label in [None, Some("system_u:system_r:container_t:s0")] {
        let refusal = selinux(label, ProfileName::Restricted).unwrap_err();
        assert_eq!(refusal.decision.rule, ControlId::SelinuxLabel);
    }
}

#[test]
fn the_default_apparmor_profile_is_given_where_the_host_can_have_it() {
    let with = |state: DefaultProfile, label: Option<&str>| {
        let spec = match label {
            Some(label) => changed("/process/apparmorProfile", json!(label)).unwrap(),
            None => parse(&plain()).unwrap(),
        };
        let host = HostFacts { apparmor: true, apparmor_default: state, ..facts() };
        harden(spec, ProfileName::Hardened.profile(), &host)
    };
    let profile =
        |result: &Hardened| result.spec.process.as_ref().unwrap().apparmor_profile.clone();
    for state in [DefaultProfile::Loaded, DefaultProfile::Loadable] {
        let result = with(state, None).unwrap();
        assert_eq!(profile(&result).as_deref(), Some("casemate-default"));
        assert_eq!(verdict(&result, ControlId::ApparmorProfile), Verdict::Added);
    }
    let result = with(DefaultProfile::Unavailable("no parser".to_owned()), None).unwrap();
    assert_eq!(
        (profile(&result), verdict(&result, ControlId::ApparmorProfile)),
        (None, Verdict::Waived)
    );
    let result = with(DefaultProfile::Loaded, Some("mine")).unwrap();
    assert_eq!(profile(&result).as_deref(), Some("mine"));
    let refusal = with(DefaultProfile::Loaded, Some("unconfined")).unwrap_err();
    assert_eq!(refusal.decision.rule, ControlId::ApparmorProfile);
}

fn assigned(host: SelinuxFacts, edit: impl FnOnce(&mut Choice)) -> Result<Hardened, Refusal> {
    let mut choice = Choice::from(ProfileName::Hardened.profile());
    edit(&mut choice);
    let host = HostFacts { selinux: true, selinux_host: Some(host), ..facts() };
    harden_as(parse(&plain()).unwrap(), &choice, &host)
}

fn enforcing() -> SelinuxFacts {
    SelinuxFacts { enforcing: true, fault: None }
}

#[test]
fn where_selinux_enforces_a_missing_label_is_given_with_the_policys_types() {
    let mut result = assigned(enforcing(), |_| {}).unwrap();
    assert_eq!(verdict(&result, ControlId::SelinuxAssign), Verdict::Added);
    assert_eq!(verdict(&result, ControlId::SelinuxLabel), Verdict::Kept);
    let wanted = result.spec.extras().auto_label.clone().unwrap();
    result.spec.assign_label(&wanted, "c7,c8");
    let label = result.spec.process.as_ref().unwrap().selinux_label.clone().unwrap();
    assert_eq!(label, "system_u:system_r:container_t:s0:c7,c8");
    let files = result.spec.linux.mount_label.as_deref();
    assert_eq!(files, Some("system_u:object_r:container_file_t:s0:c7,c8"));
    let own = TypeName::try_from("mine_t".to_owned()).unwrap();
    let named = assigned(enforcing(), |choice| {
        choice.overrides.values.selinux_process_type = Some(own);
    });
    let wanted = named.unwrap().spec.extras().auto_label.clone().unwrap();
    assert_eq!(wanted.process, "system_u:system_r:mine_t:s0");
    assert!(TypeName::try_from("a_t:s0".to_owned()).is_err());
}

#[test]
fn no_label_is_given_where_it_would_not_count_or_is_not_wanted() {
    let none = |result: Result<Hardened, Refusal>| {
        let result = result.unwrap();
        assert!(result.spec.extras().auto_label.is_none());
        assert_eq!(verdict(&result, ControlId::SelinuxAssign), Verdict::Waived);
    };
    none(assigned(SelinuxFacts { enforcing: false, ..enforcing() }, |_| {}));
    none(assigned(enforcing(), |choice| {
        choice.overrides.grant("selinux.unassigned", &Source::CommandLine).unwrap();
    }));
    let unknown = SelinuxFacts { fault: Some("the policy has no label x".into()), ..enforcing() };
    none(assigned(unknown.clone(), |_| {}));
    // Who names a type wants it.
    let refusal = assigned(unknown, |choice| {
        choice.overrides.values.selinux_file_type = TypeName::try_from("mine_t".to_owned()).ok();
    });
    let text = refusal.unwrap_err().to_string();
    assert!(text.contains("no label x (rule selinux.assign)"), "{text}");
}

#[test]
fn categories_of_the_mounts_are_those_of_the_process_too() {
    let spec =
        changed("/linux/mountLabel", json!("system_u:object_r:container_file_t:s0:c1022,c1023"));
    let host = HostFacts { selinux: true, selinux_host: Some(enforcing()), ..facts() };
    let result = harden(spec.unwrap(), ProfileName::Hardened.profile(), &host).unwrap();
    let wanted = result.spec.extras().auto_label.clone().unwrap();
    assert_eq!(wanted.categories.as_deref(), Some("c1022,c1023"));
}
