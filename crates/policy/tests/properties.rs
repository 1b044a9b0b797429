//! What holds for every configuration: hardening twice is hardening once, nothing is loosened, and every
//! difference is explained by a decision.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::{Resources, Spec};
use casemate_policy::{
    choose, harden_as, Allow, Choice, CommandLine, ControlId, Decision, Extras, Hardened,
    HardenedSpec, HostFacts, NodePolicy, ProfileName, Source, Subject, Verdict, CONTROLS,
};
use common::{parse, plain, put};
use proptest::prelude::*;
use serde_json::{json, Value};

const CAPABILITIES: [&str; 8] = [
    "CAP_CHOWN",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETPCAP",
    "CAP_SYS_ADMIN",
    "CAP_BPF",
    "CAP_FUTURE",
];
const PATHS: [&str; 8] = [
    "/proc/kcore",
    "/proc/sys",
    "/proc/irq/",
    "/sys/module",
    "/own",
    "/sys/firmware",
    "/proc/acpi",
    "/proc//keys",
];
const DESTINATIONS: [&str; 7] =
    ["/tmp", "/tmp/x", "/run", "/var", "/var/tmp/", "/data", "/proc/slabinfo"];
const PROPAGATION: [&str; 4] = ["shared", "rshared", "rslave", "private"];

fn some_of(words: &'static [&'static str]) -> impl Strategy<Value = Value> {
    proptest::sample::subsequence(words, 0..=words.len()).prop_map(|list| json!(list))
}

fn device_rule() -> impl Strategy<Value = Value> {
    let number =
        prop_oneof![Just(Value::Null), Just(json!(-1)), (0..300_i64).prop_map(|n| json!(n))];
    let kind = prop_oneof![Just(Value::Null), Just(json!("a")), Just(json!("b")), Just(json!("c"))];
    let access = prop_oneof![Just("r"), Just("rw"), Just("rwm"), Just("m")];
    (any::<bool>(), kind, number.clone(), number, access).prop_map(
        |(allow, kind, major, minor, access)| {
            json!({"allow": allow, "type": kind, "major": major, "minor": minor, "access": access})
        },
    )
}

fn mount() -> impl Strategy<Value = Value> {
    (proptest::sample::select(&DESTINATIONS[..]), proptest::sample::select(&PROPAGATION[..])).prop_map(
        |(destination, propagation)| {
            json!({"destination": destination, "source": "/srv", "options": ["rbind", propagation]})
        },
    )
}

prop_compose! {
    fn configuration()(
        sets in proptest::collection::vec(some_of(&CAPABILITIES), 5),
        masked in some_of(&PATHS),
        readonly in some_of(&PATHS),
        mounts in proptest::collection::vec(mount(), 0..4),
        rules in proptest::collection::vec(device_rule(), 0..5),
        flags in any::<[bool; 4]>(),
        core in proptest::option::of((0..10_u64, 0..10_u64)),
        pids in proptest::option::of(-1..5000_i64),
        propagation in proptest::option::of(proptest::sample::select(&PROPAGATION[..])),
        shared in proptest::option::weighted(0.2, proptest::sample::select(&["cgroup", "network"][..])),
        ordinary in proptest::option::weighted(0.6, (0..3_u32, 0..99_i64)),
    ) -> Spec {
        let [no_new_privileges, readonly_root, has_process, has_capabilities] = flags;
        let mut document = plain();
        let names = ["bounding", "effective", "inheritable", "permitted", "ambient"];
        for (name, set) in names.iter().zip(sets) {
            put(&mut document, &format!("/process/capabilities/{name}"), set);
        }
        put(&mut document, "/process/noNewPrivileges", json!(no_new_privileges));
        put(&mut document, "/root/readonly", json!(readonly_root));
        put(&mut document, "/linux/maskedPaths", masked);
        put(&mut document, "/linux/readonlyPaths", readonly);
        put(&mut document, "/linux/resources/devices", json!(rules));
        put(&mut document, "/linux/rootfsPropagation", json!(propagation));
        for mount in mounts {
            put(&mut document, "/mounts/-", mount);
        }
        if let Some((a, b)) = core {
            let limit = json!({"type": "RLIMIT_CORE", "hard": a.max(b), "soft": a.min(b)});
            put(&mut document, "/process/rlimits/-", limit);
        }
        if let Some(limit) = pids {
            put(&mut document, "/linux/resources/pids", json!({"limit": limit}));
        }
        if let Some(kind) = shared {
            let list = document["linux"]["namespaces"].as_array_mut().unwrap();
            list.retain(|namespace| namespace["type"] != kind);
        }
        if let Some((id, limit)) = ordinary {
            put(&mut document, "/process/user", json!({"uid": id, "gid": 100}));
            put(&mut document, "/linux/resources/memory", json!({"limit": limit}));
        }
        if !has_capabilities {
            put(&mut document, "/process/capabilities", Value::Null);
        }
        if !has_process {
            put(&mut document, "/process", Value::Null);
        }
        parse(&document).unwrap()
    }
}

