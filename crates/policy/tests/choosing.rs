//! Who may loosen what: annotations, the command line and the node's policy, made into one container's choice.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::Spec;
use casemate_policy::{
    choose, harden_as, Choice, CommandLine, ControlId, HostFacts, Mode, NodePolicy, Origin,
    ProfileName, Source, Subject, Verdict, CONTROLS,
};
use common::{parse, plain, put};
use serde_json::json;

fn spec_with(annotations: &[(&str, &str)]) -> Spec {
    let mut document = plain();
    let map: serde_json::Map<_, _> =
        annotations.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect();
    put(&mut document, "/annotations", json!(map));
    put(&mut document, "/root/readonly", json!(false));
    parse(&document).unwrap()
}

fn policy(text: &str) -> NodePolicy {
    let mut policy = NodePolicy::default();
    policy.add("policy.toml", text).unwrap();
    policy
}

fn chosen(
    node: &NodePolicy,
    annotations: &[(&str, &str)],
    allow: &[&str],
) -> Result<Choice, String> {
    let spec = spec_with(annotations);
    let allow: Vec<String> = allow.iter().map(|name| (*name).to_owned()).collect();
    let line = CommandLine { profile: None, allow: &allow };
    choose(node, &Subject::new(&spec, 0), &line).map_err(|error| error.to_string())
}

fn refused(node: &NodePolicy, annotations: &[(&str, &str)], allow: &[&str]) -> String {
    let message = chosen(node, annotations, allow).unwrap_err();
    assert!(!message.contains('\n'), "{message}");
    message
}

fn built_in() -> NodePolicy {
    NodePolicy::default()
}

const WRITABLE: (&str, &str) = ("org.casemate.allow/rootfs.writable", "true");

#[test]
fn nobody_asking_means_the_default_profile_and_nothing_beside_it() {
    let choice = chosen(&built_in(), &[("com.example/x", "1")], &[]).unwrap();
    assert_eq!(choice, Choice::from(ProfileName::Hardened.profile()));
}

#[test]
fn an_annotation_that_the_built_in_policy_permits_is_granted() {
    let choice = chosen(&built_in(), &[WRITABLE], &[]).unwrap();
    let source = choice.overrides.allows("rootfs.writable").unwrap();
    assert_eq!(*source, Source::Annotation("the built-in policy".to_owned()));
    let result = harden_as(spec_with(&[WRITABLE]), &choice, &HostFacts::default()).unwrap();
    assert!(!result.spec.root.readonly);
    let decision = result.decisions.iter().find(|d| d.rule == ControlId::ReadonlyRoot).unwrap();
    assert_eq!(decision.verdict, Verdict::Waived);
    assert_eq!(decision.source, *source);
}

#[test]
fn an_annotation_that_no_policy_permits_is_refused_with_the_line_that_would() {
    let asked = [("org.casemate.allow/devices.all", "true")];
    assert_eq!(
        refused(&built_in(), &asked, &[]),
        "annotations org.casemate.allow/devices.all: the node policy does not permit devices.all \
         (hint: casemate policy permit devices.all)"
    );
    let node = policy("permit = [\"@default\", \"devices.*\"]");
    let choice = chosen(&node, &[asked[0], WRITABLE], &[]).unwrap();
    let source = choice.overrides.allows("devices.all").unwrap();
    assert_eq!(*source, Source::Annotation("policy.toml:1".to_owned()));
}

#[test]
fn an_empty_list_permits_nothing() {
    let node = policy("permit = []");
    assert!(refused(&node, &[WRITABLE], &[]).contains("does not permit rootfs.writable"));
}

#[test]
fn the_command_line_needs_no_permission_but_obeys_a_prohibition() {
    let choice = chosen(&built_in(), &[], &["devices.all", "+io_uring"]).unwrap();
    assert_eq!(choice.overrides.allows("devices.all"), Some(&Source::CommandLine));
    assert_eq!(choice.overrides.allows("seccomp.io_uring"), Some(&Source::CommandLine));
    let node = policy("\nforbid = [\n  \"devices.*\",\n]\npermit = [\"*\"]");
    let wanted = "--allow devices.all: devices.all is forbidden by policy.toml:3";
    assert_eq!(refused(&node, &[], &["devices.all"]), wanted);
    let asked = [("org.casemate.allow/devices.all", "true")];
    assert!(refused(&node, &asked, &[]).ends_with("devices.all is forbidden by policy.toml:3"));
}

