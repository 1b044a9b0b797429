//! /dev, hidden and read-only paths, kernel parameters, cgroup limits.

use casemate_tests::{host, requires, Bundle, Canary, Container, Done};
use serde_json::{json, Value};

fn run(bundle: Bundle) -> Done {
    Container::new(bundle).verbatim().output()
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let container = Container::new(Bundle::sh("true").edit(change)).verbatim();
    let text = container.run().refused();
    assert_eq!(container.leftovers(), Vec::<String>::new());
    text
}

/// Type and numbers, mode, owner of device nodes, one line each.
fn stat(paths: &str) -> String {
    format!("for p in {paths}; do echo $p=$(stat -c %F,%t:%T,%a,%u:%g $p | tr ' ' _); done")
}

#[test]
fn the_default_devices_and_links_are_there() {
    requires!(root);
    let devices = [
        ("null", "1:3"),
        ("zero", "1:5"),
        ("full", "1:7"),
        ("random", "1:8"),
        ("urandom", "1:9"),
        ("tty", "5:0"),
    ];
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    for userns in [false, true] {
        let script = format!(
            "{}; for l in fd stdin stdout stderr ptmx; do echo $l=$(readlink /dev/$l); done; \
             echo x > /dev/null; head -c 3 /dev/zero | od -An -tx1 | sed 's/ //g;s/^/zero3=/'",
            stat("/dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty")
        );
        let bundle = Bundle::sh(&script);
        let done = run(if userns { bundle.user_namespace(100_000) } else { bundle });
        for (name, numbers) in devices {
            let expected = format!("character_special_file,{numbers},666,0:0");
            assert_eq!(done.value(&format!("/dev/{name}")), expected, "user namespace: {userns}");
        }
        for (name, target) in links {
            assert_eq!(done.value(name), target);
        }
        assert_eq!(done.value("zero3"), "000000");
    }
}

#[test]
fn listed_devices_are_made_with_numbers_mode_and_owner() {
    requires!(root);
    let script = stat("/dev/c /dev/u /dev/b /dev/deep/p /dev/plain");
    let done = run(Bundle::sh(&script).edit(|c| {
        c["linux"]["devices"] = json!([
            {"path": "/dev/c", "type": "c", "major": 1, "minor": 7, "fileMode": 384, "uid": 11, "gid": 12},
            {"path": "/dev/u", "type": "u", "major": 1, "minor": 5, "fileMode": 432},
            {"path": "/dev/b", "type": "b", "major": 7, "minor": 200, "fileMode": 24_960},
            {"path": "/dev/deep/p", "type": "p", "fileMode": 416, "uid": 3, "gid": 4},
            {"path": "/dev/plain", "type": "c", "major": 1, "minor": 3},
        ]);
    }));
    let expected = [
        ("/dev/c", "character_special_file,1:7,600,11:12"),
        ("/dev/u", "character_special_file,1:5,660,0:0"),
        ("/dev/b", "block_special_file,7:c8,600,0:0"),
        ("/dev/deep/p", "fifo,0:0,640,3:4"),
        ("/dev/plain", "character_special_file,1:3,666,0:0"),
    ];
    for (path, text) in expected {
        assert_eq!(done.value(path), text, "{path}");
    }
}