prop_compose! {
    fn host()(pids in any::<bool>()) -> HostFacts {
        let controllers = if pids { vec!["pids".to_owned()] } else { vec![] };
        HostFacts { cgroup_controllers: controllers, ..HostFacts::default() }
    }
}

/// Overrides that change what these configurations ask for, and what else follows from them.
const OVERRIDES: [(&str, &[ControlId]); 14] = [
    ("rootfs.writable", &[ControlId::ReadonlyRoot, ControlId::RootTmpfs]),
    ("root.no-tmpfs", &[ControlId::RootTmpfs]),
    ("process.new-privileges", &[ControlId::NoNewPrivileges]),
    ("capabilities.all", &[ControlId::Capabilities]),
    ("capabilities.net_raw", &[ControlId::Capabilities]),
    ("seccomp.unconfined", &[ControlId::DefaultSeccomp]),
    ("seccomp.ptrace", &[ControlId::DefaultSeccomp]),
    ("rlimits.core", &[ControlId::CoreLimit]),
    ("mounts.shared", &[ControlId::SharedPropagation]),
    ("paths.unmasked", &[ControlId::MaskedPaths, ControlId::ReadonlyPaths]),
    ("paths.writable", &[ControlId::ReadonlyPaths]),
    ("pids.unlimited", &[ControlId::PidsLimit]),
    ("devices.all", &[ControlId::DeviceCgroup, ControlId::DeviceNodes]),
    ("namespaces.host-cgroup", &[ControlId::HostCgroup]),
];

fn choice(profile: ProfileName, overrides: &[usize]) -> Choice {
    let mut choice = Choice::from(profile.profile());
    for index in overrides {
        choice.overrides.grant(OVERRIDES[*index].0, &Source::CommandLine).unwrap();
    }
    choice
}

fn chosen() -> impl Strategy<Value = Choice> {
    let profile = proptest::sample::select(&ProfileName::ALL[..]);
    (profile, proptest::collection::vec(0..OVERRIDES.len(), 0..3))
        .prop_map(|(profile, overrides)| choice(profile, &overrides))
}

/// What changed the configuration, or did something that it does not show.
fn is_change(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Tightened | Verdict::Added)
}

