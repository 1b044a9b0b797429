//! Configurations that are refused: each one line, with the JSON path.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use common::{changed, full, parse, plain, put, remove};
use serde_json::{json, Value};

fn assert_refused(cases: &[(&str, Value, &str)]) {
    for (pointer, value, wanted) in cases {
        match changed(pointer, value.clone()) {
            Err(error) => assert_eq!(&error, wanted, "{pointer} {value}"),
            Ok(_) => panic!("{pointer} {value}: accepted, wanted {wanted}"),
        }
    }
}

fn assert_accepted(cases: &[(&str, Value)]) {
    for (pointer, value) in cases {
        if let Err(error) = changed(pointer, value.clone()) {
            panic!("{pointer} {value}: {error}");
        }
    }
}

#[test]
fn the_version_must_be_1_x() {
    assert_refused(&[
        ("/ociVersion", json!(""), "ociVersion: missing"),
        ("/ociVersion", json!("2.0.0"), "ociVersion: \"2.0.0\" is not supported, only 1.x is"),
        ("/ociVersion", json!("0.9.0"), "ociVersion: \"0.9.0\" is not supported, only 1.x is"),
        ("/ociVersion", json!("1.0"), "ociVersion: \"1.0\" is not a semantic version"),
        ("/ociVersion", json!("latest"), "ociVersion: \"latest\" is not a semantic version"),
    ]);
    assert_accepted(&[
        ("/ociVersion", json!("1.0.0-rc5")),
        ("/ociVersion", json!("1.2.1+dev")),
        ("/ociVersion", json!("1.99.0")),
    ]);
}

#[test]
fn a_root_is_needed_and_a_process_is_not() {
    let mut document = plain();
    remove(&mut document, "/process");
    assert!(parse(&document).unwrap().process.is_none());
    remove(&mut document, "/root");
    let error = parse(&document).unwrap_err();
    assert_eq!(error, "root.path: missing: the container needs a root file system");
}