#[test]
fn a_listed_device_takes_the_place_of_a_default_one() {
    requires!(root);
    let done = run(Bundle::sh(&stat("/dev/null")).edit(|c| {
        c["linux"]["devices"] = json!([{"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 384}]);
    }));
    assert_eq!(done.value("/dev/null"), "character_special_file,1:3,600,0:0");
}

#[test]
fn device_nodes_in_a_user_namespace_are_the_hosts() {
    requires!(root);
    let bundle = Bundle::sh(&stat("/dev/full2")).user_namespace(100_000).edit(|c| {
        c["linux"]["devices"] = json!([{"path": "/dev/full2", "type": "c", "major": 1, "minor": 7, "uid": 5, "gid": 6}]);
    });
    let done = Container::new(bundle).verbatim().run().done();
    assert_eq!(done.value("/dev/full2"), "character_special_file,1:7,666,5:6", "{}", done.stderr);
}

#[test]
fn impossible_devices_are_refused_with_their_place() {
    requires!(root);
    let device = |d: Value| refused(move |c| c["linux"]["devices"] = json!([d]));
    assert!(device(json!({"path": "/dev/x", "type": "z", "major": 1, "minor": 1}))
        .contains("linux.devices[0]"));
    assert!(device(json!({"path": "dev/x", "type": "c", "major": 1, "minor": 1}))
        .contains("linux.devices[0]"));
    assert!(device(json!({"path": "/dev/x", "type": "c", "major": -5, "minor": 1}))
        .contains("linux.devices[0]"));
    let text = device(json!({"path": "/etc/passwd", "type": "c", "major": 1, "minor": 3}));
    assert!(text.contains("/etc/passwd") && text.contains("another file"), "{text}");
}

#[test]
fn nothing_is_made_in_a_bound_dev() {
    requires!(root);
    let canary = Canary::new();
    let dev = casemate_tests::scratch::Dir::new("dev");
    let bundle = Bundle::sh("ls /dev | wc -l | sed s/^/count=/");
    let bundle = ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"]
        .iter()
        .fold(bundle, |b, d| b.without_mount(d));
    let done = run(bundle.bind(dev.path(), "/dev", &["ro"]));
    assert_eq!(done.value("count"), "0");
    canary.check();
}

#[test]
fn masked_paths_read_as_empty_and_take_nothing() {
    requires!(root);
    let script = "echo file=$(cat /secret/f | wc -c); echo dir=$(ls /secret/d | wc -l); echo kcore=$(cat /proc/kcore | wc -c); \
        touch /secret/d/new 2>&1; echo x > /secret/f; true";
    let bundle = Bundle::sh(script).all_capabilities().edit(|c| {
        c["root"]["readonly"] = json!(false);
        c["linux"]["maskedPaths"] =
            json!(["/secret/f", "/secret/d", "/proc/kcore", "/no/such/path"]);
    });
    std::fs::create_dir_all(bundle.rootfs().join("secret/d/e")).unwrap();
    std::fs::write(bundle.rootfs().join("secret/f"), "secret").unwrap();
    let container = Container::new(bundle).verbatim();
    let done = container.output();
    assert_eq!((done.value("file"), done.value("dir"), done.value("kcore")), ("0", "0", "0"));
    assert_eq!(
        format!("{}{}", done.stdout, done.stderr).matches("Read-only file system").count(),
        2,
        "{done:?}"
    );
    assert_eq!(std::fs::read(container.bundle.rootfs().join("secret/f")).unwrap(), b"secret");
}

#[test]
fn readonly_paths_can_be_read_only() {
    requires!(root);
    let script = "cat /d/f; echo x > /d/f; touch /d/sub/g; echo 1 > /proc/sys/kernel/panic; grep -c ' /d/sub ro' /proc/self/mounts; true";
    let bundle = Bundle::sh(script)
        .all_capabilities()
        .mount(json!({"destination": "/d/sub", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]}))
        .edit(|c| {
            c["root"]["readonly"] = json!(false);
            c["linux"]["readonlyPaths"] = json!(["/d", "/proc/sys", "/no/such/path"]);
        });
    std::fs::create_dir_all(bundle.rootfs().join("d/sub")).unwrap();
    std::fs::write(bundle.rootfs().join("d/f"), "text\n").unwrap();
    let done = Container::new(bundle).verbatim().output();
    assert_eq!(done.stdout.lines().next(), Some("text"));
    assert_eq!(
        format!("{}{}", done.stdout, done.stderr).matches("Read-only file system").count(),
        3,
        "{done:?}"
    );
}

#[test]
fn kernel_parameters_are_set_in_the_container_and_nowhere_else() {
    requires!(root);
    let canary = Canary::new();
    let cases = [
        ("net.ipv4.ip_forward", "1", "net/ipv4/ip_forward"),
        ("net/ipv4/ping_group_range", "5\t6", "net/ipv4/ping_group_range"),
        ("net.ipv4.conf.lo.forwarding", "1", "net/ipv4/conf/lo/forwarding"),
        ("kernel.msgmax", "7777", "kernel/msgmax"),
        ("kernel.shm_rmid_forced", "1", "kernel/shm_rmid_forced"),
        ("kernel.sem", "32\t128\t32\t64", "kernel/sem"),
        ("fs.mqueue.msg_max", "17", "fs/mqueue/msg_max"),
        ("kernel.domainname", "sys.example", "kernel/domainname"),
    ];
    let mut script = String::new();
    for (_, _, file) in cases {
        script.push_str(&format!("echo \"{file}=$(cat /proc/sys/{file})\";"));
    }
    for first in [None, Some(100_000)] {
        let bundle = Bundle::sh(&script).edit(|c| {
            let map = cases.iter().map(|(key, value, _)| ((*key).to_owned(), json!(value)));
            c["linux"]["sysctl"] = Value::Object(map.collect());
        });
        let done = run(match first {
            Some(first) => bundle.user_namespace(first),
            None => bundle,
        });
        for (_, value, file) in cases {
            assert_eq!(done.value(file), value, "{file}, ids from {first:?}");
        }
        canary.check();
    }
}

#[test]
fn kernel_parameters_of_the_whole_host_are_refused() {
    requires!(root);
    let canary = Canary::new();
    let keys = [
        "kernel.core_pattern",
        "vm.overcommit_memory",
        "kernel.sysrq",
        "fs.file-max",
        "kernel.hostname",
        "net.ipv4.../../kernel/core_pattern",
        "kernel.modprobe",
    ];
    for key in keys {
        let text = refused(|c| c["linux"]["sysctl"] = json!({key: "1"}));
        assert!(text.contains("linux.sysctl"), "{key}: {text}");
    }
    for (kind, key) in [("network", "net.ipv4.ip_forward"), ("ipc", "kernel.msgmax")] {
        let bundle = Bundle::sh("true")
            .without_namespace(kind)
            .edit(|c| c["linux"]["sysctl"] = json!({key: "1"}));
        let text = Container::new(bundle).verbatim().run().refused();
        assert!(text.contains("linux.sysctl"), "{key}: {text}");
    }
    canary.check();
}

#[test]
fn a_parameter_that_does_not_exist_fails_the_create() {
    requires!(root);
    let text = refused(|c| c["linux"]["sysctl"] = json!({"net.ipv4.no_such_parameter": "1"}));
    assert!(
        text.contains("net/ipv4/no_such_parameter") || text.contains("net.ipv4.no_such_parameter"),
        "{text}"
    );
}

#[test]
fn unified_limits_are_written_and_impossible_ones_refused() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600").edit(|c| {
        c["linux"]["resources"] =
            json!({"unified": {"cgroup.max.depth": "7", "cgroup.max.descendants": "9"}});
    }))
    .verbatim();
    container.create().ok();
    let dirs = host::cgroups_named(&container.id);
    let read = |file: &str| std::fs::read_to_string(format!("{}/{file}", dirs[0])).unwrap();
    assert_eq!(
        (read("cgroup.max.depth").trim(), read("cgroup.max.descendants").trim()),
        ("7", "9")
    );
    for unified in [json!({"../cgroup.procs": "1"}), json!({"nosuch.max": "1"})] {
        let text = refused(|c| c["linux"]["resources"] = json!({"unified": unified}));
        assert!(text.contains("resources.unified"), "{text}");
    }
}

#[test]
fn a_cgroups_path_is_where_the_container_is() {
    requires!(root);
    let mount = host::cgroup_mount();
    requires!(mount.is_some(), "needs cgroup2");
    let mount = mount.unwrap();
    let mut container = Container::new(Bundle::sh("sleep 600")).verbatim();
    let inner = format!("/{}-parent/leaf", container.id);
    container.bundle.config["linux"]["cgroupsPath"] = json!(inner);
    container.create().ok();
    let procs = std::fs::read_to_string(mount.join(&inner[1..]).join("cgroup.procs")).unwrap();
    assert_eq!(procs.trim(), container.pid().to_string());
    container.delete().ok();
    assert!(!mount.join(&inner[1..]).exists());
    drop(std::fs::remove_dir(mount.join(&inner[1..]).parent().unwrap()));
    for bad in ["/../escape", "/a/../../b"] {
        let mut container = Container::new(Bundle::sh("true")).verbatim();
        container.bundle.config["linux"]["cgroupsPath"] = json!(bad);
        let done = container.run().done();
        assert!(
            !mount.join("../escape").exists() && !mount.parent().unwrap().join("b").exists(),
            "{}",
            done.stderr
        );
    }
}
