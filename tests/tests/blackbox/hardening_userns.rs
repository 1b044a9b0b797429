//! Containers in a user namespace: the tree is built from outside, so container's root cannot take any of it apart, with
//! all capabilities that its namespace has. And what belongs to the container is its own.

use casemate_tests::{host, programs, requires, Bundle, Canary, Container};
use serde_json::json;
use std::process::{Command, Stdio};

/// A container with everything allowed but what the kernel itself withholds.
fn powerful(script: &str) -> Bundle {
    Bundle::sh(script).all_capabilities().user_namespace(100_000).edit(|c| {
        c["process"]["noNewPrivileges"] = json!(false);
    })
}

fn answers(bundle: Bundle, lines: &[(&str, &str)]) {
    let script: Vec<String> =
        lines.iter().map(|(line, _)| format!("echo \"{line}=$(probe {line})\"")).collect();
    let bundle = bundle.args(&["sh", "-c", &script.join("\n")]);
    let done = Container::new(bundle).verbatim().run().ok();
    let wrong: Vec<String> = lines
        .iter()
        .filter(|(line, expected)| !expected.split('|').any(|e| e == done.value(line)))
        .map(|(line, expected)| format!("{line}: {} instead of {expected}", done.value(line)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_mount_namespace_is_made_for_the_container_and_never_joined() {
    requires!(root);
    // A service of the host that has its own, as PrivateTmp= of systemd makes them.
    let mut service = Command::new("unshare");
    service.args(["--mount", "--propagation", "private", "sleep", "600"]).stdin(Stdio::null());
    let mut service = programs::start(&mut service).unwrap();
    let root = || std::fs::read_dir(format!("/proc/{}/root", service.id())).unwrap().count();
    let before = root();
    let path = format!("/proc/{}/ns/mnt", service.id());
    for profile in ["baseline", "hardened", "restricted"] {
        let bundle = Bundle::sh("true").edit(|c| {
            let list = c["linux"]["namespaces"].as_array_mut().unwrap();
            let mount = list.iter_mut().find(|one| one["type"] == "mount").unwrap();
            mount["path"] = json!(path);
        });
        let text = Container::new(bundle).global(&["--profile", profile]).run().refused();
        assert!(text.contains("the mount namespace would be joined"), "{text}");
        assert_eq!(root(), before);
    }
    service.kill().unwrap();
    service.wait().unwrap();
}

#[test]
fn masks_cannot_be_taken_off() {
    requires!(root);
    // They are there: taking off what is not mounted fails as well.
    let script = "for p in /proc/timer_list /proc/keys /proc/sys; do grep -c \" $p \" /proc/self/mountinfo; done; wc -c < /proc/timer_list";
    assert_eq!(Container::new(powerful(script)).verbatim().run().ok().stdout, "1\n1\n1\n0\n");
    answers(
        powerful(""),
        &[
            ("umount /proc/timer_list", "EINVAL"),
            ("umount /proc/keys", "EINVAL"),
            ("umount /sys/firmware", "EINVAL"),
            ("umount /proc/sys", "EINVAL"),
            ("umount /proc", "EINVAL"),
            ("umount /", "EINVAL"),
        ],
    );
}

#[test]
fn restrictions_of_mounts_cannot_be_lifted() {
    requires!(root);
    answers(
        powerful(""),
        &[
            ("remount-rw /", "EPERM"),
            ("remount-rw /sys", "EPERM"),
            ("remount-rw /proc/sys", "EPERM"),
            ("remount-rw /sys/fs/cgroup", "EPERM"),
            ("clear / ro", "EPERM"),
            ("clear /sys ro", "EPERM"),
            ("clear /proc/sys ro", "EPERM"),
            ("clear /dev/shm nodev", "EPERM"),
            ("clear /dev/shm nosuid", "EPERM"),
            ("clear /dev/mqueue noexec", "EPERM"),
            ("clear /proc/timer_list ro", "EPERM"),
        ],
    );
}

#[test]
fn nobody_looks_under_a_mask_through_another_mount() {
    requires!(root);
    let script = "probe unshare mnt; for p in /proc /sys / /dev; do echo $p=$(probe bind $p /mnt); done; ls -A /mnt | wc -l";
    let done = Container::new(powerful(script)).verbatim().run().ok();
    for place in ["/proc", "/sys", "/", "/dev"] {
        assert_eq!(done.value(place), "EINVAL", "{}", done.stdout);
    }
    assert!(done.stdout.ends_with("\n0\n"), "{}", done.stdout);
    // In a user namespace below, too.
    let script = "unshare -Ur sh -c 'probe umount /proc/timer_list; probe remount-rw /; probe bind /proc /mnt; probe mount proc /mnt'";
    let done = Container::new(powerful(script)).verbatim().run().done();
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert!(lines.len() < 4 || !lines.contains(&"ok"), "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_process_that_joins_cannot_undo_what_the_containers_own_cannot() {
    requires!(root);
    let container = Container::new(powerful("sleep 600")).verbatim().up();
    for (line, expected) in [
        (["umount", "/proc/timer_list"], "EINVAL"),
        (["remount-rw", "/"], "EPERM"),
        (["remount-rw", "/proc/sys"], "EPERM"),
    ] {
        let done = container.exec_command(&[], &["probe", line[0], line[1]]).ok();
        assert_eq!(done.stdout.trim(), expected, "{line:?}");
    }
}

#[test]
fn kernel_knobs_of_the_host_stay_shut_although_root_is_asking() {
    requires!(root);
    let canary = Canary::new();
    let bundle = powerful("").edit(|c| {
        c["linux"].as_object_mut().unwrap().remove("maskedPaths");
        c["linux"].as_object_mut().unwrap().remove("readonlyPaths");
    });
    answers(
        bundle,
        &[
            ("open w /proc/sys/kernel/core_pattern", "EACCES|EPERM"),
            ("open w /proc/sysrq-trigger", "EACCES|EPERM|ENOENT"),
            ("open r /proc/kcore", "EACCES|EPERM|ENOENT"),
            ("open w /proc/sys/vm/overcommit_memory", "EACCES|EPERM"),
            ("mknod /dev/mem", "EPERM"),
        ],
    );
    canary.check();
}

#[test]
fn network_and_host_name_belong_to_the_container() {
    requires!(root);
    let script = "echo listen=$(probe listen 80); echo name=$(probe hostname changed); hostname; \
                  echo forward=$(echo 1 > /proc/sys/net/ipv4/ip_forward && cat /proc/sys/net/ipv4/ip_forward); \
                  ip link add d0 type dummy 2>/dev/null || ip link set lo down; echo link=$?";
    let canary = Canary::new();
    let bundle = powerful(script).edit(|c| c["linux"]["readonlyPaths"] = json!([]));
    let done = Container::new(bundle).verbatim().run().ok();
    assert_eq!((done.value("listen"), done.value("name")), ("ok", "ok"));
    assert!(done.stdout.contains("\nchanged\n"), "{}", done.stdout);
    assert_eq!((done.value("forward"), done.value("link")), ("1", "0"));
    canary.check();
}

#[test]
fn one_capability_is_enough_for_a_low_port() {
    requires!(root);
    let bundle = Bundle::sh("probe listen 80; probe hostname x")
        .capabilities(&["CAP_NET_BIND_SERVICE"])
        .user_namespace(100_000);
    let done = Container::new(bundle).run().ok();
    assert_eq!(done.stdout, "ok\nEPERM\n");
}

#[test]
fn ids_are_those_of_the_mapping_on_both_sides() {
    requires!(root);
    let bundle = powerful("id -u; id -g; stat -c %u:%g /bin/busybox /dev/null /dev/shm; cat /proc/self/uid_map; sleep 600");
    let bundle = bundle.edit(|c| c["process"]["user"] = json!({"uid": 7, "gid": 8}));
    let container = Container::new(bundle).verbatim();
    let mut run = container.run().spawn();
    run.wait_for("100000");
    let text = run.stdout();
    assert!(text.starts_with("7\n8\n0:0\n0:0\n0:0\n"), "{text}");
    let pid = container.pid();
    assert!(host::status(pid, "Uid").unwrap().starts_with("100007\t"));
    assert!(host::status(pid, "Gid").unwrap().starts_with("100008\t"));
    container.kill("KILL").ok();
    run.done();
}

#[test]
fn a_process_of_the_host_cannot_be_seen_or_signalled() {
    requires!(root);
    let own = std::process::id();
    let bundle = powerful(&format!(
        "ls /proc | grep -c '^[0-9]'; kill -0 {own} 2>&1; ls -d /proc/{own} 2>&1"
    ));
    let done = Container::new(bundle).verbatim().run().done();
    let visible: u32 = done.stdout.lines().next().unwrap().parse().unwrap();
    assert!(visible < 8, "{}", done.stdout);
    assert!(done.stdout.contains("No such process"), "{}", done.stdout);
}

#[test]
fn the_default_profile_holds_in_a_user_namespace() {
    requires!(root);
    let bundle = powerful("grep -E '^(NoNewPrivs|Seccomp|CapBnd)' /proc/self/status; probe umount /proc/timer_list; touch /x");
    let done = Container::new(bundle.edit(|c| c["root"]["readonly"] = json!(false))).run().done();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t00000000000004fb", "EPERM"] {
        assert!(done.stdout.contains(line), "{line}: {}", done.stdout);
    }
    assert!(done.stderr.contains("Read-only file system"), "{}", done.stderr);
}