proptest! {
    #[test]
    fn hardening_twice_is_hardening_once(
        spec in configuration(), choice in chosen(), facts in host()
    ) {
        let Ok(once) = harden_as(spec, &choice, &facts) else { return Ok(()) };
        let twice = harden_as((*once.spec).clone(), &choice, &facts).unwrap();
        prop_assert_eq!(&*once.spec, &*twice.spec);
        // The second time there is nothing left to be put in front.
        let settled = Extras { added_mounts: 0, ..once.spec.extras().clone() };
        prop_assert_eq!(&settled, twice.spec.extras());
        let changes = |decision: &&Decision| is_change(decision) && !decision.after.is_null();
        prop_assert_eq!(twice.decisions.iter().filter(changes).count(), 0);
    }

    #[test]
    fn nothing_is_loosened(spec in configuration(), choice in chosen(), facts in host()) {
        let Ok(result) = harden_as(spec.clone(), &choice, &facts) else { return Ok(()) };
        assert_not_looser(&spec, &result.spec);
    }

    #[test]
    fn every_difference_has_a_decision(
        spec in configuration(), choice in chosen(), facts in host()
    ) {
        let before = serde_json::to_value(&spec).unwrap();
        let Ok(result) = harden_as(spec, &choice, &facts) else { return Ok(()) };
        let after = serde_json::to_value(&*result.spec).unwrap();
        let mut differences = Vec::new();
        diff(&before, &after, String::new(), &mut differences);
        for pointer in differences {
            let covered = result.decisions.iter().any(|decision| {
                is_change(decision) && covers(&decision.pointer, &pointer)
            });
            prop_assert!(covered, "{} is not explained by {:?}", pointer, result.decisions);
        }
        for decision in &result.decisions {
            prop_assert_ne!(decision.verdict, Verdict::Refused);
        }
    }

    #[test]
    fn an_override_changes_its_control_and_no_other(
        spec in configuration(),
        profile in proptest::sample::select(&ProfileName::ALL[..]),
        index in 0..OVERRIDES.len(),
        facts in host(),
    ) {
        let Ok(plain) = harden_as(spec.clone(), &choice(profile, &[]), &facts) else { return Ok(()) };
        let overridden = harden_as(spec, &choice(profile, &[index]), &facts).unwrap();
        let (name, own) = OVERRIDES[index];
        let others = |result: &Hardened| -> Vec<Decision> {
            let all = result.decisions.iter().filter(|d| !own.contains(&d.rule));
            all.filter(|d| d.rule != ControlId::Verbatim).cloned().collect()
        };
        prop_assert_eq!(others(&plain), others(&overridden), "{}", name);
        for decision in &overridden.decisions {
            let by_override = decision.source == Source::CommandLine;
            prop_assert!(!by_override || own.contains(&decision.rule));
            prop_assert!(!by_override || decision.verdict == Verdict::Waived);
        }
    }

    #[test]
    fn a_stricter_profile_is_never_looser(spec in configuration(), facts in host()) {
        let mut previous: Option<Hardened> = None;
        for name in ProfileName::ALL {
            let Ok(result) = harden_as(spec.clone(), &choice(name, &[]), &facts) else { break };
            if let Some(loose) = &previous {
                assert_not_looser_than_profile(&loose.spec, &result.spec);
            }
            previous = Some(result);
        }
    }

    #[test]
    fn names_that_are_not_in_the_table_are_errors(name in "[a-z._*+-]{0,24}") {
        let known = Allow::parse(&name).is_ok();
        let mut names: Vec<String> = CONTROLS.iter().map(|c| c.id.as_str().to_owned()).collect();
        names.extend(CONTROLS.iter().flat_map(|c| c.allow).map(|name| (*name).to_owned()));
        let made_of_parts = ["capabilities.", "seccomp.", "+"].iter().any(|part| name.starts_with(part));
        prop_assert!(!known || names.contains(&name) || made_of_parts, "{}", name);
        for key in [format!("org.casemate.allow/{name}"), format!("org.casemate.deny/{name}"), format!("org.casemate.{name}")] {
            let annotations = [(key, "true".to_owned())].into();
            let spec = Spec { annotations, ..parse(&plain()).unwrap() };
            let node = NodePolicy::default();
            let outcome = choose(&node, &Subject::new(&spec, 0), &CommandLine::default());
            prop_assert!(known || outcome.is_err() || names.contains(&name));
        }
    }

    #[test]
    fn any_bytes_are_refused_in_one_line(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Err(error) = Spec::parse(&bytes) {
            prop_assert!(error.to_string().chars().all(|c| !c.is_control()));
        }
    }
}

/// True when `decision` explains a difference at `pointer`: it is the same place, one above it, or the
/// list that something was added to.
fn covers(decision: &str, pointer: &str) -> bool {
    let decision = decision.strip_suffix("/-").unwrap_or(decision);
    let rest = pointer.strip_prefix(decision);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Pointers at which two documents differ; lists of different length differ as a whole, as do objects
/// that one side lacks in parts: there the missing member is the place.
fn diff(a: &Value, b: &Value, at: String, out: &mut Vec<String>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for key in x.keys().chain(y.keys().filter(|key| !x.contains_key(*key))) {
                let null = Value::Null;
                let (left, right) = (x.get(key).unwrap_or(&null), y.get(key).unwrap_or(&null));
                diff(left, right, format!("{at}/{key}"), out);
            }
        }
        // A limit that was added brings its parents with it.
        (Value::Null, Value::Object(y)) if at == "/linux/resources" => {
            for (key, value) in y {
                diff(&Value::Null, value, format!("{at}/{key}"), out);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (i, (left, right)) in x.iter().zip(y).enumerate() {
                diff(left, right, format!("{at}/{i}"), out);
            }
        }
        _ if a == b => {}
        _ => out.push(at),
    }
}

