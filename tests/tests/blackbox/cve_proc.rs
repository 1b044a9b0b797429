//! What the runtime writes to, or hides in, /proc, and the devices and terminals that an image replaces.

use casemate_tests::bundle::write;
use casemate_tests::{programs, requires, Bundle, Canary, Container};
use serde_json::json;
use std::os::unix::fs::symlink;
use std::path::Path;

fn mknod(path: &Path, major: u32, minor: u32) {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).unwrap();
    // SAFETY: a C string that lives through the call.
    let result =
        unsafe { libc::mknod(path.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(major, minor)) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

/// Ways to have something else than the null device under its name.
const NULLS: [&str; 6] = [
    "link to core_pattern",
    "link to the host",
    "regular file",
    "zero device",
    "directory",
    "absent",
];

fn fake_null(dir: &Path, how: &str, canary: &Path) {
    let null = dir.join("null");
    match how {
        "link to core_pattern" => symlink("/proc/sys/kernel/core_pattern", null).unwrap(),
        "link to the host" => symlink(canary.join("secret"), null).unwrap(),
        "regular file" => write(&null, "not null\n"),
        "zero device" => mknod(&null, 1, 5),
        "directory" => std::fs::create_dir(null).unwrap(),
        _ => {}
    }
}

#[test]
fn a_place_for_proc_that_is_a_link_is_refused_in_runcs_words() {
    requires!(root);
    for point in ["proc", "sys"] {
        let bundle = Bundle::sh("true");
        let place = bundle.rootfs().join(point);
        // The test's root file system may lack the directory.
        std::fs::remove_dir(&place).ok();
        symlink("/tmp", &place).unwrap();
        let text = Container::new(bundle).verbatim().run().refused();
        assert!(text.contains("must be mounted on ordinary directory"), "{point}: {text}");
    }
}

#[test]
fn cve_2025_31133_masks_do_not_depend_on_the_null_device_of_the_image() {
    requires!(root);
    let canary = Canary::new();
    for how in NULLS {
        let script = "for f in /proc/timer_list /proc/keys; do echo $f=$(wc -c < $f); done; \
                      echo dir=$(ls -A /sys/firmware | wc -l); cat /proc/sys/kernel/core_pattern; \
                      echo w=$(probe open w /proc/timer_list)";
        let mut bundle = Bundle::sh(script);
        for mount in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
            bundle = bundle.without_mount(mount);
        }
        let dev = bundle.dir().join("own-dev");
        std::fs::create_dir(&dev).unwrap();
        fake_null(&dev, how, canary.dir());
        let container = Container::new(bundle.bind(&dev, "/dev", &["rw"])).verbatim();
        let done = container.run().done();
        if done.code() == 0 {
            assert_eq!(done.value("/proc/timer_list"), "0", "{how}: {}", done.stdout);
            assert_eq!(done.value("/proc/keys"), "0", "{how}: {}", done.stdout);
            assert_eq!(done.value("dir"), "0", "{how}: {}", done.stdout);
            assert_ne!(done.value("w"), "ok", "{how}: {}", done.stdout);
        } else {
            assert!(done.stderr.contains("/dev/null"), "{how}: {}", done.stderr);
        }
        canary.check();
    }
}

#[test]
fn cve_2025_31133_masks_hold_when_no_device_is_made_at_all() {
    requires!(root);
    let canary = Canary::new();
    // The rootfs itself is /dev's owner: a link to what an attacker wants written.
    let mut bundle =
        Bundle::sh("wc -c < /proc/timer_list; wc -c < /secret; cat /proc/sys/kernel/core_pattern")
            .edit(|c| {
                c["linux"]["maskedPaths"] =
                    json!(["/proc/timer_list", "/secret", "/link", "/absent/path"])
            });
    for mount in ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"] {
        bundle = bundle.without_mount(mount);
    }
    write(&bundle.rootfs().join("secret"), "of the image\n");
    symlink("/proc/sys/kernel/core_pattern", bundle.rootfs().join("link")).unwrap();
    let done = Container::new(bundle).verbatim().run().done();
    let host = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    assert_eq!(done.code(), 0, "{}", done.stderr);
    // The last: a link that is masked covers what it leads to.
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!(lines[..2], ["0", "0"], "{}", done.stdout);
    assert!(lines.len() == 2 || lines[2] == host.trim_end(), "{}", done.stdout);
    canary.check();
}

