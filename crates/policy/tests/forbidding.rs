//! `forbid` is the last word: over grants, wider names, profiles and modes, whoever they come from.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::Spec;
use casemate_policy::{
    choose, harden_as, Choice, CommandLine, ControlId, HostFacts, Mode, NodePolicy, ProfileName,
    Source, Subject, CONTROLS,
};
use common::{parse, plain, put};
use proptest::prelude::*;
use serde_json::json;

fn spec_with(annotations: &[(String, String)]) -> Spec {
    let mut document = plain();
    let map: serde_json::Map<_, _> =
        annotations.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    put(&mut document, "/annotations", json!(map));
    put(
        &mut document,
        "/process/capabilities/bounding",
        json!(["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_NET_RAW"]),
    );
    parse(&document).unwrap()
}

fn policy(text: &str) -> NodePolicy {
    let mut policy = NodePolicy::default();
    policy.add("policy.toml", text).unwrap();
    policy
}

fn ask(node: &NodePolicy, annotations: &[&str], line: &CommandLine<'_>) -> Result<Choice, String> {
    let pair = |text: &&str| {
        let (key, value) = text.split_once('=').unwrap();
        (format!("org.casemate.{key}"), value.to_owned())
    };
    let spec = spec_with(&annotations.iter().map(pair).collect::<Vec<_>>());
    choose(node, &Subject::new(&spec, 0), line).map_err(|error| error.to_string())
}

fn given(text: &str) -> Choice {
    ask(&policy(text), &[], &CommandLine::default()).unwrap()
}

/// What the payload may come to hold of a configuration that asks for three capabilities.
fn bounding(choice: &Choice) -> u64 {
    let hardened = harden_as(spec_with(&[]), choice, &HostFacts::default()).unwrap();
    hardened.spec.process.as_ref().unwrap().capabilities.as_ref().unwrap().bounding.mask
}

const SYS_ADMIN: u64 = 1 << 21;
const NET_RAW: u64 = 1 << 13;

