//! Configurations that are refused: each one line, with the JSON path.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;
#[path = "refusals/mounts.rs"]
mod mounts;
#[path = "refusals/namespaces.rs"]
mod namespaces;
#[path = "refusals/process.rs"]
mod process;
#[path = "refusals/resources.rs"]
mod resources;

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