#[test]
fn cve_2025_52565_a_terminal_is_a_pty_whatever_lies_in_dev_pts() {
    requires!(root);
    let canary = Canary::new();
    for how in ["file", "link", "link to a directory", "null device"] {
        let script = "stat -c %t /dev/console; stat -c %t -L /proc/self/fd/0";
        let bundle = Bundle::sh(script)
            .without_mount("/dev/pts")
            .edit(|c| c["process"]["terminal"] = json!(true));
        let pts = bundle.dir().join("pts");
        std::fs::create_dir(&pts).unwrap();
        match how {
            "file" => write(&pts.join("ptmx"), "no terminal\n"),
            "link" => symlink(canary.dir().join("ptmx"), pts.join("ptmx")).unwrap(),
            "link to a directory" => symlink(canary.dir(), pts.join("ptmx")).unwrap(),
            _ => mknod(&pts.join("ptmx"), 1, 3),
        }
        symlink("/proc/sysrq-trigger", pts.join("0")).unwrap();
        let container = Container::new(bundle.bind(&pts, "/dev/pts", &["rw"])).verbatim();
        let message = container.run().refused();
        assert!(message.contains("terminal") || message.contains("ptmx"), "{how}: {message}");
        canary.check();
    }
}

#[test]
fn cve_2025_52565_the_console_is_a_pty_in_an_ordinary_container() {
    requires!(root);
    let canary = Canary::new();
    let script = "stat -c %t /dev/console; stat -L -c %t /proc/self/fd/0; wc -c < /proc/timer_list";
    let bundle = Bundle::sh(script).edit(|c| c["process"]["terminal"] = json!(true));
    // A link where the console is bound, in a /dev that the image brings.
    let done = Container::new(bundle).run().done();
    let lines: Vec<&str> = done.stdout.lines().map(str::trim).collect();
    assert_eq!(lines, ["88", "88", "0"], "{}", done.stderr);
    canary.check();
}

#[test]
fn cve_2025_52565_a_console_that_is_a_link_is_refused() {
    requires!(root);
    let canary = Canary::new();
    for target in
        ["/proc/sysrq-trigger".to_owned(), canary.dir().join("console").display().to_string()]
    {
        let mut bundle = Bundle::sh("true").edit(|c| c["process"]["terminal"] = json!(true));
        for mount in ["/dev", "/dev/shm", "/dev/mqueue"] {
            bundle = bundle.without_mount(mount);
        }
        symlink(&target, bundle.rootfs().join("dev/console")).unwrap();
        std::fs::create_dir(bundle.rootfs().join("dev/pts")).unwrap();
        let bundle = bundle.edit(|c| c["root"]["readonly"] = json!(false));
        let message = Container::new(bundle).verbatim().run().refused();
        assert!(message.contains("/dev/console"), "{message}");
        canary.check();
    }
}