#[test]
fn a_name_that_includes_a_forbidden_one_cannot_be_asked_for() {
    let text = "permit = [\"*\"]\nforbid = [\"capabilities.sys_*\", \"seccomp.bpf\", \"devices.kvm\", \"mounts.docker-sock\"]";
    let node = policy(text);
    for (name, part) in [
        ("capabilities.all", "capabilities.sys_module"),
        ("seccomp.unconfined", "seccomp.bpf"),
        ("devices.all", "devices.kvm"),
        ("mounts.host-root", "mounts.docker-sock"),
        ("mounts.host-run", "mounts.docker-sock"),
        ("mounts.sources", "mounts.docker-sock"),
    ] {
        let wanted = format!("{part}, which is forbidden by policy.toml:2");
        let by_annotation = ask(&node, &[&format!("allow/{name}=true")], &CommandLine::default());
        let message = by_annotation.unwrap_err();
        assert!(message.contains(&wanted), "{name}: {message}");
        let allow = [name.to_owned()];
        let line = CommandLine { profile: None, allow: &allow };
        let message = ask(&node, &[], &line).unwrap_err();
        assert!(message.contains(&wanted), "{name}: {message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn what_a_file_or_a_rule_grants_is_cut_to_what_is_not_forbidden() {
    let forbid = "forbid = [\"capabilities.sys_*\"]";
    for text in [
        format!("allow = [\"capabilities.all\"]\n{forbid}"),
        format!("{forbid}\n[[rule]]\nmatch.uid = [0]\nallow = [\"capabilities.all\"]"),
        format!("allow = [\"capabilities.all\"]\n[[rule]]\nmatch.uid = [0]\n{forbid}"),
    ] {
        let choice = given(&text);
        assert_eq!(choice.overrides.allows("capabilities.all"), None, "{text}");
        assert_eq!(choice.overrides.allows("capabilities.sys_admin"), None, "{text}");
        assert!(matches!(
            choice.overrides.allows("capabilities.net_raw"),
            Some(Source::Policy(place)) if place.starts_with("policy.toml:")
        ));
        let bounding = bounding(&choice);
        assert_eq!((bounding & SYS_ADMIN, bounding & NET_RAW), (0, NET_RAW), "{text}");
    }
    let node =
        "allow = [\"devices.all\", \"rootfs.writable\"]\nforbid = [\"devices.gpu\", \"rootfs.*\"]";
    assert!(given(node).overrides.granted.is_empty());
}

#[test]
fn an_annotation_that_denies_a_part_holds_against_the_whole() {
    let node = policy("allow = [\"mounts.host-root\", \"capabilities.all\"]");
    let deny = ["deny/mounts.docker-sock=true", "deny/capabilities.net_raw=true"];
    let choice = ask(&node, &deny, &CommandLine::default()).unwrap();
    assert_eq!(choice.overrides.allows("mounts.host-root"), None);
    assert_eq!(choice.overrides.allows("capabilities.net_raw"), None);
    assert_eq!(bounding(&choice) & NET_RAW, 0);
}

#[test]
fn a_forbidden_profile_is_not_chosen_by_anybody() {
    for (text, wanted) in [
        ("profile = \"privileged\"\nforbid = [\"profile.privileged\"]", ProfileName::Baseline),
        ("profile = \"privileged\"\nforbid = [\"profile.*\"]", ProfileName::Hardened),
        ("profile = \"restricted\"\nforbid = [\"profile.*\"]", ProfileName::Restricted),
        (
            "forbid = [\"profile.privileged\", \"profile.baseline\"]\n[[rule]]\nmatch.uid = [0]\nprofile = \"privileged\"",
            ProfileName::Hardened,
        ),
        ("forbid = [\"profile.*\"]", ProfileName::Hardened),
    ] {
        assert_eq!(given(text).profile.name, wanted, "{text}");
    }
    let node = policy("permit = [\"*\"]\nforbid = [\"profile.privileged\"]");
    let line = CommandLine { profile: Some("privileged"), allow: &[] };
    let wanted = "profile.privileged is forbidden by policy.toml:2";
    assert!(ask(&node, &[], &line).unwrap_err().ends_with(wanted));
    let asked = ask(&node, &["profile=privileged"], &CommandLine::default());
    assert!(asked.unwrap_err().ends_with(wanted));
}

#[test]
fn switching_a_control_off_gives_nothing_that_is_forbidden() {
    let forbid = "forbid = [\"mounts.docker-sock\"]";
    for text in [
        format!("{forbid}\n[controls]\n\"mounts.sources\" = \"off\""),
        format!("{forbid}\n[controls]\n\"mounts.sources\" = \"warn\""),
        format!(
            "{forbid}\n[[rule]]\nmatch.uid = [0]\ncontrols = {{ \"mounts.sources\" = \"off\" }}"
        ),
        format!("profile = \"privileged\"\n{forbid}"),
    ] {
        let choice = given(&text);
        assert_eq!(choice.mode(ControlId::MountSources), Mode::Enforce, "{text}");
        assert_eq!(choice.overrides.allows("mounts.docker-sock"), None, "{text}");
        // Nothing else is taken from whom the control was off for, but what contains the socket.
        assert!(choice.overrides.allows("mounts.crio-sock").is_some(), "{text}");
        assert_eq!(choice.overrides.allows("mounts.host-root"), None, "{text}");
    }
    let privileged = given("profile = \"privileged\"\nforbid = [\"capabilities.sys_*\"]");
    assert_eq!(bounding(&privileged) & (SYS_ADMIN | NET_RAW), NET_RAW);
    assert_eq!(privileged.mode(ControlId::ReadonlyRoot), Mode::Off);
}

#[test]
fn a_refusal_names_no_remedy_that_is_forbidden_but_where_that_is_said() {
    let mut document = plain();
    let namespaces = document["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "network");
    let refused = |text: &str| {
        let spec = parse(&document).unwrap();
        harden_as(spec, &given(text), &HostFacts::default()).unwrap_err().to_string()
    };
    let forbidden = refused("forbid = [\"namespaces.*\"]");
    let wanted = "; namespaces.host-network is forbidden by policy.toml:1";
    assert!(forbidden.ends_with(wanted), "{forbidden}");
    let free = refused("");
    let wanted = "; allow with --allow namespaces.host-network, or annotation \
                  org.casemate.allow/namespaces.host-network=true once the node permits it: \
                  casemate policy permit namespaces.host-network";
    assert!(free.ends_with(wanted), "{free}");
}

#[test]
fn every_name_that_an_umbrella_stands_for_is_one() {
    // A name that a control has given up would leave a hole here without a word.
    let names: Vec<&str> = CONTROLS.iter().flat_map(|control| control.allow).copied().collect();
    for name in [
        "capabilities.all",
        "seccomp.unconfined",
        "devices.all",
        "mounts.host-root",
        "mounts.host-run",
        "mounts.host-var",
        "mounts.host-etc",
    ] {
        assert!(names.contains(&name), "{name}");
    }
    for (name, part) in [
        ("mounts.host-run", "mounts.socket"),
        ("mounts.host-run", "mounts.systemd-sock"),
        ("mounts.host-var", "mounts.engine-data"),
        ("mounts.host-etc", "mounts.host-system"),
        ("mounts.host-root", "mounts.host-proc"),
    ] {
        let allow = [name.to_owned()];
        let line = CommandLine { profile: None, allow: &allow };
        let node = policy(&format!("forbid = [{part:?}]"));
        assert!(ask(&node, &[], &line).unwrap_err().contains("includes"), "{name} {part}");
    }
}

#[test]
fn a_prohibition_makes_nobody_stricter_than_the_default_profile() {
    let choice = given("forbid = [\"*\"]");
    for control in CONTROLS {
        assert_eq!(choice.mode(control.id), ProfileName::Hardened.profile().mode(control.id));
    }
    assert!(choice.overrides.granted.is_empty());
}

/// `*` for any text, tried every way: not how the policy does it.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|n| matches(rest, &text[n..])),
        Some((byte, rest)) => text.first() == Some(byte) && matches(rest, &text[1..]),
    }
}

const PATTERNS: [&str; 17] = [
    "*",
    "profile.*",
    "profile.privileged",
    "profile.baseline",
    "capabilities.*",
    "capabilities.sys_*",
    "capabilities.all",
    "capabilities.net_raw",
    "seccomp.*",
    "seccomp.bpf",
    "seccomp.unconfined",
    "mounts.*-sock",
    "mounts.host-*",
    "devices.kvm",
    "namespaces.*",
    "rootfs.writable",
    "userns.*",
];
const NAMES: [&str; 16] = [
    "capabilities.all",
    "capabilities.ceiling",
    "capabilities.sys_admin",
    "capabilities.net_raw",
    "seccomp.default",
    "seccomp.unconfined",
    "seccomp.bpf",
    "+io_uring",
    "mounts.sources",
    "mounts.host-root",
    "mounts.host-run",
    "mounts.docker-sock",
    "devices.all",
    "devices.nodes",
    "namespaces.host-pid",
    "rootfs.writable",
];
const SWITCHED: [&str; 6] = [
    "capabilities.ceiling",
    "seccomp.default",
    "mounts.sources",
    "devices.nodes",
    "root.readonly",
    "userns.auto",
];

fn list(words: &'static [&'static str]) -> impl Strategy<Value = Vec<&'static str>> {
    proptest::sample::subsequence(words, 0..=3)
}

