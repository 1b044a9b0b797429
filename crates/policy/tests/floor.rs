//! Where the controls and the floor differ: what the controls let through is above the floor, in every profile.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::floor::Caller;
use casemate_policy::spec::Spec;
use casemate_policy::{
    harden_as, Choice, HardenedSpec, HostFacts, PlanFacts, ProfileName, Source, SourceFact,
};
use common::{parse, plain, put};
use proptest::prelude::*;
use serde_json::{json, Value};
use std::collections::BTreeMap;

const HOST: &[u8] = b"\
20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
21 20 0:20 / /proc rw shared:2 - proc proc rw
22 20 0:21 / /sys rw shared:3 - sysfs sysfs rw
23 20 0:5 / /dev rw shared:4 - devtmpfs udev rw
26 20 0:24 / /run rw shared:7 - tmpfs tmpfs rw
27 22 0:25 / /sys/fs/cgroup rw shared:8 - cgroup2 cgroup2 rw
30 20 8:2 / /srv rw shared:11 - xfs /dev/sdb rw
";

static NO_SOURCES: BTreeMap<usize, SourceFact> = BTreeMap::new();

fn plan_facts() -> PlanFacts<'static> {
    PlanFacts {
        host: HOST,
        rootfs: "/srv/bundle/rootfs",
        bundle: "/srv/bundle",
        sources: &NO_SOURCES,
        host_namespaces: &[],
        caller: Caller { privileged: true, euid: 0 },
        own_places: &[],
    }
}

fn below(spec: &HardenedSpec) -> Vec<String> {
    let found = spec.below_floor(&plan_facts()).unwrap();
    found.iter().map(ToString::to_string).collect()
}

fn hardened(spec: Spec, choice: &Choice) -> Option<HardenedSpec> {
    let facts = HostFacts {
        in_initial_userns: true,
        can_make_user_namespace: true,
        cgroup_controllers: vec!["pids".to_owned(), "memory".to_owned()],
        ..HostFacts::default()
    };
    // What is refused is in no container.
    harden_as(spec, choice, &facts).ok().map(|done| done.spec)
}

fn mount() -> impl Strategy<Value = Value> {
    let place = proptest::sample::select(
        &["/data", "/tmp", "/tmp/x", "/run", "/var/tmp/", "/etc/hosts", "/opt/a b"][..],
    );
    let bind = (
        proptest::sample::select(&["/srv", "/srv/data", "/home/u", "./shared"][..]),
        proptest::sample::subsequence(
            &["ro", "rw", "nosuid", "suid", "dev", "exec", "rshared", "private"][..],
            0..4,
        ),
        any::<bool>(),
    )
        .prop_map(|(source, mut options, all)| {
            options.push(if all { "rbind" } else { "bind" });
            json!({"type": "bind", "source": source, "options": options})
        });
    let new = (
        proptest::sample::select(&["tmpfs"][..]),
        proptest::sample::subsequence(&["ro", "nosuid", "dev", "mode=1777", "size=1m"][..], 0..4),
    )
        .prop_map(|(kind, options)| json!({"type": kind, "source": kind, "options": options}));
    (place, prop_oneof![bind, new]).prop_map(|(place, mut mount)| {
        mount["destination"] = json!(place);
        mount
    })
}

prop_compose! {
    fn configuration()(
        sets in proptest::collection::vec(
            proptest::sample::subsequence(
                &["CAP_CHOWN", "CAP_KILL", "CAP_NET_RAW", "CAP_SYS_ADMIN", "CAP_SETPCAP", "CAP_BPF"][..],
                0..6,
            ),
            5,
        ),
        mounts in proptest::collection::vec(mount(), 0..5),
        flags in any::<[bool; 5]>(),
        core in proptest::option::of(0..10_u64),
        score in proptest::option::of(-1000..1000_i64),
        propagation in proptest::option::of(
            proptest::sample::select(&["shared", "rshared", "rslave", "private"][..]),
        ),
        user in (0..3_u32, 0..3_u32),
        low in any::<bool>(),
        missing in proptest::option::weighted(
            0.3,
            proptest::sample::select(&["cgroup", "network", "pid", "ipc", "uts"][..]),
        ),
    ) -> Spec {
        let [nnp, readonly, masks, users, all_devices] = flags;
        let mut document = plain();
        drop(document.as_object_mut().unwrap().remove("hostname"));
        let names = ["bounding", "effective", "inheritable", "permitted", "ambient"];
        for (name, set) in names.iter().zip(sets) {
            put(&mut document, &format!("/process/capabilities/{name}"), json!(set));
        }
        put(&mut document, "/process/noNewPrivileges", json!(nnp));
        put(&mut document, "/process/oomScoreAdj", json!(score));
        put(&mut document, "/process/user", json!({"uid": user.0, "gid": user.1}));
        put(&mut document, "/root/readonly", json!(readonly));
        put(&mut document, "/linux/rootfsPropagation", json!(propagation));
        put(&mut document, "/linux/resources/memory", json!({"limit": 1 << 26}));
        if !masks {
            put(&mut document, "/linux/maskedPaths", json!([]));
            put(&mut document, "/linux/readonlyPaths", json!([]));
        }
        if all_devices {
            put(&mut document, "/linux/resources/devices", json!([{"allow": true, "access": "rwm"}]));
        }
        for mount in mounts {
            put(&mut document, "/mounts/-", mount);
        }
        if let Some(limit) = core {
            let limit = json!({"type": "RLIMIT_CORE", "hard": limit * 4096, "soft": 0});
            put(&mut document, "/process/rlimits/-", limit);
        }
        if users {
            let host = if low { 65536 } else { 1_000_000 };
            let map = json!([{"containerID": 0, "hostID": host, "size": 65536}]);
            put(&mut document, "/linux/uidMappings", map.clone());
            put(&mut document, "/linux/gidMappings", map);
            put(&mut document, "/linux/namespaces/-", json!({"type": "user"}));
        }
        if let Some(kind) = missing {
            let list = document["linux"]["namespaces"].as_array_mut().unwrap();
            list.retain(|namespace| namespace["type"] != kind);
        }
        parse(&document).unwrap()
    }
}