#[test]
fn unknown_names_and_values_are_errors_that_name_them() {
    let cases = [
        ("org.casemate.allow/rootfs.writeable", "true", "override \"rootfs.writeable\" is unknown"),
        (
            "org.casemate.allow/capabilities.nonsense",
            "true",
            "\"capabilities.nonsense\" is unknown",
        ),
        ("org.casemate.allow/seccomp.nonsense", "true", "\"seccomp.nonsense\" is unknown"),
        ("org.casemate.allow/rootfs.writable", "false", "must be \"true\", is \"false\""),
        ("org.casemate.allow/rootfs.writable", "", "must be \"true\", is \"\""),
        ("org.casemate.allow/namespaces.mount", "true", "has no override"),
        ("org.casemate.deny/nonsense", "true", "override \"nonsense\" is unknown"),
        ("org.casemate.profil", "restricted", "is unknown (hint: "),
        ("org.casemate.", "true", "is unknown (hint: "),
        ("org.casemate.profile", "strict", "profile \"strict\" is unknown"),
    ];
    for (key, value, wanted) in cases {
        let message = refused(&built_in(), &[(key, value)], &[]);
        assert!(message.starts_with(&format!("annotations {key}: ")), "{message}");
        assert!(message.contains(wanted), "{message}");
    }
    assert!(refused(&built_in(), &[], &["nonsense"]).starts_with("--allow nonsense: override"));
    assert!(refused(&built_in(), &[], &[""]).starts_with("--allow : override \"\" is unknown"));
    // Annotations that only look like ours are not.
    chosen(&built_in(), &[("org.casemates.allow/x", "true"), ("casemate.org/x", "y")], &[])
        .unwrap();
}

#[test]
fn a_control_can_be_named_by_its_id() {
    let by_id = chosen(&built_in(), &[("org.casemate.allow/root.readonly", "true")], &[]).unwrap();
    assert!(by_id.overrides.allows("rootfs.writable").is_some());
    let by_id = chosen(&built_in(), &[], &["capabilities.ceiling"]).unwrap();
    assert!(by_id.overrides.allows("capabilities.all").is_some());
}

#[test]
fn every_name_of_the_table_can_be_asked_for() {
    for control in CONTROLS {
        for name in control.allow.iter().filter(|name| !name.contains('*')) {
            chosen(&built_in(), &[], &[name]).unwrap();
        }
    }
    for name in ["capabilities.net_raw", "capabilities.NET_RAW", "capabilities.cap_net_raw"] {
        let choice = chosen(&built_in(), &[], &[name]).unwrap();
        assert!(choice.overrides.allows("capabilities.net_raw").is_some());
    }
}

#[test]
fn a_stricter_profile_is_free_and_a_looser_one_is_not() {
    let ask = |node: &NodePolicy, name: &str| chosen(node, &[("org.casemate.profile", name)], &[]);
    let profile = |result: Result<Choice, String>| result.unwrap().profile.name;
    assert_eq!(profile(ask(&built_in(), "restricted")), ProfileName::Restricted);
    assert_eq!(profile(ask(&built_in(), "hardened")), ProfileName::Hardened);
    let message = ask(&built_in(), "baseline").unwrap_err();
    assert!(message.contains("does not permit profile.baseline"), "{message}");
    let node = policy("permit = [\"profile.baseline\"]");
    assert_eq!(profile(ask(&node, "baseline")), ProfileName::Baseline);
    assert!(ask(&node, "privileged").is_err());
}

