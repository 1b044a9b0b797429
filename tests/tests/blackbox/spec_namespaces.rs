//! Namespaces: new, joined and absent; id mappings; time offsets; network devices.

use casemate_tests::{host, programs, requires, Bundle, Canary, Cmd, Container};
use serde_json::{json, Value};
use std::path::Path;
use std::process::Command;

/// Kind in config.json, file in /proc/PID/ns.
const KINDS: [(&str, &str); 7] = [
    ("pid", "pid"),
    ("network", "net"),
    ("mount", "mnt"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("cgroup", "cgroup"),
    ("time", "time"),
];

fn own(file: &str) -> String {
    std::fs::read_link(format!("/proc/thread-self/ns/{file}")).unwrap().display().to_string()
}

fn add(config: &mut Value, namespace: Value) {
    config["linux"]["namespaces"].as_array_mut().unwrap().push(namespace);
}

/// Print the container's namespaces as `net=net:[...]` lines.
const LIST: &str = "for n in /proc/self/ns/*; do echo ${n##*/}=$(readlink $n); done; echo pid1=$$";

/// A process that holds new namespaces of these kinds, for others to join.
struct Holder(casemate_tests::Running);

impl Holder {
    fn new(dir: &Path, options: &[&str]) -> Self {
        let command =
            Cmd::new("unshare", dir).args(options).args(["sh", "-c", "echo up; exec sleep 600"]);
        let mut running = command.spawn();
        running.wait_for("up");
        Self(running)
    }

    fn path(&self, file: &str) -> String {
        format!("/proc/{}/ns/{file}", self.0.pid())
    }

    fn link(&self, file: &str) -> String {
        std::fs::read_link(self.path(file)).unwrap().display().to_string()
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.signal(libc::SIGKILL);
    }
}

#[test]
fn every_listed_namespace_is_a_new_one() {
    requires!(root);
    let bundle = Bundle::sh(LIST).edit(|c| add(c, json!({"type": "time"}))).user_namespace(100_000);
    let container = Container::new(bundle).verbatim();
    let done = container.output();
    for (_, file) in KINDS.into_iter().chain([("user", "user")]) {
        assert_ne!(done.value(file), own(file), "{file}");
    }
    assert_eq!(done.value("pid1"), "1");
}

#[test]
fn a_user_namespace_without_mappings_has_the_caller_as_its_root() {
    requires!(root);
    let script = "echo map=$(cat /proc/self/uid_map) $(cat /proc/self/gid_map)";
    // The group of its terminals would have to be mapped.
    let open =
        || Bundle::sh(script).without_mount("/dev/pts").edit(|c| add(c, json!({"type": "user"})));
    let done = Container::new(open()).verbatim().output();
    assert_eq!(done.value("map").trim_start(), "0 0 1 0 0 1");
    // The default profile gives the one that was asked for, with ids of nobody.
    let done = Container::new(open()).output();
    let map: Vec<&str> = done.value("map").split_whitespace().collect();
    assert!(map[0] == "0" && map[1] != "0" && map[2] == "65536", "{map:?}");
}

#[test]
fn a_namespace_that_is_not_listed_is_the_callers() {
    requires!(root);
    for (kind, file) in KINDS.into_iter().filter(|(kind, _)| !["mount", "time"].contains(kind)) {
        let bundle = Bundle::sh(LIST).without_namespace(kind).edit(|c| {
            if kind == "uts" {
                c.as_object_mut().unwrap().remove("hostname");
            }
        });
        let container = Container::new(bundle).verbatim();
        let done = container.output();
        assert_eq!(done.value(file), own(file), "{kind}");
        assert_ne!(done.value("mnt"), own("mnt"), "{kind}");
    }
}

#[test]
fn a_namespace_with_a_path_is_joined() {
    requires!(root);
    let mut container = Container::new(Bundle::sh(LIST)).verbatim();
    let dir = container.bundle.dir().to_owned();
    let holder = Holder::new(
        &dir,
        &["--net", "--ipc", "--uts", "--cgroup", "--time", "--pid", "--fork", "--kill-child"],
    );
    for (kind, file) in KINDS.into_iter().filter(|(kind, _)| !["mount", "pid"].contains(kind)) {
        let path = holder.path(file);
        let config = &mut container.bundle.config;
        config["linux"]["namespaces"].as_array_mut().unwrap().retain(|ns| ns["type"] != kind);
        if kind == "uts" {
            config.as_object_mut().unwrap().remove("hostname");
        }
        add(config, json!({"type": kind, "path": path}));
    }
    let done = container.output();
    for file in ["net", "ipc", "uts", "cgroup", "time"] {
        assert_eq!(done.value(file), holder.link(file), "{file}");
    }
}

#[test]
fn a_pid_namespace_with_a_path_is_joined_by_init_too() {
    requires!(root);
    let first = Container::new(Bundle::sh("sleep 600")).verbatim().up();
    let path = format!("/proc/{}/ns/pid", first.pid());
    let bundle = Bundle::sh(LIST)
        .without_namespace("pid")
        .edit(|c| add(c, json!({"type": "pid", "path": path})));
    let second = Container::new(bundle).verbatim();
    let done = second.output();
    assert_eq!(done.value("pid"), std::fs::read_link(path).unwrap().display().to_string());
    assert_ne!(done.value("pid1"), "1");
}

#[test]
fn a_user_namespace_with_a_path_is_joined_with_its_maps() {
    requires!(root);
    let first = Container::new(Bundle::sh("sleep 600").user_namespace(100_000)).verbatim().up();
    let path = format!("/proc/{}/ns/user", first.pid());
    let map = |size: u32| json!([{"containerID": 0, "hostID": 100_000, "size": size}]);
    // Both what containerd sends (path and the same mappings) and the path alone.
    for mappings in [Value::Null, map(65536)] {
        let bundle = Bundle::sh(
            "echo user=$(readlink /proc/self/ns/user); echo map=$(echo $(cat /proc/self/uid_map))",
        );
        let bundle = bundle.user_namespace(100_000).edit(|c| {
            c["linux"]["uidMappings"] = mappings.clone();
            c["linux"]["gidMappings"] = mappings.clone();
            c["linux"]["namespaces"].as_array_mut().unwrap().retain(|ns| ns["type"] != "user");
            add(c, json!({"type": "user", "path": path}));
        });
        let done = Container::new(bundle).verbatim().output();
        assert_eq!(done.value("user"), std::fs::read_link(&path).unwrap().display().to_string());
        assert_eq!(done.value("map"), "0 100000 65536");
    }
    let bundle = Bundle::sh("true").edit(|c| {
        c["linux"]["uidMappings"] = map(10);
        c["linux"]["gidMappings"] = map(10);
        add(c, json!({"type": "user", "path": path}));
    });
    let text = Container::new(bundle).verbatim().run().refused();
    assert!(text.contains("linux.uidMappings"), "{text}");
}

#[test]
fn a_namespace_path_of_another_kind_is_refused() {
    requires!(root);
    for path in ["/proc/1/ns/net", "/etc/hostname", "/no/such/namespace"] {
        let bundle = Bundle::sh("true")
            .without_namespace("ipc")
            .edit(|c| add(c, json!({"type": "ipc", "path": path})));
        let container = Container::new(bundle).verbatim();
        let text = container.run().refused();
        assert!(text.contains("linux.namespaces") && text.contains(path), "{text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn ids_are_mapped_as_listed() {
    requires!(root);
    let bundle =
        Bundle::sh("cat /proc/self/uid_map /proc/self/gid_map; touch /tmp/f; echo uid=$(id -u)")
            .user_namespace(100_000)
            .edit(|c| {
                let map = json!([
                    {"containerID": 0, "hostID": 100_000, "size": 1000},
                    {"containerID": 1000, "hostID": 300_000, "size": 10}
                ]);
                c["linux"]["uidMappings"] = map.clone();
                c["linux"]["gidMappings"] = map;
                c["process"]["user"] = json!({"uid": 1005, "gid": 1001, "additionalGids": [7]});
                c["root"]["readonly"] = json!(false);
            });
    let container = Container::new(bundle).verbatim();
    std::fs::set_permissions(
        container.bundle.rootfs().join("tmp"),
        std::os::unix::fs::PermissionsExt::from_mode(0o1777),
    )
    .unwrap();
    let done = container.output();
    assert_eq!(done.value("uid"), "1005");
    assert_eq!(done.stdout.matches("1000     300000         10").count(), 2, "{}", done.stdout);
    let meta = std::fs::metadata(container.bundle.rootfs().join("tmp/f")).unwrap();
    use std::os::unix::fs::MetadataExt;
    assert_eq!((meta.uid(), meta.gid()), (300_005, 300_001));
}

#[test]
fn clocks_are_shifted_by_the_time_offsets() {
    requires!(root);
    let bundle = Bundle::sh("probe clock").edit(|c| {
        add(c, json!({"type": "time"}));
        c["linux"]["timeOffsets"] =
            json!({"monotonic": {"secs": 1_000_000, "nanosecs": 5}, "boottime": {"secs": 2_000_000}});
    });
    let container = Container::new(bundle).verbatim();
    let done = container.output();
    let uptime: f64 = std::fs::read_to_string("/proc/uptime")
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let near = |key: &str, offset: f64| {
        (done.value(key).parse::<f64>().unwrap() - offset - uptime).abs() < 100.0
    };
    assert!(near("monotonic", 1e6) && near("boottime", 2e6), "{} at {uptime}", done.stdout);

    // A process that joins sees the same clock.
    let mut container = container;
    container.bundle.config["process"]["args"] = json!(["sleep", "600"]);
    let container = container.up();
    let done = container.exec_command(&[], &["probe", "clock"]).ok();
    assert!(done.value("boottime").parse::<f64>().unwrap() > 2e6, "{}", done.stdout);
}

#[test]
fn host_and_domain_name_are_the_containers_own() {
    requires!(root);
    let canary = Canary::new();
    let bundle = Bundle::sh(
        "echo host=$(hostname); echo domain=$(cat /proc/sys/kernel/domainname)",
    )
    .edit(|c| {
        c["hostname"] = json!("inner");
        c["domainname"] = json!("inner.example");
    });
    let done = Container::new(bundle).output();
    assert_eq!((done.value("host"), done.value("domain")), ("inner", "inner.example"));
    canary.check();
}

#[test]
fn the_loopback_device_of_a_new_network_namespace_is_up() {
    requires!(root);
    let done = Container::new(Bundle::sh("ip addr show lo; probe listen 2000")).output();
    assert!(done.stdout.contains("127.0.0.1/8") && done.stdout.contains("UP"), "{}", done.stdout);
    assert!(done.stdout.ends_with("ok\n"), "{}", done.stdout);
}

/// A network namespace for the calling thread, with a pair of devices in it.
fn with_devices() -> bool {
    host::isolate();
    // SAFETY: a thread may leave its network namespace at any time.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return false;
    }
    let script = "ip link set lo up && ip link add cmd0 type veth peer name cmd1 && ip addr add 10.77.0.2/24 brd + dev cmd0 \
        && ip addr add fd77::2/64 dev cmd0 nodad && ip link set cmd0 up";
    programs::status(std::process::Command::new("sh").args(["-c", script]))
        .is_ok_and(|status| status.success())
}

/// Names, addresses, and which are set up.
fn devices() -> String {
    let script = "ip -br addr; ip -o link show up";
    let done = programs::output(std::process::Command::new("sh").args(["-c", script])).unwrap();
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    // What the link layer and IPv6 make of it comes and goes.
    let fields = |line: &str| {
        let kept = line
            .split_whitespace()
            .filter(|word| word.contains(['/', '@']) && !word.starts_with("fe80"));
        kept.collect::<Vec<_>>().join(" ")
    };
    let mut lines: Vec<_> = text.lines().map(fields).collect();
    lines.sort();
    lines.join("\n")
}

#[test]
fn network_devices_move_into_the_container_with_name_and_addresses() {
    requires!(root);
    requires!(program "ip");
    requires!(with_devices(), "this kernel has no veth devices");
    let script = "ip addr; echo sysctl=$(cat /proc/sys/net/ipv4/conf/eth0/forwarding)";
    let bundle = Bundle::sh(script).edit(|c| {
        c["linux"]["netDevices"] = json!({"cmd0": {"name": "eth%d"}, "cmd1": {}});
        c["linux"]["sysctl"] = json!({"net.ipv4.conf.eth0.forwarding": "1"});
    });
    let done = Container::new(bundle).verbatim().output();
    for part in ["eth0@", "cmd1@", "inet 10.77.0.2/24 brd 10.77.0.255", "inet6 fd77::2/64", ",UP,"]
    {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert_eq!(done.value("sysctl"), "1");
}

#[test]
fn network_devices_move_into_a_user_namespaces_network() {
    requires!(root);
    requires!(program "ip");
    requires!(with_devices(), "this kernel has no veth devices");
    let bundle = || {
        Bundle::sh("ip -o link | cut -d: -f2")
            .user_namespace(100_000)
            .edit(|c| c["linux"]["netDevices"] = json!({"cmd0": {"name": "net0"}}))
    };
    let before = devices();
    let refused = Container::new(bundle()).run().refused();
    assert!(refused.contains("the host would lose the device"), "{refused}");
    assert_eq!(devices(), before);
    let done = Container::new(bundle()).global(&["--allow", "network.devices"]).output();
    assert!(done.stdout.contains(" net0@"), "{}", done.stdout);
}

#[test]
fn a_failed_create_gives_network_devices_back() {
    requires!(root);
    requires!(program "ip");
    requires!(with_devices(), "this kernel has no veth devices");
    let before = devices();
    assert!(before.contains("10.77.0.2/24"), "{before}");
    let cases = [
        (json!({"cmd0": {"name": "eth0"}, "cmd1": {"name": "lo"}}), "sh", "linux.netDevices.cmd1"),
        (json!({"cmd0": {}, "cmd9": {}}), "sh", "linux.netDevices.cmd9: no such network device"),
        (json!({"cmd0": {}, "cmd1": {}}), "/no/such/program", "no such file or directory"),
    ];
    for (devices_asked, program, message) in cases {
        let bundle =
            Bundle::new().args(&[program]).edit(|c| c["linux"]["netDevices"] = devices_asked);
        let container = Container::new(bundle).global(&["--allow", "network.devices"]);
        let text = container.run().refused();
        assert!(text.contains(message), "{text}");
        assert_eq!(devices(), before);
    }
}

#[test]
fn a_cgroup_namespace_of_another_container_shows_its_cgroup_and_no_others() {
    requires!(root);
    host::isolate();
    let line = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup";
    programs::output(Command::new("sh").args(["-c", line])).unwrap();
    requires!(host::cgroup_mount().is_some(), "needs cgroup2");
    let first = Container::new(Bundle::sh("sleep 600")).up();
    let path = format!("/proc/{}/ns/cgroup", first.pid());
    for profile in ["hardened", "baseline", "privileged"] {
        // The top of the hierarchy has no such file.
        let script = "test -e /sys/fs/cgroup/cgroup.events && echo inside; ls -d /sys/fs/cgroup/*/";
        let cgroup = json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup"});
        let bundle = Bundle::sh(script)
            .without_namespace("cgroup")
            .edit(|c| add(c, json!({"type": "cgroup", "path": path})))
            .mount(json!({"destination": "/sys", "type": "sysfs", "source": "sysfs"}))
            .mount(cgroup);
        let done = Container::new(bundle).global(&["--profile", profile]).run().done();
        assert_eq!(done.stdout, "inside\n", "{profile}: {}", done.stderr);
    }
}

/// Bound from the host it must not be the host's any more: with shared propagation the two would get each other's mounts.
#[test]
fn what_is_mounted_on_the_cgroup_file_system_is_not_mounted_on_the_hosts() {
    requires!(root);
    let canary = Canary::new();
    let script = "mount -t tmpfs mine /sys/fs/cgroup && grep -c mine /proc/self/mountinfo";
    let bundle = Bundle::sh(script)
        .all_capabilities()
        .without_namespace("cgroup")
        .edit(|c| c["linux"]["rootfsPropagation"] = json!("rshared"));
    let done = Container::new(bundle).verbatim().run().ok();
    assert_eq!(done.stdout, "1\n", "{}", done.stderr);
    canary.check();
}