fn profile_name() -> impl Strategy<Value = Option<&'static str>> {
    let names = &["privileged", "baseline", "hardened", "restricted"][..];
    proptest::option::of(proptest::sample::select(names))
}

prop_compose! {
    /// What stands at the top of a file, or in a rule.
    fn section()(
        profile in profile_name(),
        permit in proptest::option::of(list(&PATTERNS)),
        forbid in list(&PATTERNS),
        allow in list(&NAMES),
        switched in proptest::sample::subsequence(&SWITCHED[..], 0..=3),
        mode in proptest::sample::select(&["off", "warn", "enforce"][..]),
    ) -> (String, Vec<&'static str>) {
        let profile = profile.map(|name| format!("profile = {name:?}\n")).unwrap_or_default();
        let permit = permit.map(|list| format!("permit = {list:?}\n")).unwrap_or_default();
        let modes: Vec<String> =
            switched.iter().map(|control| format!("{control:?} = {mode:?}")).collect();
        let modes = modes.join(", ");
        let text = format!("{profile}{permit}forbid = {forbid:?}\nallow = {allow:?}\ncontrols = {{ {modes} }}\n");
        (text, forbid)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4000) })]

    #[test]
    fn nothing_that_is_forbidden_is_granted_whoever_asks(
        (top, first) in section(),
        (more, second) in section(),
        (rule, third) in section(),
        asked in list(&NAMES),
        denied in list(&["mounts.docker-sock", "capabilities.net_raw", "root.readonly"]),
        annotated in profile_name(),
        chosen in profile_name(),
        allow in list(&NAMES),
    ) {
        let mut node = NodePolicy::default();
        node.add("policy.toml", &top).unwrap();
        node.add_more("policy.d/1.toml", &format!("{more}[[rule]]\nmatch.uid = [0]\n{rule}")).unwrap();
        let mut annotations: Vec<String> =
            asked.iter().map(|name| format!("allow/{name}=true")).collect();
        annotations.extend(denied.iter().map(|name| format!("deny/{name}=true")));
        annotations.extend(annotated.map(|name| format!("profile={name}")));
        let annotations: Vec<&str> = annotations.iter().map(String::as_str).collect();
        let allow: Vec<String> = allow.iter().map(|name| (*name).to_owned()).collect();
        let line = CommandLine { profile: chosen, allow: &allow };
        let forbidden: Vec<&str> = [first, second, third].concat();
        let is_forbidden = |name: &str| {
            forbidden.iter().any(|pattern| matches(pattern.as_bytes(), name.as_bytes()))
        };
        // Most of what is asked at random is refused as a whole; then what the node itself says is
        // looked at.
        let choices = [ask(&node, &annotations, &line), ask(&node, &[], &CommandLine::default())];
        for choice in choices.into_iter().flatten() {
            for name in choice.overrides.granted.keys() {
                prop_assert!(!is_forbidden(name), "{name} granted although {forbidden:?}");
            }
            let holds = |name: &str| choice.overrides.allows(name).is_some();
            let any = |parts: &[&str]| parts.iter().any(|part| is_forbidden(part));
            prop_assert!(!(holds("capabilities.all") && any(&["capabilities.sys_admin", "capabilities.net_raw"])));
            prop_assert!(!(holds("seccomp.unconfined") && any(&["seccomp.bpf"])));
            prop_assert!(!(holds("devices.all") && any(&["devices.kvm"])));
            prop_assert!(!(holds("mounts.host-root") && any(&["mounts.docker-sock"])));
            for control in CONTROLS {
                if control.allow.iter().any(|name| !name.contains('*') && is_forbidden(name)) {
                    prop_assert!(choice.mode(control.id) >= control.mode(ProfileName::DEFAULT));
                }
            }
            let profile = choice.profile.name;
            prop_assert!(
                profile >= ProfileName::DEFAULT || !is_forbidden(&format!("profile.{profile}")),
                "{profile} although {forbidden:?}"
            );
        }
    }
}