#[test]
fn the_command_line_chooses_the_profile_unless_a_looser_one_is_forbidden() {
    let spec = spec_with(&[]);
    let ask = |node: &NodePolicy, name: &str| {
        let line = CommandLine { profile: Some(name), allow: &[] };
        choose(node, &Subject::new(&spec, 0), &line).map_err(|error| error.to_string())
    };
    let node = policy("profile = \"baseline\"\nforbid = [\"profile.privileged\"]");
    assert_eq!(ask(&node, "hardened").unwrap().profile.name, ProfileName::Hardened);
    let wanted = "--profile: profile.privileged is forbidden by policy.toml:2";
    assert_eq!(ask(&node, "privileged").unwrap_err(), wanted);
    assert_eq!(chosen(&node, &[], &[]).unwrap().profile.name, ProfileName::Baseline);
}

#[test]
fn what_is_denied_is_not_granted_by_anybody() {
    let node = policy("allow = [\"rootfs.writable\", \"capabilities.net_raw\"]");
    let asked = [
        WRITABLE,
        ("org.casemate.deny/rootfs.writable", "true"),
        ("org.casemate.deny/capabilities.chown", "true"),
    ];
    let choice = chosen(&node, &asked, &["rootfs.writable"]).unwrap();
    assert_eq!(choice.overrides.allows("rootfs.writable"), None);
    let wanted = Source::Policy("policy.toml:1".to_owned());
    assert_eq!(choice.overrides.allows("capabilities.net_raw"), Some(&wanted));
    let result = harden_as(spec_with(&asked), &choice, &HostFacts::default()).unwrap();
    assert!(result.spec.root.readonly);
    for (_, set) in result.spec.process.as_ref().unwrap().capabilities.as_ref().unwrap().sets() {
        assert_eq!(set.mask & 1, 0);
    }
}

#[test]
fn a_denied_control_is_enforced_where_the_profile_leaves_it_off() {
    for profile in ["privileged", "baseline"] {
        let spec = spec_with(&[("org.casemate.deny/root.readonly", "true")]);
        let line = CommandLine { profile: Some(profile), allow: &[] };
        let choice = choose(&built_in(), &Subject::new(&spec, 0), &line).unwrap();
        assert_eq!(choice.mode(ControlId::ReadonlyRoot), Mode::Enforce);
        assert!(harden_as(spec, &choice, &HostFacts::default()).unwrap().spec.root.readonly);
    }
}

#[test]
fn rules_match_the_callers_uid_and_the_cgroup() {
    let mut document = plain();
    put(&mut document, "/linux/cgroupsPath", json!("/kubepods/burstable/x"));
    let spec = parse(&document).unwrap();
    let matches = |scope: &str| {
        let node = policy(&format!("[[rule]]\nprofile = \"baseline\"\n[rule.match]\n{scope}\n"));
        let choice = choose(&node, &Subject::new(&spec, 1000), &CommandLine::default()).unwrap();
        choice.profile.name == ProfileName::Baseline
    };
    assert!(matches("uid = [0, 1000]"));
    assert!(!matches("uid = [0]"));
    assert!(matches("cgroup-parent = [\"/kubepods\"]"));
    assert!(matches("cgroup-parent = [\"/kubepods/\"]"));
    assert!(!matches("cgroup-parent = [\"/kube\"]"));
}

#[test]
fn what_a_rule_permits_forbids_and_sets_is_for_its_containers_only() {
    let node = policy(
        r#"
permit = ["rootfs.writable"]
[controls]
"process.no-new-privileges" = "warn"
[[rule]]
match.uid = [1000]
permit = ["devices.all"]
forbid = ["rootfs.writable"]
allow = ["capabilities.net_raw"]
controls = { "pids.limit" = "off" }
values = { "pids.limit" = 99 }
"#,
    );
    let by = |uid: u32, annotations: &[(&str, &str)]| {
        let spec = spec_with(annotations);
        let line = CommandLine::default();
        choose(&node, &Subject::new(&spec, uid), &line).map_err(|error| error.to_string())
    };
    let devices = ("org.casemate.allow/devices.all", "true");
    let choice = by(1000, &[devices]).unwrap();
    assert!(choice.overrides.allows("capabilities.net_raw").is_some());
    assert_eq!(choice.mode(ControlId::PidsLimit), Mode::Off);
    assert_eq!(choice.mode(ControlId::NoNewPrivileges), Mode::Warn);
    assert_eq!(choice.overrides.values.pids_limit.unwrap().get(), 99);
    assert!(by(1000, &[WRITABLE]).unwrap_err().contains("forbidden by policy.toml:8"));
    by(0, &[WRITABLE]).unwrap();
    by(0, &[devices]).unwrap_err();
    assert_eq!(by(0, &[]).unwrap().mode(ControlId::PidsLimit), Mode::Enforce);
}

