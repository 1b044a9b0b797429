//! Limits, and where memory comes from.

use super::*;

#[test]
fn resources_are_checked() {
    assert_refused(&[
        (
            "/linux/resources/devices/-",
            json!({"allow": true, "access": "x"}),
            "linux.resources.devices[1].access: \"x\" is not made of r, w and m",
        ),
        (
            "/linux/resources/devices/-",
            json!({"allow": true, "access": "r", "major": -2}),
            "linux.resources.devices[1].major: must be -1 (any) or a device number",
        ),
        (
            "/linux/resources/memory",
            json!({"swap": -2}),
            "linux.resources.memory.swap: must be -1 (unlimited) or more",
        ),
        (
            "/linux/resources/memory",
            json!({"swappiness": 101}),
            "linux.resources.memory.swappiness: 101 is not between 0 and 100",
        ),
        (
            "/linux/resources/cpu",
            json!({"mems": "x"}),
            "linux.resources.cpu.mems: \"x\" is not a list like \"0-3,7\"",
        ),
        ("/linux/resources/cpu", json!({"idle": 2}), "linux.resources.cpu.idle: must be 0 or 1"),
        (
            "/linux/resources/pids",
            json!({"limit": -2}),
            "linux.resources.pids.limit: must be -1 (unlimited) or more",
        ),
        (
            "/linux/resources/blockIO",
            json!({"weight": 5}),
            "linux.resources.blockIO.weight: 5 is not between 10 and 1000",
        ),
        (
            "/linux/resources/hugepageLimits",
            json!([{"pageSize": "2 MB", "limit": 1}]),
            "linux.resources.hugepageLimits[0].pageSize: \"2 MB\" is not a page size like \"2MB\"",
        ),
        (
            "/linux/resources/unified",
            json!({"../memory.max": "1"}),
            "linux.resources.unified: \"../memory.max\" is not a plain name",
        ),
        (
            "/linux/resources/rdma",
            json!({"a b": {}}),
            "linux.resources.rdma: \"a b\" is not a plain name",
        ),
    ]);
}

#[test]
fn memory_policies_must_fit_their_mode() {
    let policy = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let at = "/linux/memoryPolicy";
    assert_refused(&[
        (at, policy(r#"{"mode": "MPOL_BIND"}"#), "linux.memoryPolicy.nodes: missing: the mode needs a node list"),
        (at, policy(r#"{"mode": "MPOL_LOCAL", "nodes": "0"}"#), "linux.memoryPolicy.nodes: must be empty for this mode"),
        (at, policy(r#"{"mode": "MPOL_BIND", "nodes": "a"}"#), "linux.memoryPolicy.nodes: \"a\" is not a list like \"0-3,7\""),
        (
            at,
            policy(r#"{"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]}"#),
            "linux.memoryPolicy.flags: MPOL_F_STATIC_NODES and MPOL_F_RELATIVE_NODES exclude each other",
        ),
        (
            at,
            policy(r#"{"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}"#),
            "linux.memoryPolicy.flags: MPOL_F_NUMA_BALANCING needs MPOL_BIND",
        ),
    ]);
    assert_accepted(&[
        (at, policy(r#"{"mode": "MPOL_DEFAULT"}"#)),
        (at, policy(r#"{"mode": "MPOL_PREFERRED"}"#)),
    ]);
}
