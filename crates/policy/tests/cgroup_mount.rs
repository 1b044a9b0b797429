//! Control `cgroup.readonly`: who may write to the cgroup that a container begins with.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::{harden_as, Choice, HostFacts, ProfileName, Source};
use common::{facts, parse, plain};
use serde_json::json;

/// Whether a cgroup file system that was asked for as `rw` stays so.
fn stays_writable(profile: ProfileName, allow: &[&str], host: HostFacts) -> bool {
    let mut choice = Choice::from(profile.profile());
    for name in allow {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    let mut document = plain();
    let mounts = document["mounts"].as_array_mut().unwrap();
    mounts.retain(|mount| mount["type"] != "cgroup");
    mounts.push(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}));
    let namespaces = document["linux"]["namespaces"].as_array_mut().unwrap();
    namespaces.retain(|namespace| namespace["type"] != "cgroup");
    namespaces.push(json!({"type": "cgroup"}));
    let result = harden_as(parse(&document).unwrap(), &choice, &host).unwrap();
    let mount = result.spec.mounts.iter().find(|mount| mount.kind.as_deref() == Some("cgroup"));
    !mount.unwrap().options.iter().any(|option| option == "ro")
}

fn host(options: &str) -> HostFacts {
    let table = format!("30 20 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 {options}\n");
    HostFacts { can_make_user_namespace: true, mountinfo: table.into_bytes(), ..facts() }
}

#[test]
fn who_is_root_of_the_host_does_not_write_to_the_limits_of_its_own_cgroup() {
    use ProfileName::{Baseline, Hardened};
    // Namespaces are boundaries there.
    assert!(stays_writable(Baseline, &[], host("rw,nsdelegate,memory_recursiveprot")));
    assert!(!stays_writable(Baseline, &[], host("rw")));
    assert!(!stays_writable(Baseline, &[], HostFacts { mountinfo: Vec::new(), ..host("rw") }));
    assert!(stays_writable(Baseline, &["cgroup.writable"], host("rw")));
    // The files belong to root, and that is nobody in the container.
    assert!(stays_writable(Hardened, &[], host("rw")));
    assert!(!stays_writable(Hardened, &["userns.host"], host("rw")));
    // Only what the caller may do anyway.
    assert!(stays_writable(
        Baseline,
        &[],
        HostFacts { can_make_user_namespace: false, ..host("rw") }
    ));
}
