//! Controls `userns.auto` and `userns.required`: when a container gets ids of its own, and what becomes of the record.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_kernel::{HostId, InnerId};
use casemate_policy::spec::{IdMapping, NamespaceKind, Spec};
use casemate_policy::{
    harden_as, Choice, ControlId, Hardened, HardenedSpec, HostFacts, ProfileName, Refusal, Source,
    Verdict,
};
use common::{facts, facts_for, parse, plain, put};
use serde_json::{json, Value};

fn root() -> HostFacts {
    HostFacts { can_make_user_namespace: true, ..facts() }
}

fn result(
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

fn hardened(spec: Spec, allow: &[&str]) -> Hardened {
    result(spec, ProfileName::Hardened, allow, &root()).unwrap()
}

fn verdict(of: &Hardened) -> Vec<Verdict> {
    of.decisions.iter().filter(|d| d.rule == ControlId::AutoUserns).map(|d| d.verdict).collect()
}

fn without(kind: &str) -> Spec {
    let mut document = plain();
    let namespaces = document.pointer_mut("/linux/namespaces").unwrap().as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != kind);
    parse(&document).unwrap()
}

fn map(first: u32) -> Vec<IdMapping> {
    vec![IdMapping { container_id: InnerId(0), host_id: HostId(first), size: 65536 }]
}

#[test]
fn a_container_of_root_gets_ids_of_its_own() {
    let done = hardened(parse(&plain()).unwrap(), &[]);
    assert_eq!(done.spec.extras().auto_userns.map(|auto| auto.required), Some(true));
    let done = hardened(parse(&plain()).unwrap(), &["userns.host"]);
    assert!(done.spec.extras().auto_userns.is_none());
    assert_eq!(verdict(&done), [Verdict::Waived]);
}

#[test]
fn who_has_no_ids_to_give_and_who_asks_for_a_namespace_are_left_alone() {
    let done = result(parse(&plain()).unwrap(), ProfileName::Hardened, &[], &facts()).unwrap();
    assert!(done.spec.extras().auto_userns.is_none());
    assert_eq!(verdict(&done), [Verdict::Kept]);
    let mut document = plain();
    put(&mut document, "/linux/namespaces/-", json!({"type": "user"}));
    let line = json!([{"containerID": 0, "hostID": 500_000, "size": 10}]);
    put(&mut document, "/linux/uidMappings", line.clone());
    put(&mut document, "/linux/gidMappings", line);
    let done = hardened(parse(&document).unwrap(), &[]);
    assert!(done.spec.extras().auto_userns.is_none());
    assert_eq!(done.spec.linux.uid_mappings[0].host_id, HostId(500_000));
    assert_eq!(verdict(&done), [Verdict::Kept]);
}

#[test]
fn a_capability_that_was_granted_and_would_be_void_is_refused_with_the_way_out() {
    let with = |name: &str, network: Value| {
        let mut document = plain();
        put(
            &mut document,
            "/process/capabilities",
            json!({"permitted": [name], "bounding": [name]}),
        );
        let namespaces = document.pointer_mut("/linux/namespaces").unwrap().as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "network");
        namespaces.push(network);
        parse(&document).unwrap()
    };
    let (own, joined) =
        (json!({"type": "network"}), json!({"type": "network", "path": "/run/netns/x"}));
    let run = |spec: Spec, allow: &[&str]| result(spec, ProfileName::Hardened, allow, &root());
    let text = run(with("CAP_SYS_TIME", own.clone()), &["capabilities.sys_time"]).unwrap_err();
    let text = text.to_string();
    assert!(text.contains("CAP_SYS_TIME") && text.contains("(rule userns.auto)"), "{text}");
    assert!(text.contains("org.casemate.allow/userns.host=true"), "{text}");
    assert!(run(with("CAP_SYS_TIME", own.clone()), &["capabilities.all"]).is_ok());
    assert!(run(with("CAP_NET_RAW", own), &["capabilities.net_raw"]).is_ok());
    assert!(run(with("CAP_NET_RAW", joined.clone()), &["capabilities.net_raw"]).is_err());
    let both = ["capabilities.net_raw", "userns.host"];
    assert!(run(with("CAP_NET_RAW", joined), &both).is_ok());
}