#[test]
fn cve_2025_52881_kernel_parameters_are_written_where_they_belong_whatever_covers_proc() {
    requires!(root);
    requires!(program "nsenter");
    let canary = Canary::new();
    let bundle = Bundle::sh("sleep 600").edit(|c| {
        c["linux"]["sysctl"] = json!({"net.ipv4.ip_forward": "1", "net/ipv4/ip_default_ttl": "77", "kernel.msgmax": "9999"});
    });
    // What the image has under the name of the directory that procfs is mounted on.
    std::fs::create_dir_all(bundle.rootfs().join("proc/sys/net/ipv4")).unwrap();
    symlink(canary.dir().join("secret"), bundle.rootfs().join("proc/sys/net/ipv4/ip_forward"))
        .unwrap();
    symlink(
        "../../../../../../proc/sysrq-trigger",
        bundle.rootfs().join("proc/sys/net/ipv4/ip_default_ttl"),
    )
    .unwrap();
    let container = Container::new(bundle.bind(canary.dir(), "/proc/uptime", &[])).verbatim();
    // A directory on a file: refused by the kernel, before anything was started.
    container.create().refused();
    let mut bundle = container.bundle.config.clone();
    bundle["mounts"].as_array_mut().unwrap().pop();
    let inner = Bundle::new().edit(|c| *c = bundle);
    let container = Container::new(inner).verbatim().up();
    let read = |name: &str| {
        let pid = container.pid().to_string();
        let path = format!("/proc/sys/{name}");
        let mut command = std::process::Command::new("nsenter");
        let output =
            programs::output(command.args(["-t", &pid, "-n", "-i", "cat", &path])).unwrap();
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    assert_eq!(read("net/ipv4/ip_forward"), "1");
    assert_eq!(read("net/ipv4/ip_default_ttl"), "77");
    assert_eq!(read("kernel/msgmax"), "9999");
    canary.check();
}

/// Without a race, and with each kind of mount; by its own name a procfs beside the container's stays a place for mounts.
#[test]
fn cve_2025_52881_a_link_on_a_volume_does_not_lead_a_mount_into_proc() {
    requires!(root);
    let canary = Canary::new();
    let shared = Bundle::new();
    let volume = shared.dir().join("volume");
    std::fs::create_dir(&volume).unwrap();
    symlink("/proc/self", volume.join("link")).unwrap();
    symlink("/proc/uptime", volume.join("file")).unwrap();
    let bound = |source: &Path, to: &str| json!({"destination": to, "type": "bind", "source": source, "options": ["bind"]});
    let over = |mount: serde_json::Value| {
        let bundle = Bundle::sh("grep -c ' /proc/' /proc/self/mountinfo");
        let bundle = bundle.bind(&volume, "/vol", &["rw"]).mount(mount).edit(|c| {
            c["root"]["readonly"] = json!(false);
            c["linux"]["maskedPaths"] = json!([]);
            c["linux"]["readonlyPaths"] = json!([]);
        });
        Container::new(bundle).verbatim().run().refused()
    };
    for mount in [
        json!({"destination": "/vol/link/attr", "type": "tmpfs", "source": "tmpfs"}),
        bound(canary.dir(), "/vol/link/attr"),
        bound(&canary.dir().join("secret"), "/vol/file"),
    ] {
        let text = over(mount.clone());
        assert!(text.contains("a link leads into a procfs"), "{mount}: {text}");
    }
    let host_proc = json!({"destination": "/host/proc", "type": "proc", "source": "proc"});
    let bundle = Bundle::sh("cat /host/proc/uptime").mount(host_proc);
    let bundle = bundle.mount(bound(&canary.dir().join("secret"), "/host/proc/uptime"));
    let bundle = bundle.edit(|c| c["root"]["readonly"] = json!(false));
    assert_eq!(Container::new(bundle).verbatim().run().ok().stdout, "canary secret\n");
    canary.check();
}

#[test]
fn cve_2025_52881_files_that_look_like_attributes_receive_nothing() {
    requires!(root);
    let canary = Canary::new();
    // Everything that a runtime writes below /proc/self, as files of the image.
    let bundle = Bundle::sh("cat /proc/self/oom_score_adj")
        .edit(|c| c["process"]["oomScoreAdj"] = json!(321));
    for path in [
        "self/attr/exec",
        "self/attr/apparmor/exec",
        "thread-self/attr/exec",
        "self/oom_score_adj",
        "self/uid_map",
    ] {
        let file = bundle.rootfs().join("proc").join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        write(&file, "");
    }
    let container = Container::new(bundle).verbatim();
    let done = container.run().ok();
    assert_eq!(done.stdout.trim(), "321");
    let written = container.bundle.rootfs().join("proc/self/oom_score_adj");
    assert_eq!(std::fs::read_to_string(written).unwrap(), "");
    canary.check();
}

#[test]
fn cve_2022_0811_no_value_and_no_name_of_a_parameter_smuggles_in_another() {
    requires!(root);
    let canary = Canary::new();
    let all = [
        ("kernel.core_pattern", "|/bin/sh"),
        ("kernel/core_pattern", "|/bin/sh"),
        ("net/../kernel/core_pattern", "|/bin/sh"),
        ("net.ipv4...kernel.core_pattern", "|/bin/sh"),
        ("net..ipv4.ip_forward", "1"),
        ("/kernel/core_pattern", "|/bin/sh"),
        (".kernel.core_pattern", "|/bin/sh"),
        ("net/ipv4/../../kernel/core_pattern", "|/bin/sh"),
        ("net.ipv4.ip_forward", "1\nkernel.core_pattern=|/bin/sh"),
        ("net.ipv4.ip_forward+kernel.core_pattern", "1"),
        ("net.ipv4.ip_forward=1+kernel.core_pattern", "|/bin/sh"),
        ("net", "1"),
        ("", "1"),
        ("kernel.modprobe", "/bin/sh"),
        ("kernel.hostname", "other"),
        ("kernel.domainname", "other\n"),
        ("vm.overcommit_memory", "1"),
        ("fs.suid_dumpable", "1"),
        ("user.max_user_namespaces", "0"),
        ("kernel.ns_last_pid", "1"),
        ("kernel.yama.ptrace_scope", "0"),
        ("fs.mqueue/../suid_dumpable", "1"),
        ("fs/mqueue/../suid_dumpable", "1"),
    ];
    for (name, value) in all {
        let bundle = Bundle::sh("true").edit(|c| c["linux"]["sysctl"] = json!({name: value}));
        let message = Container::new(bundle).verbatim().run().refused();
        assert!(message.contains("sysctl"), "{name}={value}: {message}");
    }
    // The kernel's own parser has the last word on values: the whole string is the value.
    let value = "1+kernel.core_pattern=|/bin/sh";
    let bundle = Bundle::sh("true")
        .edit(|c| c["linux"]["sysctl"] = json!({"kernel.shm_rmid_forced": value}));
    Container::new(bundle).verbatim().run().refused();
    canary.check();
}

#[test]
fn cve_2022_0811_parameters_of_the_hosts_own_namespaces_are_refused() {
    requires!(root);
    let canary = Canary::new();
    for (namespace, name) in [
        ("network", "net.ipv4.ip_forward"),
        ("ipc", "kernel.shm_rmid_forced"),
        ("uts", "kernel.domainname"),
    ] {
        let set = |c: &mut serde_json::Value| c["linux"]["sysctl"] = json!({name: "1"});
        let absent = Bundle::sh("true").without_namespace(namespace).edit(set);
        // The default bundle names the host, which needs a uts namespace as well.
        let absent = absent.edit(|c| drop(c.as_object_mut().unwrap().remove("hostname")));
        let message = Container::new(absent).verbatim().run().refused();
        assert!(message.contains("namespace"), "{name}: {message}");
        // Joining the host's by path is no better.
        let own = std::process::id();
        let file = if namespace == "network" { "net" } else { namespace };
        let joined = Bundle::sh("true").without_namespace(namespace).edit(set).edit(|c| {
            let path = format!("/proc/{own}/ns/{file}");
            c["linux"]["namespaces"]
                .as_array_mut()
                .unwrap()
                .push(json!({"type": namespace, "path": path}));
            drop(c.as_object_mut().unwrap().remove("hostname"));
        });
        let message = Container::new(joined).verbatim().run().refused();
        assert!(message.contains(name) || message.contains("namespace"), "{name}: {message}");
    }
    canary.check();
}

#[test]
fn cve_2023_25809_the_cgroup_file_system_is_read_only_without_a_cgroup_namespace() {
    requires!(root);
    let script = "mkdir /sys/fs/cgroup/x 2>&1; ls /sys/fs/cgroup | head -1; \
                  d=$(find /sys/fs/cgroup -maxdepth 2 -name cgroup.procs | head -1); echo $$ > $d";
    for own in [true, false] {
        let mut bundle = Bundle::sh(script);
        if !own {
            bundle = bundle.without_namespace("cgroup");
        }
        let done = Container::new(bundle).verbatim().run().done();
        assert!(done.stdout.contains("Read-only file system"), "{}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains("Read-only file system"), "{}{}", done.stdout, done.stderr);
    }
}

/// Options for all of a tree (`rrw`) do not outweigh what was decided about the mount itself.
#[test]
fn cve_2022_0492_the_cgroup_file_system_stays_read_only_whatever_its_options_say() {
    requires!(root);
    for options in [json!(["rrw"]), json!(["ro", "rrw"])] {
        let bundle = Bundle::sh("mkdir /sys/fs/cgroup/x 2>&1").edit(|config| {
            for mount in config["mounts"].as_array_mut().unwrap() {
                if mount["destination"] == "/sys/fs/cgroup" {
                    mount["options"] = options.clone();
                }
            }
        });
        let done = Container::new(bundle).run().done();
        assert!(done.stdout.contains("Read-only file system"), "{options}: {}", done.stdout);
    }
}
