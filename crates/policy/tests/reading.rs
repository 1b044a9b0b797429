//! How a configuration is read: what is accepted, what it means, how an error reads.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
#[path = "reading/spelling.rs"]
mod spelling;

use casemate_policy::spec::{Capability, DeviceRuleKind, NamespaceKind, Process, Resources, Spec};
use common::{changed, fixture, full, parse, plain, put};
use serde_json::{json, Value};

#[test]
fn every_property_survives_reading_and_writing() {
    let document = full();
    let spec = parse(&document).unwrap();
    let mut written = serde_json::to_value(&spec).unwrap();
    // Zero device numbers of a FIFO and an unknown capability's place are the only differences in form.
    assert_eq!(written["linux"]["devices"][1]["type"], "p");
    assert_eq!(Spec::parse(written.to_string().as_bytes()).unwrap(), spec);
    written.sort_all_objects();
    let mut document = document;
    document.sort_all_objects();
    assert_eq!(written, document);
}

#[test]
fn podmans_configuration_is_read_without_warnings_or_unknown_properties() {
    let bytes = fixture("podman-default/config.json");
    let spec = Spec::parse(&bytes).unwrap();
    assert_eq!(spec.warnings, []);
    assert_eq!(Spec::parse(&bytes).unwrap().unknown, Vec::<String>::new());
    assert!(spec.namespace(NamespaceKind::Network).unwrap().path.is_some());
    assert!(spec.linux.seccomp.unwrap().syscalls.len() > 10);
}

#[test]
fn null_means_not_given_wherever_go_writes_it() {
    let mut document = plain();
    for pointer in [
        "/hostname",
        "/domainname",
        "/hooks",
        "/annotations",
        "/process/consoleSize",
        "/process/env",
        "/process/rlimits",
        "/process/noNewPrivileges",
        "/process/apparmorProfile",
        "/process/oomScoreAdj",
        "/process/scheduler",
        "/process/selinuxLabel",
        "/process/ioPriority",
        "/process/execCPUAffinity",
        "/process/user/umask",
        "/process/user/additionalGids",
        "/process/capabilities/ambient",
        "/root/readonly",
        "/mounts/0/options",
        "/mounts/0/uidMappings",
        "/linux/uidMappings",
        "/linux/gidMappings",
        "/linux/sysctl",
        "/linux/cgroupsPath",
        "/linux/devices",
        "/linux/netDevices",
        "/linux/seccomp",
        "/linux/rootfsPropagation",
        "/linux/maskedPaths",
        "/linux/readonlyPaths",
        "/linux/mountLabel",
        "/linux/intelRdt",
        "/linux/memoryPolicy",
        "/linux/personality",
        "/linux/timeOffsets",
        "/linux/namespaces/0/path",
        "/linux/resources/devices",
        "/linux/resources/memory",
        "/linux/resources/cpu",
        "/linux/resources/pids",
        "/linux/resources/blockIO",
        "/linux/resources/hugepageLimits",
        "/linux/resources/network",
        "/linux/resources/rdma",
        "/linux/resources/unified",
    ] {
        put(&mut document, pointer, Value::Null);
        if let Err(error) = parse(&document) {
            panic!("{pointer}: {error}");
        }
    }
    for pointer in ["/process", "/mounts", "/linux"] {
        let mut document = plain();
        put(&mut document, "/hostname", Value::Null);
        put(&mut document, pointer, Value::Null);
        if let Err(error) = parse(&document) {
            panic!("{pointer}: {error}");
        }
    }
}

#[test]
fn an_empty_string_means_not_given() {
    let spec = changed("/linux/rootfsPropagation", json!("")).unwrap();
    assert_eq!(spec.linux.rootfs_propagation, None);
    let spec = changed("/linux/cgroupsPath", json!("")).unwrap();
    assert_eq!(spec.linux.cgroups_path, None);
    let rule = json!({"allow": false, "type": "", "access": "rwm"});
    let spec = changed("/linux/resources/devices/0", rule).unwrap();
    assert_eq!(spec.linux.resources.unwrap().devices[0].kind, None);
    let rule = json!({"allow": false, "type": "a", "access": "rwm"});
    let spec = changed("/linux/resources/devices/0", rule).unwrap();
    assert_eq!(spec.linux.resources.unwrap().devices[0].kind, Some(DeviceRuleKind::All));
}