#[test]
fn what_the_runtime_finds_out_is_recorded() {
    let before: HardenedSpec = hardened(parse(&plain()).unwrap(), &[]).spec;
    let mut spec = before.clone();
    let decision = spec.enter_user_namespace(None, map(700_000), map(800_000));
    assert_eq!((decision.rule, decision.verdict), (ControlId::AutoUserns, Verdict::Added));
    assert!(decision.reason.contains("user 700000 and group 800000"), "{}", decision.reason);
    assert!(spec.namespace(NamespaceKind::User).is_some());
    assert_eq!(spec.linux.gid_mappings, map(800_000));
}

fn unmappable() -> HostFacts {
    HostFacts { unmappable: Some("/x lies on nfs".to_owned()), ..root() }
}

#[test]
fn without_the_namespace_every_rule_says_what_is_run() {
    let of = |facts: &HostFacts, rule: ControlId| {
        let allow = ["userns.fallback"];
        let done = result(parse(&plain()).unwrap(), ProfileName::Hardened, &allow, facts).unwrap();
        let decision = done.decisions.iter().find(|decision| decision.rule == rule).cloned();
        decision.map(|decision| (decision.verdict, decision.reason.into_owned()))
    };
    let (verdict, reason) = of(&unmappable(), ControlId::AutoUserns).unwrap();
    assert!(verdict == Verdict::Waived && reason.contains("/x lies on nfs"), "{reason}");
    assert_eq!(of(&root(), ControlId::NestedUserns).unwrap().0, Verdict::Added);
    assert_eq!(of(&unmappable(), ControlId::NestedUserns).unwrap().0, Verdict::Waived);
    assert_eq!(of(&root(), ControlId::RootUser).unwrap().0, Verdict::Kept);
    let (verdict, reason) = of(&unmappable(), ControlId::RootUser).unwrap();
    assert!(verdict == Verdict::Warned && reason.contains("runs as root"), "{reason}");
}

#[test]
fn where_it_is_required_there_is_no_way_back() {
    let mut document = plain();
    put(&mut document, "/process/user", json!({"uid": 1000, "gid": 1000}));
    let run = |allow: &[&str]| {
        let mut choice = Choice::from(ProfileName::Hardened.profile());
        for name in allow {
            choice.overrides.grant(name, &Source::CommandLine).unwrap();
        }
        harden_as(parse(&document).unwrap(), &choice, &unmappable())
    };
    let text = run(&[]).unwrap_err().to_string();
    assert!(text.contains("/x lies on nfs (rule userns.required)"), "{text}");
    assert!(text.contains("org.casemate.allow/userns.fallback=true"), "{text}");
    assert!(run(&["userns.fallback"]).unwrap().spec.extras().auto_userns.is_none());
}

#[test]
fn tmpfs_that_an_old_kernel_cannot_map_is_a_finding_and_no_refusal() {
    let facts = HostFacts { unmappable_by_kernel: true, ..unmappable() };
    let done = result(parse(&plain()).unwrap(), ProfileName::Hardened, &[], &facts).unwrap();
    let found = done.decisions.iter().find(|d| d.rule == ControlId::RequiredUserns).unwrap();
    assert_eq!(found.verdict, Verdict::Waived);
    let mut document = plain();
    put(&mut document, "/process/user", json!({"uid": 1000, "gid": 1000}));
    let strict = result(parse(&document).unwrap(), ProfileName::Restricted, &[], &facts);
    assert!(strict.is_err());
}

#[test]
fn a_container_that_shares_the_hosts_processes_keeps_the_hosts_ids() {
    // Whether it may share them is another control's business, and overridden here.
    for (kind, allow) in [("pid", "namespaces.host-pid"), ("network", "namespaces.host-network")] {
        let mut choice = Choice::from(ProfileName::Hardened.profile());
        drop(choice.overrides.grant(allow, &Source::CommandLine));
        let done = harden_as(without(kind), &choice, &root()).unwrap();
        assert!(done.spec.extras().auto_userns.is_none(), "{kind}");
        assert_eq!(verdict(&done), [Verdict::Waived]);
    }
}