#[test]
fn a_process_must_be_runnable() {
    assert_refused(&[
        ("/process/args", json!([]), "process.args: args must not be empty"),
        ("/process/cwd", json!("tmp"), "process.cwd: cwd must be an absolute path, not \"tmp\""),
        ("/process/cwd", json!(""), "process.cwd: cwd must be an absolute path, not \"\""),
        ("/process/env/1", json!("SECRET"), "process.env[1]: environment variable has no '='"),
        ("/process/env/1", json!("=x"), "process.env[1]: environment variable has no name"),
        (
            "/process/env/1",
            json!("A\nB=x"),
            "process.env[1]: the name of an environment variable contains a line break",
        ),
        (
            "/process/consoleSize",
            json!({"height": 70000, "width": 1}),
            "process.consoleSize: 70000x1 does not fit a terminal",
        ),
        (
            "/process/oomScoreAdj",
            json!(1001),
            "process.oomScoreAdj: 1001 is not between -1000 and 1000",
        ),
        ("/process/user/umask", json!(512), "process.user.umask: 0o1000 is above 0777"),
        (
            "/process/apparmorProfile",
            json!("a\nb"),
            "process.apparmorProfile: contains a control character",
        ),
        (
            "/process/rlimits/-",
            json!({"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}),
            "process.rlimits[1].type: the same limit is set twice",
        ),
        (
            "/process/rlimits/0",
            json!({"type": "RLIMIT_NOFILE", "hard": 1, "soft": 2}),
            "process.rlimits[0]: soft limit 2 is above hard limit 1",
        ),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "process.ioPriority.priority: 8 is not between 0 and 7",
        ),
        (
            "/process/execCPUAffinity",
            json!({"initial": "a"}),
            "process.execCPUAffinity.initial: \"a\" is not a list like \"0-3,7\"",
        ),
        (
            "/process/execCPUAffinity",
            json!({"final": "3-1"}),
            "process.execCPUAffinity.final: \"3-1\" is not a list like \"0-3,7\"",
        ),
    ]);
    assert_accepted(&[("/process/env/1", json!("A=x\ny")), ("/process/env/1", json!("A="))]);
}

#[test]
fn a_scheduler_must_fit_its_policy() {
    let scheduler = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_refused(&[
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_ISO"}"#),
            "process.scheduler.policy: SCHED_ISO is not implemented by any kernel",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_OTHER", "nice": 20}"#),
            "process.scheduler.nice: must be between -20 and 19",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_OTHER", "priority": 1}"#),
            "process.scheduler.priority: only SCHED_FIFO and SCHED_RR have one, 1 to 99",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_FIFO"}"#),
            "process.scheduler.priority: SCHED_FIFO and SCHED_RR need 1 to 99",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_BATCH", "runtime": 1}"#),
            "process.scheduler.policy: runtime, deadline and period need SCHED_DEADLINE",
        ),
    ]);
    assert_accepted(&[
        ("/process/scheduler", scheduler(r#"{"policy": "SCHED_RR", "priority": 99}"#)),
        ("/process/scheduler", scheduler(r#"{"policy": "SCHED_BATCH", "nice": -20}"#)),
    ]);
}

#[test]
fn cve_2024_40635_an_id_that_wraps_is_refused_unless_mapped() {
    let tail = "is above 2147483647 and no mapping of the container has it";
    for id in [2_147_483_648_u32, 4_294_967_295] {
        for field in ["uid", "gid"] {
            let error = changed(&format!("/process/user/{field}"), json!(id)).unwrap_err();
            assert_eq!(error, format!("process.user.{field}: {id} {tail}"));
        }
        let error = changed("/process/user/additionalGids", json!([0, id])).unwrap_err();
        assert_eq!(error, format!("process.user.additionalGids[1]: {id} {tail}"));
    }
    let mut document = full();
    put(&mut document, "/process/user/uid", json!(2_147_483_648_u32));
    parse(&document).unwrap_err();
    let high = json!([{"containerID": 2_147_483_648_u32, "hostID": 100_000, "size": 10}]);
    put(&mut document, "/linux/uidMappings", high);
    parse(&document).unwrap();
}

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
            "/linux/namespaces/-",
            json!({"type": "user"}),
            "linux.uidMappings: missing: a new user namespace needs mappings",
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
    assert_accepted(&[("/linux/namespaces/-", json!({"type": "user", "path": "/proc/1/ns/user"}))]);
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

#[test]
fn cve_2022_0811_only_plain_names_of_namespaced_parameters_pass() {
    let host = "belongs to the host, not to a namespace of the container";
    let odd = "the name contains a character that no parameter has";
    let relative = "the name has an empty or relative part";
    let cases = [
        ("kernel.core_pattern", "x", host),
        ("kernel/core_pattern", "x", host),
        ("kernel.shm_rmid_forced+kernel.core_pattern", "x", odd),
        ("kernel.shm_rmid_forced=1", "x", odd),
        ("net/../kernel/core_pattern", "x", relative),
        ("net..ipv4", "1", relative),
        ("net.", "1", relative),
        ("net", "1", host),
        ("vm.overcommit_memory", "1", host),
        ("fs.file-max", "1", host),
        ("kernel.hostname", "x", "use the hostname property instead"),
        ("user.max_user_namespaces", "0", "needs a private user namespace"),
        ("net.ipv4.ip_forward", "1\n2", "the value contains a line break"),
        ("net.ipv4.ip\nforward", "1", odd),
        ("", "1", relative),
    ];
    for (key, value, wanted) in cases {
        let error = changed("/linux/sysctl", json!({key: value})).unwrap_err();
        assert!(error.starts_with("linux.sysctl["), "{error}");
        assert!(error.ends_with(wanted), "{key}: {error}");
        assert!(!error.contains('\n'));
    }
    // One value with a plus sign stays one value.
    let value = "1+kernel.core_pattern=|/x";
    let spec = changed("/linux/sysctl", json!({"kernel.shm_rmid_forced": value})).unwrap();
    let sysctls = spec.sysctls().unwrap();
    assert_eq!((sysctls.len(), sysctls[0].value.as_str()), (1, value));
    let twice = json!({"net.ipv4.ip_forward": "0", "net/ipv4/ip_forward": "1"});
    let error = changed("/linux/sysctl", twice).unwrap_err();
    assert!(error.ends_with("is another spelling of a parameter that is set already"), "{error}");
}

#[test]
fn cve_2019_16884_nothing_but_proc_goes_to_proc() {
    let tmpfs =
        |destination: &str| json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"});
    let inside = |path: &str| {
        format!("mounts[3].destination: \"{path}\" cannot be mounted because it is inside /proc")
    };
    for (destination, wanted) in [
        (
            "/proc",
            "mounts[3].destination: \"/proc\" cannot be mounted because it is not of type proc"
                .to_owned(),
        ),
        (
            "/proc/",
            "mounts[3].destination: \"/proc\" cannot be mounted because it is not of type proc"
                .to_owned(),
        ),
        ("/proc/self/attr", inside("/proc/self/attr")),
        ("//proc//1", inside("/proc/1")),
        ("/x/../proc/self", inside("/proc/self")),
        ("/../proc/cpuinfo/../self", inside("/proc/self")),
        ("proc/sys", inside("/proc/sys")),
        ("/", "mounts[3].destination: \"/\" is the root itself".to_owned()),
        ("/a/..", "mounts[3].destination: \"/a/..\" is the root itself".to_owned()),
        ("", "mounts[3].destination: missing".to_owned()),
    ] {
        assert_eq!(changed("/mounts/-", tmpfs(destination)).unwrap_err(), wanted);
    }
    let lxcfs = json!({"destination": "/proc/cpuinfo", "source": "/var/lib/lxcfs/proc/cpuinfo", "options": ["bind"]});
    assert_accepted(&[("/mounts/-", lxcfs), ("/mounts/-", tmpfs("/process"))]);
}

#[test]
fn cve_2023_28642_a_second_proc_is_refused() {
    let second = json!({"destination": "/proc", "type": "proc", "source": "proc"});
    let error = changed("/mounts/-", second).unwrap_err();
    assert_eq!(error, "mounts[3].destination: /proc is mounted twice");
}

#[test]
fn mounts_must_say_what_they_are() {
    let mapping = json!([{"containerID": 0, "hostID": 1000, "size": 1}]);
    assert_refused(&[
        ("/mounts/-", json!({"destination": "/a", "options": ["bind"]}), "mounts[3].source: missing: a bind mount needs one"),
        ("/mounts/-", json!({"destination": "/a"}), "mounts[3].type: missing: neither a file system type nor a bind mount"),
        ("/mounts/-", json!({"destination": "/a", "type": "tmpfs", "options": ["idmap"]}), "mounts[3]: only bind mounts can be idmapped"),
        ("/mounts/-", json!({"destination": "/a", "source": "/b", "options": ["bind", "idmap"]}), "mounts[3]: idmap needs mappings or a user namespace"),
        (
            "/mounts/-",
            json!({"destination": "/a", "source": "/b", "options": ["bind"], "uidMappings": mapping}),
            "mounts[3].gidMappings: missing although uidMappings are given",
        ),
        (
            "/mounts/-",
            json!({"destination": "/a", "source": "/b", "options": ["bind", "idmap=uids=0-1-1"]}),
            "mounts[3].options[1]: \"idmap=uids=0-1-1\": mappings go into uidMappings and gidMappings",
        ),
    ]);
    let relative = json!({"destination": "a", "source": "/b", "options": ["bind", "size=1"]});
    let spec = changed("/mounts/-", relative).unwrap();
    let warnings: Vec<String> =
        spec.warnings.iter().map(|w| format!("{}: {}", w.path, w.message)).collect();
    assert_eq!(
        warnings,
        [
            "mounts[3].destination: \"a\" is relative; taken from /",
            "mounts[3].options: a bind mount has no file system options; ignored: size",
        ]
    );
}

#[test]
fn devices_and_paths_are_checked() {
    let device =
        |path: &str, major: i64| json!([{"path": path, "type": "c", "major": major, "minor": 1}]);
    assert_refused(&[
        (
            "/linux/devices",
            device("dev/x", 1),
            "linux.devices[0].path: \"dev/x\" is not an absolute path",
        ),
        (
            "/linux/devices",
            device("/dev/../x", 1),
            "linux.devices[0].path: \"/dev/../x\" must not contain \"..\"",
        ),
        (
            "/linux/devices",
            device("/dev/x", -1),
            "linux.devices[0].major: -1 is not a device number",
        ),
        (
            "/linux/cgroupsPath",
            json!("/a/../../b"),
            "linux.cgroupsPath: \"/a/../../b\" must not contain \"..\"",
        ),
        (
            "/linux/cgroupsPath",
            json!("..:a:b"),
            "linux.cgroupsPath: \"..:a:b\" must not contain \"..\"",
        ),
        ("/linux/cgroupsPath", json!("a\nb"), "linux.cgroupsPath: contains a control character"),
        (
            "/linux/netDevices",
            json!({"a/b": {}}),
            "linux.netDevices.a/b: \"a/b\" is not a network device name",
        ),
        (
            "/linux/netDevices",
            json!({"a": {"name": "0123456789abcdef"}}),
            "linux.netDevices.a: \"0123456789abcdef\" is not a network device name",
        ),
        (
            "/linux/intelRdt",
            json!({}),
            "linux.intelRdt: Intel RDT is not supported by this runtime; remove the object",
        ),
        ("/annotations", json!({"": "x"}), "annotations: a key must not be empty"),
    ]);
}

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

#[test]
fn hooks_must_be_unambiguous() {
    assert_refused(&[
        (
            "/hooks",
            json!({"poststop": [{"path": "bin/x"}]}),
            "hooks.poststop[0].path: \"bin/x\" is not an absolute path",
        ),
        (
            "/hooks",
            json!({"createRuntime": [{"path": "/x", "timeout": 0}]}),
            "hooks.createRuntime[0].timeout: 0 is not greater than 0",
        ),
        (
            "/hooks",
            json!({"prestart": [{"path": "/x", "env": ["A"]}]}),
            "hooks.prestart[0].env[0]: environment variable has no '='",
        ),
    ]);
}

#[test]
fn seccomp_fields_must_belong_together() {
    let rule = |action: &str| json!([{"names": ["read"], "action": action}]);
    let notify = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rule("SCMP_ACT_NOTIFY")});
    assert_refused(&[
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}),
            "linux.seccomp.listenerMetadata: given without listenerPath",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_NOTIFY"}),
            "linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default action",
        ),
        (
            "/linux/seccomp",
            json!({"syscalls": rule("SCMP_ACT_ALLOW")}),
            "linux.seccomp.defaultAction: missing",
        ),
        (
            "/linux/seccomp",
            notify,
            "linux.seccomp.listenerPath: missing although a rule has SCMP_ACT_NOTIFY",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ALLOW"}]}),
            "linux.seccomp.syscalls[0].names: must not be empty",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}),
            "linux.seccomp.syscalls[0].args[0].index: a system call has arguments 0 to 5",
        ),
    ]);
    assert_accepted(&[("/linux/seccomp", json!({}))]);
}

#[test]
fn a_value_from_the_bundle_cannot_forge_a_second_line() {
    let error = changed("/linux/cgroupsPath", json!("../a\u{1b}[2K\nroot")).unwrap_err();
    assert!(error.chars().all(|c| !c.is_control()), "{error:?}");
    let error = changed("/annotations", json!({"a\n\u{0}b": ""})).unwrap_err();
    assert!(error.chars().all(|c| !c.is_control()), "{error:?}");
}