#[test]
fn absent_and_empty_seccomp_flags_stay_apart() {
    for (flags, wanted) in
        [(None, None), (Some(Value::Null), None), (Some(json!([])), Some(vec![]))]
    {
        let mut profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
        if let Some(flags) = flags {
            profile["flags"] = flags;
        }
        let spec = changed("/linux/seccomp", profile).unwrap();
        assert_eq!(spec.linux.seccomp.as_ref().unwrap().flags, wanted);
        let again = Spec::parse(&serde_json::to_vec(&spec).unwrap()).unwrap();
        assert_eq!(again, spec);
    }
}

#[test]
fn absent_and_empty_hook_environments_stay_apart() {
    let hooks = json!({"prestart": [{"path": "/a"}, {"path": "/b", "env": []}]});
    let spec = changed("/hooks", hooks).unwrap();
    assert_eq!(spec.hooks.prestart[0].env, None);
    assert_eq!(spec.hooks.prestart[1].env, Some(vec![]));
}

#[test]
fn a_wrong_type_or_unknown_value_is_named_with_its_path() {
    let cases = [
        ("/process/args", json!("sh"), "process.args: invalid type: string \"sh\""),
        ("/process/args/0", json!(1), "process.args[0]: invalid type: integer `1`"),
        ("/process/user/uid", json!(-1), "process.user.uid: invalid value: integer `-1`"),
        ("/process/user/uid", json!(4_294_967_296_u64), "process.user.uid: invalid value"),
        ("/process/user/uid", json!("0"), "process.user.uid: invalid type: string \"0\""),
        ("/process/noNewPrivileges", json!("yes"), "process.noNewPrivileges: invalid type"),
        (
            "/process/rlimits/0/type",
            json!("RLIMIT_X"),
            "process.rlimits[0].type: unknown variant `RLIMIT_X`",
        ),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_X"}),
            "process.scheduler.policy: unknown variant",
        ),
        ("/process/ioPriority", json!({"class": "X"}), "process.ioPriority.class: unknown variant"),
        (
            "/process/capabilities/bounding",
            json!("all"),
            "process.capabilities.bounding: invalid type",
        ),
        (
            "/linux/namespaces/1/type",
            json!("net"),
            "linux.namespaces[1].type: unknown variant `net`",
        ),
        (
            "/linux/resources/memory",
            json!({"limit": "1G"}),
            "linux.resources.memory.limit: invalid type",
        ),
        (
            "/linux/rootfsPropagation",
            json!("loud"),
            "linux.rootfsPropagation: unknown variant `loud`",
        ),
        (
            "/linux/devices",
            json!([{"path": "/dev/x", "type": "d"}]),
            "linux.devices[0].type: unknown variant",
        ),
        (
            "/linux/personality",
            json!({"domain": "BSD"}),
            "linux.personality.domain: unknown variant",
        ),
        (
            "/linux/timeOffsets",
            json!({"realtime": {}}),
            "linux.timeOffsets: unknown variant `realtime`",
        ),
        ("/linux/memoryPolicy", json!({"mode": "X"}), "linux.memoryPolicy.mode: unknown variant"),
        ("/mounts/0/options", json!([1]), "mounts[0].options[0]: invalid type"),
        ("/mounts", json!({}), "mounts: invalid type: map"),
    ];
    for (pointer, value, wanted) in cases {
        let error = changed(pointer, value).unwrap_err();
        assert!(error.starts_with(wanted), "{pointer}: {error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn malformed_json_is_one_line_with_its_place() {
    let cases: [(&[u8], &str); 5] = [
        (b"", "EOF while parsing"),
        (b"{\"ociVersion\": \"1.3.0\"", "EOF while parsing"),
        (b"{} x", "trailing characters"),
        (b"[1]", "invalid"),
        (b"{\"hostname\": \"\xff\"}", "not UTF-8"),
    ];
    for (bytes, wanted) in cases {
        let error = Spec::parse(bytes).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_property_given_twice_is_refused() {
    // Two readers that pick different ones would see different containers.
    let text = r#"{"ociVersion": "1.3.0", "root": {"path": "a"}, "root": {"path": "b"}}"#;
    let error = Spec::parse(text.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("duplicate field `root`"), "{error}");
}

#[test]
fn a_key_given_twice_is_refused_in_maps_too() {
    for (map, values) in [
        ("annotations", [json!("hardened"), json!("privileged")]),
        ("linux.sysctl", [json!("0"), json!("1")]),
        ("linux.netDevices", [json!({}), json!({"name": "eth0"})]),
        ("linux.timeOffsets", [json!({"secs": 1}), json!({"secs": 2})]),
        ("linux.resources.unified", [json!("1"), json!("2")]),
        ("linux.resources.rdma", [json!({}), json!({"hcaHandles": 1})]),
    ] {
        let key = if map == "linux.timeOffsets" { "monotonic" } else { "org.casemate.profile" };
        let twice = format!("{{\"{key}\": {}, \"{key}\": {}}}", values[0], values[1]);
        let text = map.rsplit('.').fold(twice, |inner, name| format!("{{\"{name}\": {inner}}}"));
        let error = Spec::parse(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("duplicate key") && error.contains(map), "{map}: {error}");
    }
}

#[test]
fn a_nul_byte_anywhere_is_refused_with_its_path() {
    let cases = [
        ("/process/args/0", json!("sh\0x"), "process.args[0]: contains a NUL byte"),
        ("/mounts/0/destination", json!("/proc\0"), "mounts[0].destination: contains a NUL byte"),
        ("/annotations", json!({"a\0b": "c"}), "annotations.a?b: contains a NUL byte"),
        ("/unknown", json!(["\0"]), "unknown[0]: contains a NUL byte"),
    ];
    for (pointer, value, wanted) in cases {
        assert_eq!(changed(pointer, value).unwrap_err(), wanted);
    }
    // A backslash before the text u0000 is not a NUL.
    let spec = changed("/process/args/0", json!("\\u0000")).unwrap();
    assert_eq!(spec.process.unwrap().args[0], "\\u0000");
}

#[test]
fn unknown_properties_are_ignored_and_listed() {
    let mut document = plain();
    put(&mut document, "/windows", json!({"layerFolders": []}));
    put(&mut document, "/process/user/username", json!("x"));
    put(&mut document, "/linux/namespaces/0/inode", json!(1));
    put(&mut document, "/linux/resources/cpu", json!({"turbo": true}));
    let bytes = document.to_string().into_bytes();
    Spec::parse(&bytes).unwrap();
    let mut listed = Spec::parse(&bytes).unwrap().unknown;
    listed.sort();
    let wanted = [
        "linux.namespaces[0].inode",
        "linux.resources.cpu.turbo",
        "process.user.username",
        "windows",
    ];
    assert_eq!(listed, wanted);
}

#[test]
fn an_unknown_capability_is_a_warning() {
    let spec = changed("/process/capabilities/bounding", json!(["CAP_KILL", "CAP_X"])).unwrap();
    let bounding = &spec.process.as_ref().unwrap().capabilities.as_ref().unwrap().bounding;
    assert_eq!(bounding.mask, Capability::from_name("KILL").unwrap().mask());
    assert_eq!(bounding.unknown, ["CAP_X"]);
    assert_eq!(spec.warnings[0].path, "process.capabilities.bounding");
}

#[test]
fn unknown_letters_of_a_device_rule_are_ignored_with_a_warning() {
    let rule = |access| json!([{"allow": false, "access": access}]);
    let spec = changed("/linux/resources/devices", rule("rwa")).unwrap();
    assert_eq!(spec.linux.resources.as_ref().unwrap().devices[0].access, "rw");
    assert_eq!(spec.warnings[0].path, "linux.resources.devices[0].access");
    let limits = json!({"devices": rule("xm")}).to_string();
    assert_eq!(Resources::parse(limits.as_bytes()).unwrap().devices[0].access, "m");
    // None that is known would mean all of them.
    assert!(changed("/linux/resources/devices", rule("a")).is_err());
}

#[test]
fn capability_names_have_the_kernels_numbers() {
    for (name, number) in [
        ("CAP_CHOWN", 0),
        ("net_bind_service", 10),
        ("cap_sys_admin", 21),
        ("CHECKPOINT_RESTORE", 40),
    ] {
        assert_eq!(Capability::from_name(name).unwrap().number(), number, "{name}");
    }
    assert_eq!(Capability::from_name("CAP_"), None);
    assert_eq!(Capability::from_name(""), None);
    assert_eq!(Capability::all().count(), 41);
}

#[test]
fn a_process_file_is_read_alone() {
    let process = plain()["process"].to_string();
    let read = Process::parse(process.as_bytes()).unwrap();
    assert_eq!(read.args, ["sh"]);
    let error = Process::parse(br#"{"args": ["a"], "cwd": "b"}"#).unwrap_err().to_string();
    assert_eq!(error, "process.cwd: cwd must be an absolute path, not \"b\"");
    let error = Process::parse(br#"{"args": [1]}"#).unwrap_err().to_string();
    assert!(error.starts_with("process.args[0]: invalid type"), "{error}");
}

#[test]
fn update_resources_are_read_alone() {
    let read = Resources::parse(br#"{"memory": {"limit": 5, "x": 1}, "blockIO": null}"#).unwrap();
    assert_eq!(read.memory.limit, Some(5));
    let error = Resources::parse(br#"{"cpu": {"cpus": "0-"}}"#).unwrap_err().to_string();
    assert_eq!(error, "linux.resources.cpu.cpus: \"0-\" is not a list like \"0-3,7\"");
    let error = Resources::parse(b"[]").unwrap_err().to_string();
    assert!(error.starts_with("linux.resources"), "{error}");
}

#[test]
fn sysctl_keys_become_one_path_whatever_the_separator() {
    for (key, path) in [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
    ] {
        let spec = changed("/linux/sysctl", json!({key: "1"})).unwrap();
        assert_eq!(spec.sysctls().unwrap()[0].path, path);
    }
}

#[test]
fn an_array_is_no_object_anywhere() {
    let array = json!([]);
    for pointer in [
        "",
        "/process",
        "/process/user",
        "/process/consoleSize",
        "/process/capabilities",
        "/process/rlimits/0",
        "/process/scheduler",
        "/process/ioPriority",
        "/process/execCPUAffinity",
        "/root",
        "/mounts/0",
        "/mounts/1/uidMappings/0",
        "/hooks",
        "/hooks/prestart/0",
        "/annotations",
        "/linux",
        "/linux/uidMappings/0",
        "/linux/sysctl",
        "/linux/resources",
        "/linux/resources/devices/0",
        "/linux/resources/memory",
        "/linux/resources/cpu",
        "/linux/resources/pids",
        "/linux/resources/blockIO",
        "/linux/resources/blockIO/weightDevice/0",
        "/linux/resources/blockIO/throttleReadIOPSDevice/0",
        "/linux/resources/hugepageLimits/0",
        "/linux/resources/network",
        "/linux/resources/network/priorities/0",
        "/linux/resources/rdma",
        "/linux/resources/rdma/mlx5_1",
        "/linux/namespaces/0",
        "/linux/devices/0",
        "/linux/netDevices",
        "/linux/netDevices/eth1",
        "/linux/seccomp",
        "/linux/seccomp/syscalls/0",
        "/linux/seccomp/syscalls/1/args/0",
        "/linux/intelRdt",
        "/linux/memoryPolicy",
        "/linux/personality",
        "/linux/timeOffsets",
        "/linux/timeOffsets/boottime",
    ] {
        let mut document = full();
        match pointer {
            "" => document = array.clone(),
            _ => put(&mut document, pointer, array.clone()),
        }
        let error = parse(&document).unwrap_err();
        assert!(error.contains("invalid type: sequence"), "{pointer}: {error}");
    }
}
