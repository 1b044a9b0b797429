//! Namespaces, and the ids of a user namespace.

use super::*;

#[test]
fn namespaces_must_be_consistent() {
    assert_refused(&[
        (
            "/linux/namespaces/-",
            json!({"type": "pid"}),
            "linux.namespaces[6].type: a second pid namespace",
        ),
        (
            "/linux/namespaces/-",
            json!({"type": "user", "path": "ns"}),
            "linux.namespaces[6].path: is not an absolute path",
        ),
        (
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 0, "size": 1}]),
            "linux.uidMappings: mappings need a user namespace, and there is none",
        ),
        (
            "/linux/timeOffsets",
            json!({"monotonic": {"secs": 1}}),
            "linux.timeOffsets: need a time namespace",
        ),
        ("/hostname", json!("x".repeat(65)), "hostname: 65 bytes, the kernel takes 64"),
        (
            "/linux/maskedPaths/-",
            json!("proc/x"),
            "linux.maskedPaths[2]: \"proc/x\" is not an absolute path",
        ),
    ]);
    assert_accepted(&[
        ("/linux/namespaces/-", json!({"type": "user", "path": "/proc/1/ns/user"})),
        ("/linux/namespaces/-", json!({"type": "user"})),
    ]);
}

#[test]
fn a_user_namespace_with_users_and_no_groups_is_refused() {
    let mut document = plain();
    put(&mut document, "/linux/namespaces/-", json!({"type": "user"}));
    let line = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    put(&mut document, "/linux/uidMappings", line);
    let error = parse(&document).unwrap_err();
    assert_eq!(error, "linux.gidMappings: missing: a new user namespace needs mappings");
}

#[test]
fn what_needs_a_namespace_is_refused_without_it() {
    let without = |kind: &str| {
        let mut document = plain();
        let list = document["linux"]["namespaces"].as_array_mut().unwrap();
        list.retain(|namespace| namespace["type"] != kind);
        document
    };
    let error = parse(&without("uts")).unwrap_err();
    assert_eq!(error, "hostname: unable to set hostname without a private UTS namespace");
    let error = parse(&without("mount")).unwrap_err();
    assert_eq!(
        error,
        "linux.maskedPaths: unable to restrict paths without a private mount namespace"
    );
    let mut document = without("network");
    put(&mut document, "/linux/netDevices", json!({"eth0": {}}));
    let error = parse(&document).unwrap_err();
    assert_eq!(error, "linux.netDevices: need a network namespace to move into");
    let mut document = without("network");
    put(&mut document, "/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}));
    let error = parse(&document).unwrap_err();
    assert_eq!(error, "linux.sysctl[\"net.ipv4.ip_forward\"]: needs a private network namespace");
}

#[test]
fn time_offsets_of_a_joined_namespace_are_refused() {
    let mut document = full();
    put(&mut document, "/linux/namespaces/7/path", json!("/proc/1/ns/time"));
    let error = parse(&document).unwrap_err();
    assert_eq!(
        error,
        "linux.timeOffsets: cannot be set in a time namespace that is joined by path"
    );
    let mut document = full();
    put(&mut document, "/linux/timeOffsets/boottime/nanosecs", json!(1_000_000_000));
    let error = parse(&document).unwrap_err();
    assert_eq!(error, "linux.timeOffsets: nanosecs must be below 1000000000");
}

#[test]
fn mappings_that_the_kernel_would_refuse_are_named() {
    let cases = [
        (
            json!([{"containerID": 0, "hostID": 0, "size": 0}]),
            "linux.uidMappings[0]: size must not be 0",
        ),
        (
            json!([{"containerID": 0, "hostID": 4_294_967_000_u32, "size": 1000}]),
            "linux.uidMappings[0]: the range goes beyond 4294967294",
        ),
        (
            json!([{"containerID": 0, "hostID": 0, "size": 10}, {"containerID": 9, "hostID": 50, "size": 10}]),
            "linux.uidMappings[1]: container ids overlap those of an earlier mapping",
        ),
        (
            json!([{"containerID": 0, "hostID": 0, "size": 10}, {"containerID": 10, "hostID": 9, "size": 10}]),
            "linux.uidMappings[1]: host ids overlap those of an earlier mapping",
        ),
    ];
    for (mappings, wanted) in cases {
        let mut document = full();
        put(&mut document, "/linux/uidMappings", mappings);
        assert_eq!(parse(&document).unwrap_err(), wanted);
    }
}

#[test]
fn cve_2021_43784_thousands_of_mappings_are_refused_and_not_cut_short() {
    let many: Vec<Value> =
        (0..20_000).map(|i| json!({"containerID": i, "hostID": 100_000 + i, "size": 1})).collect();
    let mut document = full();
    put(&mut document, "/linux/uidMappings", json!(many));
    let error = parse(&document).unwrap_err();
    assert_eq!(error, "linux.uidMappings: 20000 lines, the kernel takes 340");
}
