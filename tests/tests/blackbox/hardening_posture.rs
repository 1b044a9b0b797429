//! The posture of each profile: what a payload that tries everything gets done in a bundle as podman writes it. The
//! golden files hold `ok` or `no` for each attempt; CASEMATE_BLESS=1 writes them anew.

use casemate_tests::scratch::{self, Dir};
use casemate_tests::{programs, requires, Bundle, Canary, Container};
use serde_json::{json, Map, Value};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

/// What these show depends on the machine: its hardware, what its kernel was built with, how much memory may be locked.
const DEPENDS_ON_THE_HOST: [&str; 22] = [
    "list acpi",
    "list asound",
    "list scsi",
    "list powercap",
    "list debugfs",
    "list tracefs",
    "list securityfs",
    "list slab",
    "list bpffs",
    "list /sys/firmware",
    "read kallsyms",
    "read keys",
    "write a pressure trigger",
    "more processes than the limit",
    "lock all memory",
    "a higher hard limit",
    "sandboxing by landlock",
    "uselib",
    "lookup_dcookie",
    "the 32-bit entry",
    "vsock",
    "unshare time",
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The configuration of `podman run`, without what only podman's host has.
fn as_podman_writes_it() -> Bundle {
    let fixture = repository().join("tests/fixtures/podman-default/config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(fixture).unwrap()).unwrap();
    config["root"]["path"] = json!("rootfs");
    config["mounts"].as_array_mut().unwrap().retain(|mount| mount["type"] != "bind");
    config["mounts"].as_array_mut().unwrap().push(json!({
        "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64000k"]
    }));
    let process = config["process"].as_object_mut().unwrap();
    process.remove("apparmorProfile");
    process.insert("rlimits".to_owned(), json!([]));
    let linux = config["linux"].as_object_mut().unwrap();
    linux.remove("cgroupsPath");
    linux["resources"].as_object_mut().unwrap().remove("pids");
    for namespace in linux["namespaces"].as_array_mut().unwrap() {
        namespace.as_object_mut().unwrap().remove("path");
    }
    let mut bundle = Bundle::new();
    bundle.config = config;
    with_attacker(bundle).args(&["/bin/attack"])
}

/// The payload: as it is, set-user-ID, and with a file capability.
fn with_attacker(bundle: Bundle) -> Bundle {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("casemate-attack");
    let bin = bundle.rootfs().join("bin");
    for (name, mode) in [("attack", 0o755), ("attack-suid", 0o4755), ("attack-caps", 0o755)] {
        programs::copy(&program, &bin.join(name));
        std::fs::set_permissions(bin.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    give_net_raw(&bin.join("attack-caps"));
    let libraries = programs::output(Command::new("ldd").arg(&program)).unwrap().stdout;
    for library in
        String::from_utf8_lossy(&libraries).split_whitespace().filter(|w| w.starts_with('/'))
    {
        let to = bundle.rootfs().join(library.trim_start_matches('/'));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        programs::copy(Path::new(library), &to);
    }
    bundle
}

/// security.capability, version 2, effective, CAP_NET_RAW (capabilities(7)).
fn give_net_raw(path: &Path) {
    let words = [0x0200_0001u32, 1 << 13, 0, 0, 0];
    let value: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let name = std::ffi::CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: C strings, and pointer and length of one vector.
    let done = unsafe {
        libc::setxattr(
            name.as_ptr(),
            c"security.capability".as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    };
    assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
}

/// A process and an abstract socket outside of every container, for the payload to reach for.
struct Bait {
    process: Child,
    _socket: std::os::unix::net::UnixListener,
    name: String,
}

impl Bait {
    fn new() -> Self {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("casemate-bait-{}-{}", scratch::run(), scratch::number());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let socket = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
        let process = programs::start(Command::new("sleep").arg("600")).unwrap();
        Self { process, _socket: socket, name }
    }

    fn put_into(&self, bundle: Bundle) -> Bundle {
        bundle.edit(|c| {
            let env = c["process"]["env"].as_array_mut().unwrap();
            env.push(json!(format!("ATTACK_PID={}", self.process.id())));
            env.push(json!(format!("ATTACK_SOCKET={}", self.name)));
        })
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Run the payload; every attempt as `ok` or `no`, and its state.
fn posture(bundle: Bundle, options: &[&str]) -> Map<String, Value> {
    let bait = Bait::new();
    let done = Container::new(bait.put_into(bundle)).global(options).run().ok();
    let mut all: Map<String, Value> = serde_json::from_str(&done.stdout).expect(&done.stdout);
    for (_, group) in all.iter_mut().filter(|(name, _)| *name != "state") {
        let group = group.as_object_mut().unwrap();
        group.retain(|name, _| !DEPENDS_ON_THE_HOST.contains(&name.as_str()));
        for result in group.values_mut() {
            *result = json!(if result == "ok" { "ok" } else { "no" });
        }
    }
    all
}

fn check(profile: &str, seen: &Map<String, Value>) {
    let path = repository().join(format!("tests/golden/posture/{profile}.json"));
    let text = serde_json::to_string_pretty(seen).unwrap() + "\n";
    if std::env::var_os("CASEMATE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
        return;
    }
    let golden = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{}: CASEMATE_BLESS=1 writes what was seen", path.display());
}

#[test]
fn privileged_leaves_what_the_configuration_leaves() {
    requires!(root);
    check("privileged", &posture(as_podman_writes_it(), &["--profile", "privileged"]));
}

#[test]
fn baseline_takes_the_rarely_needed() {
    requires!(root);
    check("baseline", &posture(as_podman_writes_it(), &["--profile", "baseline"]));
}

#[test]
fn hardened_lets_nothing_through_that_a_service_does_not_need() {
    requires!(root);
    let canary = Canary::new();
    check("hardened", &posture(as_podman_writes_it(), &[]));
    canary.check();
}

/// Natively there are often no controllers for the limits that it insists on.
#[test]
fn restricted_lets_the_least_through() {
    requires!(root);
    let bundle = as_podman_writes_it()
        .edit(|c| c["process"]["user"] = json!({"uid": 1000, "gid": 1000}))
        .capabilities(&[]);
    let options = ["--profile", "restricted", "--allow", "memory.unlimited,pids.unlimited"];
    check("restricted", &posture(bundle, &options));
}

/// mount_namespaces(7): what came from a more privileged mount namespace is locked together.
#[test]
fn with_cap_sys_admin_in_its_user_namespace_a_payload_can_undo_nothing_of_its_mounts() {
    requires!(root);
    let read_only = Dir::new("locked");
    std::fs::write(read_only.path().join("file"), "x").unwrap();
    let bundle = as_podman_writes_it().args(&["/bin/attack", "--locked"]).all_capabilities().bind(
        read_only.path(),
        "/volume",
        &["ro", "nosuid", "nodev", "noexec"],
    );
    let options = ["--allow", "capabilities.sys_admin,seccomp.unconfined,seccomp.mount"];
    let bundle = bundle.edit(|c| {
        c["linux"].as_object_mut().unwrap().remove("seccomp");
    });
    let done = Container::new(bundle).global(&options).run().ok();
    let seen: Map<String, Value> = serde_json::from_str(&done.stdout).expect(&done.stdout);
    assert_eq!(seen["may mount at all"], "ok", "{seen:?}");
    for (attempt, result) in seen.iter().filter(|(name, _)| *name != "may mount at all") {
        let (undone, of) = result.as_str().unwrap().split_once(" of ").unwrap();
        assert_eq!(undone, "0", "{attempt}: {result}");
        assert_ne!(of, "0", "{attempt}");
    }
    for attempt in ["unmount a mask", "look below a mask", "make a read-only mount writable"] {
        assert!(seen.contains_key(attempt), "{seen:?}");
    }
}