#[test]
fn a_later_file_replaces_what_an_earlier_one_says_except_lists() {
    let mut node = policy("profile = \"baseline\"\nforbid = [\"devices.*\"]");
    node.add_more("policy.d/1.toml", "profile = \"restricted\"").unwrap();
    assert_eq!(node.profile(), ProfileName::Restricted);
    assert!(refused(&node, &[], &["devices.all"]).contains("policy.toml:2"));
    assert_eq!(node.files(), ["policy.toml", "policy.d/1.toml"]);
}

fn permitted(first: Option<&str>, more: &[&str]) -> Vec<String> {
    let mut node = NodePolicy::default();
    if let Some(text) = first {
        node.add("policy.toml", text).unwrap();
    }
    for text in more {
        node.add_more("policy.d/x.toml", text).unwrap();
    }
    node.permitted().into_iter().map(|(name, _)| name).collect()
}

#[test]
fn what_further_files_permit_adds_to_what_is_permitted() {
    let built_in = permitted(None, &[]);
    let with = |names: &[&str]| {
        let mut all = built_in.clone();
        all.extend(names.iter().map(|name| (*name).to_owned()));
        all.sort();
        all
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    let (gpu, host) = ("permit = [\"devices.gpu\"]", "permit = [\"namespaces.host-network\"]");
    for first in [None, Some(""), Some("permit = [\"@default\"]")] {
        let wanted = with(&["devices.gpu", "namespaces.host-network"]);
        assert_eq!(sorted(permitted(first, &[gpu, host])), wanted);
    }
    // The first file's list is the whole list; what is not in it, no further file brings back.
    let few = Some("permit = [\"rootfs.writable\"]");
    assert_eq!(permitted(few, &[]), ["rootfs.writable"]);
    assert_eq!(sorted(permitted(few, &[gpu])), ["devices.gpu", "rootfs.writable"]);
    assert_eq!(permitted(Some("permit = []"), &[gpu]), ["devices.gpu"]);
    // "None so far", wherever it stands.
    assert!(permitted(Some("permit = [\"*\"]"), &["permit = []"]).is_empty());
    assert_eq!(permitted(None, &[host, "permit = [\"@none\", \"devices.gpu\"]"]), ["devices.gpu"]);
    assert!(permitted(None, &["permit = []"]).is_empty());
}

#[test]
fn a_policy_with_a_mistake_is_refused_with_file_and_line() {
    let cases = [
        ("profil = \"hardened\"", "policy.toml:1: unknown field `profil`"),
        ("\nprofile = hardened", "policy.toml:2: "),
        ("profile = 1", "policy.toml:1: invalid type: integer `1`"),
        ("\nprofile = \"strict\"", "policy.toml:2: profile \"strict\" is unknown"),
        (
            "permit = [\n\"rootfs.writeable\"]",
            "policy.toml:2: override \"rootfs.writeable\" is unknown",
        ),
        ("forbid = [\"devises.*\"]", "policy.toml:1: pattern \"devises.*\" matches no override"),
        ("allow = [\"capabilities.*\"]", "policy.toml:1: override \"capabilities.*\" is unknown"),
        (
            "[controls]\n\"root.readonl\" = \"off\"",
            "policy.toml:2: control \"root.readonl\" is unknown",
        ),
        ("[controls]\n\"root.readonly\" = \"on\"", "policy.toml:2: unknown variant `on`"),
        ("[values]\n\"pids.limit\" = 0", "policy.toml:2: invalid value"),
        ("audit = 5", "policy.toml:1: invalid type: integer `5`, expected a table"),
        ("[[rule]]\nmatch = 5", "policy.toml:2: invalid type: integer `5`, expected a table"),
        ("[[rule]]\nprofile = \"baseline\"", "policy.toml:1: missing field `match`"),
        ("[[rule]]\n[rule.match]\n", "policy.toml:1: a rule needs something to match"),
        ("[[rule]]\n[rule.match]\nuser = 1", "policy.toml:3: unknown field `user`"),
        (
            "permit = []\n\n# more\npermit = [\"devices.gpu\"]",
            "policy.toml:4: permit stands here a second time, first at line 1 (hint: ",
        ),
        (
            "[values]\n\"pids.limit\" = 1\n\"memory.limit\" = 9\n'pids.limit' = 2",
            "policy.toml:4: pids.limit stands here a second time, first at line 2 (hint: ",
        ),
        (
            "[[rule]]\nmatch.uid = [0]\npermit = []\n[[rule]]\nmatch.uid = [1]\nforbid = []\nforbid = []",
            "policy.toml:7: forbid stands here a second time, first at line 6 (hint: ",
        ),
        (
            "[controls]\n[values]\n[controls] # again",
            "policy.toml:3: [controls] stands here a second time, first at line 1 (hint: ",
        ),
    ];
    for (text, wanted) in cases {
        let error = NodePolicy::default().add("policy.toml", text).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn overrides_and_switched_controls_are_in_the_record() {
    let asked = [WRITABLE, ("org.casemate.deny/capabilities.chown", "true")];
    let choice = chosen(&built_in(), &asked, &["+ptrace"]).unwrap();
    let result = harden_as(spec_with(&asked), &choice, &HostFacts::default()).unwrap();
    let bytes = serde_json::to_vec(&result.spec).unwrap();
    let restored = casemate_policy::HardenedSpec::restore(&bytes).unwrap();
    assert_eq!(restored.overrides(), &choice.overrides);
    assert!(restored.extras().seccomp_features.contains("ptrace"));
}

#[test]
fn a_step_of_a_build_may_write_its_root_as_far_as_an_annotation_could_ask_for_it() {
    let line = CommandLine::default();
    let granted = |node: &NodePolicy, subject: &Subject<'_>| {
        let choice = choose(node, subject, &line).unwrap();
        choice.overrides.granted.contains_key("rootfs.writable")
    };
    let plain = spec_with(&[]);
    let subject = Subject { hostname: None, ..Subject::new(&plain, 0) };
    let called = |id| subject.from(Origin { id, bundle: "" });
    let buildah = called("buildah-buildah1202944682");
    let buildkit = Subject { hostname: Some("buildkitsandbox"), ..subject };
    assert!(!granted(&built_in(), &called("web")));
    for step in [buildah, buildkit] {
        assert!(granted(&built_in(), &step), "{step:?}");
        assert!(!granted(&policy("permit = []"), &step), "{step:?}");
        assert!(!granted(&policy("forbid = [\"rootfs.writable\"]"), &step), "{step:?}");
        assert!(!granted(&policy("profile = \"privileged\""), &step), "{step:?}");
    }
    // A pod may call its host as it likes; its configuration has annotations.
    let pod = spec_with(&[("io.kubernetes.cri.container-type", "container")]);
    let pod = Subject { hostname: Some("buildkitsandbox"), ..Subject::new(&pod, 0) };
    assert!(!granted(&built_in(), &pod));
}

#[test]
fn the_shipped_policy_says_what_applies_without_it() {
    let shipped = policy(include_str!("../../../profiles/policy.toml"));
    let names = |policy: &NodePolicy| -> Vec<String> {
        policy.permitted().into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(names(&shipped), names(&built_in()));
    assert_eq!(shipped.profile(), built_in().profile());
    assert_eq!(shipped.rules().count(), 0);
    for control in CONTROLS {
        assert_eq!(shipped.mode(control.id), built_in().mode(control.id));
    }
}

#[test]
fn the_examples_in_the_shipped_policy_can_be_used() {
    let text = include_str!("../../../profiles/policy.toml");
    let line = |line: &str| {
        let example = line.strip_prefix('#').filter(|rest| !rest.starts_with(' '));
        example.unwrap_or(line).to_owned()
    };
    let open: Vec<String> = text.lines().map(line).collect();
    let policy = policy(&open.join("\n"));
    assert_eq!(policy.rules().count(), 2);
    assert_eq!(policy.mode(ControlId::ReadonlyRoot), Mode::Warn);
}
