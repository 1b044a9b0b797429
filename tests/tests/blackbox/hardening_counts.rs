//! What the kernel counts per user: a container uses up its own share, and nobody else's.

use casemate_tests::command::Cmd;
use casemate_tests::{requires, Bundle, Container};
use serde_json::json;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

/// The probe, on the host.
fn probe() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().join("casemate-probe")
}

/// One container takes as much as it gets, as user 1000. Root of the host, and the same user of another container, get theirs.
fn one_container_cannot_use_up(kind: &str) {
    requires!(root);
    let greedy = Bundle::sh("sleep 600")
        .edit(|c| c["process"]["args"] = json!(["probe", "exhaust", kind, "1000000", "hold"]))
        .edit(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    let greedy = Container::new(greedy);
    let mut running = greedy.run().spawn();
    running.wait_for("used=");
    assert!(!running.stdout().contains("used=0"), "{}", running.stdout());

    let host = Cmd::new(probe(), greedy.bundle.dir()).args(["exhaust", kind, "1"]).ok();
    assert_eq!(host.value("used"), "1", "root of the host");
    let other = Bundle::sh("probe exhaust KIND 1".replace("KIND", kind).as_str())
        .edit(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}));
    assert_eq!(Container::new(other).run().ok().value("used"), "1", "another container");
    greedy.kill("KILL").ok();
    running.done();
}

#[test]
fn inotify_instances_of_one_container_are_not_missing_elsewhere() {
    one_container_cannot_use_up("inotify");
}

#[test]
fn signals_queued_in_one_container_are_not_missing_elsewhere() {
    one_container_cannot_use_up("signals");
}

#[test]
fn message_queues_of_one_container_are_not_missing_elsewhere() {
    one_container_cannot_use_up("queues");
}

/// The uid that the kernel counts a user namespace's use for: ioctl_nsfs(2), NS_GET_OWNER_UID.
fn maker_of(pid: i32) -> u32 {
    const NS_GET_OWNER_UID: libc::c_ulong = 0xb704;
    let namespace = std::fs::File::open(format!("/proc/{pid}/ns/user")).unwrap();
    let mut uid: libc::uid_t = 0;
    // SAFETY: this request writes one uid_t.
    let result = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_OWNER_UID as _, &raw mut uid) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    uid
}

fn mapped(first: u32) -> Bundle {
    Bundle::sh("sleep 600").edit(|c| {
        let map = json!([{"containerID": 0, "hostID": first, "size": 1000}]);
        c["linux"]["uidMappings"] = map.clone();
        c["linux"]["gidMappings"] = map;
        c["linux"]["namespaces"].as_array_mut().unwrap().push(json!({"type": "user"}));
    })
}

/// Namespaces are counted so too, but there are tens of thousands of them to be had.
#[test]
fn a_user_namespace_is_made_by_the_containers_own_root() {
    requires!(root);
    let automatic = Container::new(Bundle::sh("sleep 600")).up();
    let map = std::fs::read_to_string(format!("/proc/{}/uid_map", automatic.pid())).unwrap();
    let root = map.split_whitespace().nth(1).unwrap();
    assert_eq!(maker_of(automatic.pid()).to_string(), root);

    let asked_for = Container::new(mapped(700_000)).up();
    assert_eq!(maker_of(asked_for.pid()), 700_000);
    // Outside, the maker of a user namespace has every capability over it: nobody who may be a person.
    let of_a_person = Container::new(mapped(1000)).verbatim().up();
    assert_eq!(maker_of(of_a_person.pid()), 0);
}

/// A new user namespace holds the number of its processes to the RLIMIT_NPROC of a maker that is not root: the runtime's caller
/// has one of its own, which is not the container's.
#[test]
fn the_callers_limit_of_processes_is_not_the_containers() {
    requires!(root);
    let bundle = Bundle::sh("for i in 1 2 3 4 5 6; do sleep 600 & done; echo up; wait").edit(|c| {
        c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_NPROC", "soft": 100, "hard": 100}]);
    });
    let container = Container::new(bundle);
    let mut run = container.run();
    // SAFETY: one system call between fork and exec.
    unsafe {
        run.inner.pre_exec(|| {
            let limit = libc::rlimit { rlim_cur: 3, rlim_max: 1000 };
            match libc::setrlimit(libc::RLIMIT_NPROC, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let mut running = run.spawn();
    running.wait_for("up");
    container.kill("KILL").ok();
    running.done();
}