#[test]
fn ids_that_another_container_has_are_brought_by_no_configuration() {
    let mut document = plain();
    let namespaces = document.pointer_mut("/linux/namespaces").unwrap().as_array_mut().unwrap();
    namespaces.push(json!({"type": "user"}));
    let held = HostFacts {
        held_uids: vec![HostId(0x5000_0000)],
        held_gids: vec![HostId(0x6000_0000)],
        ..root()
    };
    for (uids, gids, taken) in [
        ((0x5000_0000, 65536), (200_000, 65536), true),
        ((0x5000_0000 - 65536, 65537), (200_000, 65536), true),
        ((200_000, 65536), (0x6000_ffff, 1), true),
        ((100_000, 0xffff_ffff_u32 - 100_000), (200_000, 65536), true),
        ((0x5000_0000 - 65536, 65536), (0x6001_0000, 65536), false),
    ] {
        let map = |(first, size)| json!([{"containerID": 0, "hostID": first, "size": size}]);
        put(&mut document, "/linux/uidMappings", map(uids));
        put(&mut document, "/linux/gidMappings", map(gids));
        let run =
            |allow: &[&str]| result(parse(&document).unwrap(), ProfileName::Hardened, allow, &held);
        let refused = run(&[]).err().and_then(|refusal| refusal.allow.map(|remedy| remedy.name));
        assert_eq!(refused.as_deref() == Some("userns.shared-ids"), taken, "{uids:?} {gids:?}");
        assert!(run(&["userns.shared-ids"]).is_ok());
    }
}

#[test]
fn a_user_namespace_without_mappings_is_the_one_that_the_profile_gives() {
    let mut document = plain();
    put(&mut document, "/linux/namespaces/-", json!({"type": "user"}));
    let asked = || parse(&document).unwrap();
    let done = hardened(asked(), &[]);
    assert_eq!(done.spec.extras().auto_userns.map(|auto| auto.required), Some(true));
    assert!(done.spec.namespace(NamespaceKind::User).is_none());
    // Where the profile can give none, root in it would be the host's.
    let unmappable = HostFacts { unmappable: Some("a volume".to_owned()), ..root() };
    let refusal = result(asked(), ProfileName::Hardened, &[], &unmappable).unwrap_err();
    assert!(refusal.to_string().contains("user 0 of the container is user 0 of the host"));
}

#[test]
fn a_user_namespace_without_mappings_has_the_caller_as_root_where_the_profile_gives_none() {
    let mut document = plain();
    put(&mut document, "/linux/namespaces/-", json!({"type": "user"}));
    let caller = HostFacts { euid: 1000, egid: 100, ..facts() };
    let ids = |profile, allow: &[&str], facts: &HostFacts| {
        let done = result(parse(&document).unwrap(), profile, allow, facts).unwrap();
        assert!(done.spec.extras().auto_userns.is_none());
        assert!(done.spec.namespace(NamespaceKind::User).is_some());
        let first = |maps: &[IdMapping]| (maps[0].container_id.0, maps[0].host_id.0, maps[0].size);
        (first(&done.spec.linux.uid_mappings), first(&done.spec.linux.gid_mappings))
    };
    let of_root = ((0, 0, 1), (0, 0, 1));
    assert_eq!(ids(ProfileName::Privileged, &[], &root()), of_root);
    assert_eq!(ids(ProfileName::Baseline, &[], &root()), of_root);
    assert_eq!(ids(ProfileName::Hardened, &["userns.host"], &root()), of_root);
    assert_eq!(ids(ProfileName::Hardened, &[], &caller), ((0, 1000, 1), (0, 100, 1)));
}

#[test]
fn a_bind_that_follows_the_host_is_said_not_to_have_the_ids_later() {
    let follows = |option: &str, allow: &[&str]| {
        let mut document = plain();
        let bind = json!({"destination": "/v", "type": "bind", "source": "/srv/v", "options": ["rbind", option]});
        put(&mut document, "/mounts/-", bind);
        let at = document["mounts"].as_array().unwrap().len() - 1;
        let spec = parse(&document).unwrap();
        let looked_at = facts_for(&spec);
        let facts = HostFacts { sources: looked_at.sources, ..root() };
        let done = result(spec, ProfileName::Hardened, allow, &facts).unwrap();
        let about = |d: &&casemate_policy::Decision| d.verdict == Verdict::Warned;
        let mut said =
            done.decisions.iter().filter(|d| d.rule == ControlId::AutoUserns).filter(about);
        said.next()
            .map(|d| (*d.pointer == *format!("/mounts/{at}/options"), d.reason.contains("/srv/v")))
    };
    for option in ["slave", "rslave", "shared", "rshared"] {
        assert_eq!(follows(option, &[]), Some((true, true)), "{option}");
    }
    assert_eq!(follows("rprivate", &[]), None);
    assert_eq!(follows("rslave", &["userns.host"]), None);
}
