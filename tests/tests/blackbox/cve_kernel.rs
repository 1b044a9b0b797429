//! Holes of the kernel that were open to containers, and the doors to them that the default profile keeps shut.

use casemate_tests::{host, requires, Bundle, Container, Done};
use serde_json::json;

/// What each attempt answers under the default profile, with every capability asked for and no filter of the bundle's
/// own: what raw Kubernetes pods look like.
fn attempts(lines: &[&str]) -> Done {
    let script: Vec<String> =
        lines.iter().map(|line| format!("echo \"{line}=$(probe {line})\"")).collect();
    let bundle = Bundle::sh(&script.join("\n")).all_capabilities();
    Container::new(bundle.edit(|c| c["process"]["noNewPrivileges"] = json!(false))).run().ok()
}

fn all_refused(lines: &[&str]) {
    let done = attempts(lines);
    for line in lines {
        let answer = done.value(line);
        assert!(
            ["EPERM", "ENOSYS", "EAFNOSUPPORT", "EACCES"].contains(&answer),
            "{line}: {answer:?}"
        );
    }
}

#[test]
fn cve_2022_0185_no_user_namespace_and_no_mount_interface() {
    requires!(root);
    all_refused(&[
        "unshare user",
        "unshare user,mnt",
        "unshare mnt",
        "call fsopen",
        "call open_tree",
        "call move_mount",
        "call mount_setattr",
        "mount tmpfs /tmp",
        "umount /proc",
        "pivot /tmp",
        "call setns",
    ]);
}

#[test]
fn cve_2022_0492_no_cgroup_can_be_mounted_or_written() {
    requires!(root);
    all_refused(&[
        "unshare user,mnt,cgroup",
        "unshare cgroup",
        "mount cgroup /tmp",
        "mount cgroup2 /tmp",
    ]);
    let done = Container::new(Bundle::sh("mkdir /sys/fs/cgroup/x")).run().done();
    assert!(done.stderr.contains("Read-only"), "{}", done.stderr);
}

#[test]
fn cve_2024_1086_no_network_administration_in_a_namespace_of_ones_own() {
    requires!(root);
    all_refused(&["unshare user,net", "unshare net"]);
}

#[test]
fn cve_2026_31431_no_kernel_crypto_sockets_by_either_abi() {
    requires!(root);
    // AF_ALG, AF_VSOCK, AF_PACKET, AF_CAN, AF_TIPC, AF_BLUETOOTH, AF_RDS, AF_KCM, AF_XDP.
    all_refused(&[
        "socket 38",
        "socket 40",
        "socket 17",
        "socket 29",
        "socket 30",
        "socket 31",
        "socket 21",
        "socket 41",
        "socket 44",
    ]);
    let done = attempts(&["socket 1", "socket 2"]);
    assert_eq!((done.value("socket 1"), done.value("socket 2")), ("ok", "ok"));
    // The other entry into the kernel does not answer at all.
    let bundle = Bundle::sh("probe socket32 38; echo status=$?");
    let done = Container::new(bundle).run().done();
    assert!(!done.stdout.contains("ok"), "{}", done.stdout);
}

#[test]
fn cve_2022_29582_no_io_uring_and_no_other_large_door() {
    requires!(root);
    let done = attempts(&["call io_uring_setup"]);
    assert_eq!(done.value("call io_uring_setup"), "ENOSYS");
    all_refused(&[
        "call io_uring_setup",
        "call bpf",
        "call perf_event_open",
        "call userfaultfd",
        "call keyctl",
        "call add_key",
        "call request_key",
        "call kexec_load",
        "call init_module",
        "call open_by_handle_at",
        "call swapon",
        "call reboot",
        "mknod /tmp/mem",
        "hostname other",
    ]);
    // Libraries fall back to clone(2) when clone3(2) does not exist, and only then.
    assert_eq!(attempts(&["call clone3"]).value("call clone3"), "ENOSYS");
}

/// TIOCSTI and TIOCLINUX (CVE-2017-5226 and its like); the kernel looks at the lower half of the request only.
#[test]
fn cve_2017_5226_no_characters_are_pushed_into_the_callers_terminal() {
    requires!(root);
    let lines = ["ioctl 0x5412", "ioctl 0x541c", "ioctl 0x100005412", "ioctl 0x7fffffff00005412"];
    let done = attempts(&lines);
    for line in lines {
        assert!(["EPERM", "EACCES"].contains(&done.value(line)), "{line}: {}", done.stdout);
    }
}

#[test]
fn the_same_doors_are_open_to_a_bundle_that_is_taken_word_for_word() {
    requires!(root);
    // Else the tests above would pass on a kernel that has none of these.
    let script = "for f in 'socket 17' 'unshare mnt' 'hostname x' 'call io_uring_setup'; do echo \"$f=$(probe $f)\"; done";
    let bundle = Bundle::sh(script).all_capabilities();
    let done = Container::new(bundle.edit(|c| c["process"]["noNewPrivileges"] = json!(false)))
        .verbatim()
        .run()
        .ok();
    for line in ["socket 17", "unshare mnt", "hostname x"] {
        assert_eq!(done.value(line), "ok", "{}", done.stdout);
    }
    assert!(host::is_root());
}