fn assert_not_looser(before: &Spec, after: &HardenedSpec) {
    assert!(after.root.readonly >= before.root.readonly);
    for namespace in &before.linux.namespaces {
        assert!(after.linux.namespaces.contains(namespace), "{namespace:?}");
    }
    assert_eq!(after.linux.seccomp, before.linux.seccomp);
    for path in &before.linux.masked_paths {
        assert!(after.linux.masked_paths.contains(path), "{path}");
    }
    for path in &before.linux.readonly_paths {
        assert!(after.linux.readonly_paths.contains(path), "{path}");
    }
    let pids = |resources: &Option<Resources>| {
        resources.as_ref().and_then(|resources| resources.pids).and_then(|pids| pids.limit)
    };
    if let Some(limit) = pids(&before.linux.resources) {
        // "Unlimited" may be replaced by a limit, a limit by nothing.
        let after = pids(&after.linux.resources);
        assert!(after == Some(limit) || limit <= 0 && after.is_some_and(|limit| limit > 0));
    }
    assert_devices_not_wider(before, after);
    let (Some(old), Some(new)) = (&before.process, &after.process) else { return };
    assert!(new.no_new_privileges >= old.no_new_privileges);
    for limit in &old.rlimits {
        let same = new.rlimits.iter().find(|candidate| candidate.kind == limit.kind).unwrap();
        assert!(same.soft <= limit.soft && same.hard <= limit.hard);
    }
    assert_eq!(old.capabilities.is_some(), new.capabilities.is_some());
    let sets = old.capabilities.iter().flat_map(|capabilities| capabilities.sets());
    for ((name, old), (_, new)) in
        sets.zip(new.capabilities.iter().flat_map(|capabilities| capabilities.sets()))
    {
        assert_eq!(new.mask & !old.mask, 0, "{name}");
        assert!(new.unknown.iter().all(|unknown| old.unknown.contains(unknown)), "{name}");
    }
}

/// What a program can do under the stricter of two profiles it can do under the looser one.
fn assert_not_looser_than_profile(loose: &HardenedSpec, strict: &HardenedSpec) {
    assert!(strict.root.readonly >= loose.root.readonly);
    assert!(strict.extras().default_seccomp >= loose.extras().default_seccomp);
    assert!(strict.extras().strict_devices >= loose.extras().strict_devices);
    for path in &loose.linux.masked_paths {
        assert!(strict.linux.masked_paths.contains(path), "{path}");
    }
    let (Some(a), Some(b)) = (&loose.process, &strict.process) else { return };
    assert!(b.no_new_privileges >= a.no_new_privileges);
    let sets = |capabilities: &Option<casemate_policy::spec::Capabilities>| {
        capabilities.as_ref().map(|c| c.sets().map(|(_, set)| set.mask)).unwrap_or_default()
    };
    for (a, b) in sets(&a.capabilities).iter().zip(sets(&b.capabilities)) {
        assert_eq!(b & !a, 0);
    }
}

/// The rules as the kernel sees them: the last that matches decides, nothing matches means denied.
fn assert_devices_not_wider(before: &Spec, after: &HardenedSpec) {
    let allowed =
        |resources: &Option<Resources>, kind: &str, major: i64, minor: i64, access: char| {
            let rules = resources
                .as_ref()
                .map(|resources| serde_json::to_value(&resources.devices).unwrap());
            let rules = rules.and_then(|rules| rules.as_array().cloned()).unwrap_or_default();
            rules.iter().rev().find_map(|rule| {
                let number = |key: &str, wanted: i64| {
                    rule[key].as_i64().is_none_or(|number| number == -1 || number == wanted)
                };
                let matches = rule["type"].as_str().is_none_or(|text| text == "a" || text == kind)
                    && number("major", major)
                    && number("minor", minor)
                    && rule["access"].as_str().unwrap().contains(access);
                matches.then(|| rule["allow"].as_bool().unwrap())
            })
        };
    for kind in ["b", "c"] {
        for (major, minor) in [(0, 0), (1, 3), (8, 0), (136, 5), (299, 299)] {
            for access in ['r', 'w', 'm'] {
                let old = allowed(&before.linux.resources, kind, major, minor, access);
                let new = allowed(&after.linux.resources, kind, major, minor, access);
                assert!(new != Some(true) || old == Some(true), "{kind} {major}:{minor} {access}");
            }
        }
    }
}
