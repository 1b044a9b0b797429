//! Devices of a container of the default profile: those that every container has, and those of a class that was allowed.

use casemate_tests::{requires, Bundle, Container};
use serde_json::{json, Value};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

fn node(path: &str, kind: &str, major: u32, minor: u32) -> Value {
    json!({"path": path, "type": kind, "major": major, "minor": minor, "fileMode": 0o666, "uid": 0, "gid": 0})
}

fn with(devices: &[Value], script: &str) -> Container {
    Container::new(Bundle::sh(script).edit(|c| c["linux"]["devices"] = json!(devices)))
}

#[test]
fn a_device_is_refused_with_the_name_of_its_class() {
    requires!(root);
    for (device, name) in [
        (node("/dev/fuse", "c", 10, 229), "devices.fuse"),
        (node("/dev/net/tun", "c", 10, 200), "devices.tun"),
        (node("/dev/kvm", "c", 10, 232), "devices.kvm"),
        (node("/dev/nvidia0", "c", 195, 0), "devices.gpu"),
        (node("/dev/nvidia-uvm", "c", 510, 0), "devices.gpu"),
        (node("/dev/dri/card0", "c", 226, 0), "devices.gpu"),
        (node("/dev/snd/seq", "c", 116, 1), "devices.sound"),
        (node("/dev/ttyUSB0", "c", 188, 0), "devices.serial"),
        (node("/dev/mem", "c", 1, 1), "devices.all"),
        (node("/dev/sda", "b", 8, 0), "devices.all"),
        (node("/dev/innocent", "b", 10, 229), "devices.all"),
    ] {
        let container = with(std::slice::from_ref(&device), "true");
        let text = container.run().refused();
        let path = device["path"].as_str().unwrap();
        let wanted = format!(
            "device {path} (rule devices.nodes); allow with --allow {name}, or annotation org.casemate.allow/{name}=true"
        );
        assert!(text.contains(&wanted), "{text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn an_allowed_class_is_there_and_a_disk_still_is_not() {
    requires!(root);
    let fuse = node("/dev/fuse", "c", 10, 229);
    let script = "stat -c '%F %t:%T' /dev/fuse";
    let done =
        with(std::slice::from_ref(&fuse), script).global(&["--allow", "devices.fuse"]).run().ok();
    assert_eq!(done.stdout, "character special file a:e5\n");
    let both = [fuse, node("/dev/sda", "b", 8, 0)];
    let text = with(&both, "true").global(&["--allow", "devices.fuse"]).run().refused();
    assert!(text.contains("device /dev/sda (rule devices.nodes)"), "{text}");
}

#[test]
fn what_every_container_has_is_not_asked_about() {
    requires!(root);
    let devices = [
        node("/dev/null", "c", 1, 3),
        node("/dev/also-zero", "c", 1, 5),
        json!({"path": "/dev/pipe", "type": "p", "major": 0, "minor": 0}),
    ];
    let script =
        "echo x > /dev/null && head -c 1 /dev/also-zero | wc -c; test -p /dev/pipe && echo pipe";
    assert_eq!(with(&devices, script).output().stdout, "1\npipe\n");
    let bundle = Bundle::sh("echo x > /mnt/null && echo usable").bind(
        Path::new("/dev/null"),
        "/mnt/null",
        &["rw"],
    );
    assert_eq!(Container::new(bundle).output().stdout, "usable\n");
}

#[test]
fn a_bound_device_is_a_device() {
    requires!(root);
    let Some(device) = ["/dev/fuse", "/dev/kmsg", "/dev/mem", "/dev/port"]
        .into_iter()
        .find(|path| Path::new(path).exists())
    else {
        return;
    };
    let bundle = Bundle::sh("true").bind(Path::new(device), "/mnt", &["rw"]);
    let text = Container::new(bundle).run().refused();
    assert!(text.contains(&format!("device {device} (rule devices.nodes)")), "{text}");
}

#[test]
fn a_bundle_that_names_every_device_gets_the_ordinary_ones() {
    requires!(root);
    let devices =
        [node("/dev/sda", "b", 8, 0), node("/dev/mem", "c", 1, 1), node("/dev/full", "c", 1, 7)];
    let bundle = Bundle::sh("ls /dev").edit(|c| {
        c["linux"]["devices"] = json!(devices);
        c["linux"]["resources"] = json!({"devices": [{"allow": true, "access": "rwm"}]});
    });
    let done = Container::new(bundle).run().ok();
    let names: Vec<&str> = done.stdout.split_whitespace().collect();
    assert!(names.contains(&"full") && names.contains(&"null"), "{names:?}");
    assert!(!names.contains(&"sda") && !names.contains(&"mem"), "{names:?}");
}

/// A new terminal of the host: its other side, and its path.
fn terminal() -> (std::fs::File, PathBuf) {
    let master = std::fs::File::options().read(true).write(true).open("/dev/ptmx").unwrap();
    let mut number: libc::c_uint = 0;
    // SAFETY: TIOCGPTN writes one unsigned integer.
    let done = unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCGPTN, &raw mut number) };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    (master, PathBuf::from(format!("/dev/pts/{number}")))
}

#[test]
fn a_terminal_of_the_host_is_not_one_of_the_containers() {
    requires!(root);
    let (_master, path) = terminal();
    for (profile, place) in
        [("baseline", "/dev/x"), ("hardened", "/dev/console"), ("restricted", "/mnt")]
    {
        let bundle = Bundle::sh("true").bind(&path, place, &["rw"]);
        let container = Container::new(bundle).global(&[
            "--profile",
            profile,
            "--allow",
            "pids.unlimited,memory.unlimited,memory.oom-single,process.root",
        ]);
        let text = container.run().refused();
        assert!(
            text.contains("a terminal of the host") && text.contains("mounts.host-dev"),
            "{text}"
        );
    }
}