/// Overrides that change what these configurations ask for.
const OVERRIDES: [&str; 14] = [
    "rootfs.writable",
    "process.new-privileges",
    "capabilities.all",
    "capabilities.net_raw",
    "seccomp.unconfined",
    "rlimits.core",
    "mounts.shared",
    "mounts.suid",
    "mounts.dev",
    "paths.unmasked",
    "paths.writable",
    "devices.all",
    "namespaces.host-network",
    "userns.host",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_the_controls_let_through_is_above_the_floor(
        spec in configuration(),
        profile in proptest::sample::select(&ProfileName::ALL[..]),
        overrides in proptest::collection::vec(0..OVERRIDES.len(), 0..3),
    ) {
        let mut choice = Choice::from(profile.profile());
        for index in overrides {
            choice.overrides.grant(OVERRIDES[index], &Source::CommandLine).unwrap();
        }
        if let Some(spec) = hardened(spec, &choice) {
            prop_assert_eq!(below(&spec), Vec::<String>::new(), "{}", profile);
        }
    }
}

/// The controls have a hole of this name as long as a configuration gets to the floor.
fn caught(change: impl FnOnce(&mut Value)) -> Vec<String> {
    let mut document = plain();
    change(&mut document);
    let choice = Choice::from(ProfileName::Hardened.profile());
    match hardened(parse(&document).unwrap(), &choice) {
        Some(spec) => below(&spec),
        None => vec!["refused by a control".to_owned()],
    }
}

#[test]
fn what_a_control_lets_through_by_mistake_is_caught_on_the_plan() {
    let mounts = [
        json!({"destination": "/mnt", "type": "proc", "source": "proc"}),
        json!({"destination": "/mnt", "type": "sysfs", "source": "sysfs"}),
        json!({"destination": "/mnt", "type": "binfmt_misc", "source": "none"}),
        json!({"destination": "/mnt", "type": "ext4", "source": "/dev/sda1"}),
        json!({"destination": "/h", "type": "overlay", "source": "overlay",
               "options": ["lowerdir=/srv/low", "upperdir=/etc", "workdir=/wk"]}),
        json!({"destination": "/h", "type": "bind", "source": "/etc/shadow", "options": ["bind", "ro"]}),
        json!({"destination": "/h", "type": "bind", "source": "/", "options": ["rbind", "ro"]}),
    ];
    for mount in mounts {
        let found = caught(|document| put(document, "/mounts/-", mount.clone()));
        assert!(!found.is_empty(), "{mount}");
    }
    let found = caught(|document| {
        let map = json!([{"containerID": 0, "hostID": 0, "size": 65536}]);
        put(document, "/linux/uidMappings", map.clone());
        put(document, "/linux/gidMappings", map);
        put(document, "/linux/namespaces/-", json!({"type": "user"}));
    });
    assert!(!found.is_empty());
    assert_eq!(caught(|_| {}), Vec::<String>::new());
}

/// The top of a file system is `/` in the plan as it is in mountinfo: by that the floor knows the one that was granted.
#[test]
fn a_second_sysfs_that_was_granted_is_the_same_one_where_it_is_made_read_only() {
    let mut document = plain();
    let options = json!(["ro", "nosuid", "nodev", "noexec"]);
    let mount = json!({"destination": "/sys/firmware", "type": "sysfs", "source": "sysfs", "options": options});
    put(&mut document, "/mounts/-", mount);
    put(&mut document, "/linux/maskedPaths", json!([]));
    put(&mut document, "/linux/readonlyPaths", json!(["/sys/firmware"]));
    let mut choice = Choice::from(ProfileName::Hardened.profile());
    choice.overrides.grant("mounts.second-sysfs", &Source::CommandLine).unwrap();
    let spec = hardened(parse(&document).unwrap(), &choice).unwrap();
    assert_eq!(below(&spec), Vec::<String>::new());
}
