//! Mounts, devices and paths.

use super::*;

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
