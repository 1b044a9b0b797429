//! What of the host may be bound into a container of the default profile, and what a volume may be used for.

use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, Bundle, Canary, Container};
use serde_json::json;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::Path;

fn bound(source: &Path, script: &str) -> Container {
    Container::new(Bundle::sh(script).bind(source, "/mnt", &["ro"]))
}

fn refused(source: &Path, name: &str) {
    let container = bound(source, "true");
    let text = container.run().refused();
    let wanted = format!("denied by profile hardened: bind source {}", source.display());
    assert!(text.contains(&wanted) && text.contains("(rule mounts.sources);"), "{text}");
    // A tree of the host's may take more than one.
    let alone =
        format!("; allow with --allow {name}, or annotation org.casemate.allow/{name}=true");
    let first = format!("; allow all with --allow {name},");
    assert!(text.contains(&alone) || text.contains(&first), "{}: {text}", source.display());
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn places_that_are_the_host_itself_are_not_bound() {
    requires!(root);
    let canary = Canary::new();
    for (source, name) in [
        ("/", "mounts.host-root"),
        ("/proc", "mounts.host-proc"),
        ("/proc/sys", "mounts.host-proc"),
        ("/sys", "mounts.host-sys"),
        ("/sys/kernel", "mounts.host-sys"),
        ("/dev", "mounts.host-dev"),
        ("/etc", "mounts.host-etc"),
        ("/etc/shadow", "mounts.host-etc"),
        ("/root", "mounts.host-home"),
        ("/run", "mounts.host-run"),
        ("/var/run", "mounts.host-run"),
        ("/var", "mounts.host-var"),
        ("/var/lib", "mounts.host-var"),
    ] {
        if Path::new(source).exists() {
            refused(Path::new(source), name);
        }
    }
    canary.check();
}

/// A kubelet's directory is known by what is in it.
#[test]
fn a_pods_volume_is_bound_for_the_pod_and_for_nobody_who_names_it() {
    requires!(root);
    let dir = Dir::new("kubelet");
    std::fs::create_dir(dir.path().join("plugins_registry")).unwrap();
    let volume = dir.path().join("pods/u-1/volumes/kubernetes.io~secret/token");
    std::fs::create_dir_all(&volume).unwrap();
    std::fs::write(volume.join("token"), "of u-1").unwrap();
    let container = |namespace: &str, uid: &str| {
        let bundle = Bundle::sh("cat /mnt/token").bind(&volume, "/mnt", &["ro"]).edit(|c| {
            c["annotations"] = json!({"io.kubernetes.cri.sandbox-uid": uid});
        });
        Container::new(bundle).as_of_containerd(namespace)
    };
    assert_eq!(container("k8s.io", "u-1").run().ok().stdout, "of u-1");
    for (namespace, uid) in [("k8s.io", "u-2"), ("default", "u-1"), ("moby", "u-1")] {
        let text = container(namespace, uid).run().refused();
        assert!(text.contains("allow with") && text.contains("mounts.engine-data"), "{text}");
    }
    refused(&volume, "mounts.engine-data");
}

#[test]
fn another_name_for_a_place_does_not_help() {
    requires!(root);
    let dir = Dir::new("names");
    let link = dir.path().join("link");
    symlink("/etc", &link).unwrap();
    refused(&link, "mounts.host-etc");
    refused(Path::new("/usr/../etc/."), "mounts.host-etc");
    refused(Path::new("/proc/self/root"), "mounts.host-root");
}

#[test]
fn an_engine_socket_is_refused_wherever_it_lies_and_whatever_lies_above_the_state_too() {
    requires!(root);
    let dir = Dir::new("sockets");
    for (socket, name) in [
        ("docker.sock", "mounts.docker-sock"),
        ("podman.sock", "mounts.podman-sock"),
        ("containerd.sock", "mounts.containerd-sock"),
    ] {
        let path = dir.path().join(socket);
        let _listener = UnixListener::bind(&path).unwrap();
        refused(&path, name);
    }
    let container = Container::new(Bundle::sh("true"));
    std::fs::create_dir_all(container.root()).unwrap();
    std::fs::set_permissions(container.root(), PermissionsExt::from_mode(0o700)).unwrap();
    let state = container.root();
    for (source, wanted) in [
        (state.clone(), "(the runtime's own) (rule mounts.sources)"),
        (state.parent().unwrap().to_owned(), "mounts.engine-data"),
    ] {
        let other = Container::new(Bundle::sh("true").bind(&source, "/mnt", &["ro"]));
        let text = other.in_root(&state).run().refused();
        assert!(text.contains(wanted), "{}: {text}", source.display());
    }
}

#[test]
fn what_another_container_was_made_from_is_written_by_nobody_while_it_is_there() {
    requires!(root);
    let state = Dir::new("state");
    std::fs::set_permissions(state.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let first = Bundle::sh("sleep 600");
    let (bundle, rootfs) = (first.dir().to_owned(), first.rootfs());
    let first = Container::new(first).in_root(state.path());
    first.create().ok();
    let write = |to: &Path| {
        let script = "echo x > /mnt/planted && rm /mnt/planted && echo written";
        let second = Bundle::sh(script).bind(to, "/mnt", &["rw"]);
        Container::new(second).in_root(state.path()).run().done().stdout
    };
    for to in [&bundle, &rootfs, &rootfs.join("bin")] {
        assert_eq!(write(to), "", "{}", to.display());
    }
    first.delete().done();
    assert_eq!(write(&rootfs), "written\n");
    assert_eq!(host::left_in_root(state.path()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_root_file_system_that_holds_a_bundle_or_the_state_is_refused() {
    requires!(root);
    let state = Dir::new("state");
    std::fs::set_permissions(state.path(), PermissionsExt::from_mode(0o700)).unwrap();
    let first = Bundle::sh("sleep 600");
    let (bundle, rootfs) = (first.dir().to_owned(), first.rootfs());
    let first = Container::new(first).in_root(state.path());
    first.create().ok();
    let on = |root: &Path, profile: &str, readonly: bool| {
        let second = Bundle::sh("true").edit(|c| {
            c["root"] = serde_json::json!({"path": root, "readonly": readonly});
            if !readonly {
                let name = "org.casemate.allow/rootfs.writable";
                c["annotations"] = serde_json::json!({name: "true"});
            }
        });
        Container::new(second).in_root(state.path()).global(&["--profile", profile])
    };
    let other = format!("(of the container {})", first.id);
    let above = bundle.parent().unwrap();
    for (profile, readonly) in [("hardened", true), ("hardened", false), ("baseline", false)] {
        for (root, why) in [
            (Path::new(".."), "mounts.engine-data"),
            (&bundle, other.as_str()),
            (above, "mounts.engine-data"),
            (state.path(), "(the runtime's own)"),
        ] {
            let text = on(root, profile, readonly).run().refused();
            assert!(text.contains(why) && text.contains("root.path"), "{profile} {root:?}: {text}");
        }
    }
    // Its own configuration alone: where it could be written.
    for (profile, readonly) in [("hardened", false), ("baseline", false)] {
        let text = on(Path::new("."), profile, readonly).run().refused();
        assert!(text.contains("(holds the container's configuration)"), "{profile}: {text}");
    }
    for profile in ["hardened", "baseline"] {
        let text = on(Path::new("."), profile, true).run().refused();
        assert!(!text.contains("mounts.sources"), "{profile}: {text}");
    }
    let granted = on(&bundle, "hardened", true).global(&["--allow", "mounts.engine-data"]);
    let text = granted.run().refused();
    assert!(!text.contains("mounts.sources"), "{text}");
    // Containers may share a root file system.
    on(&rootfs, "hardened", true).run().ok();
}

#[test]
fn a_set_user_id_file_that_is_left_in_a_volume_counts_on_the_host_alone() {
    use std::os::unix::fs::MetadataExt as _;
    requires!(root);
    let dir = Dir::new("left");
    let script = "cp /bin/busybox /mnt/left && chmod 4755 /mnt/left && grep ' /mnt ' /proc/mounts";
    let bundle = Bundle::sh(script).bind(dir.path(), "/mnt", &["rw"]);
    let done = Container::new(bundle).run().ok();
    assert!(done.stdout.contains("nosuid"), "{}", done.stdout);
    let left = dir.path().join("left").metadata().unwrap();
    assert_eq!((left.uid(), left.mode() & 0o7777), (0, 0o4755));
}

#[test]
fn a_socket_of_root_in_a_bound_directory_is_a_finding() {
    requires!(root);
    let dir = Dir::new("socket");
    std::fs::create_dir(dir.path().join("run")).unwrap();
    let warned = || {
        let container = bound(dir.path(), "sleep 600");
        container.create().ok();
        let bytes = std::fs::read(container.state_dir().join("decisions.json")).unwrap();
        let decisions: Vec<serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
        let mine = |d: &&serde_json::Value| d["rule"] == "mounts.sources";
        let all = decisions.iter().filter(mine).filter(|d| d["verdict"] == "warned");
        all.map(|d| d["reason"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(warned(), Vec::<String>::new());
    let path = dir.path().join("run/app.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    assert!(warned()[0].contains(path.to_str().unwrap()));
    std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
    assert_eq!(warned(), Vec::<String>::new());
}

#[test]
fn an_engine_that_listens_deep_in_a_directory_is_found() {
    requires!(root);
    let dir = Dir::new("deep");
    let deep = dir.path().join("a/b/c/d/e");
    std::fs::create_dir_all(&deep).unwrap();
    let listener = UnixListener::bind(deep.join("docker.sock")).unwrap();
    refused(dir.path(), "mounts.docker-sock");
    drop(listener);
    // Nobody listens there any more.
    assert_eq!(bound(dir.path(), "echo passed").output().stdout, "passed\n");
}

#[test]
fn files_below_such_places_and_ordinary_volumes_pass() {
    requires!(root);
    let volume = Dir::new("volume");
    std::fs::write(volume.path().join("data"), "seen\n").unwrap();
    assert_eq!(bound(volume.path(), "cat /mnt/data").output().stdout, "seen\n");
    for file in ["/etc/hostname", "/etc/resolv.conf", "/etc/localtime", "/etc/os-release"] {
        if Path::new(file).exists() {
            let bundle = Bundle::sh("cat /mnt/file > /dev/null");
            Container::new(bundle.bind(Path::new(file), "/mnt/file", &["ro"])).run().ok();
        }
    }
}

#[test]
fn programs_of_the_host_can_be_shown_but_not_written() {
    requires!(root);
    let script = "touch /mnt/casemate-canary 2>&1; grep ' /mnt ' /proc/self/mountinfo";
    let bundle = Bundle::sh(script).bind(Path::new("/usr/lib"), "/mnt", &["rw"]);
    let done = Container::new(bundle).run().ok();
    assert!(done.stdout.contains("Read-only file system"), "{}", done.stdout);
    assert!(!Path::new("/usr/lib/casemate-canary").exists());
}

#[test]
fn the_runtimes_own_program_cannot_be_written_wherever_it_lies() {
    requires!(root);
    let runtime = host::runtime();
    let canary = runtime.with_file_name("casemate-canary");
    let script = "touch /mnt/casemate-canary 2>&1; true";
    let bundle = Bundle::sh(script).bind(runtime.parent().unwrap(), "/mnt", &["rw"]);
    let done = Container::new(bundle).run().ok();
    let written = canary.exists();
    if written {
        std::fs::remove_file(&canary).unwrap();
    }
    assert!(!written && done.stdout.contains("Read-only file system"), "{done:?}");
    // Not by writing: the kernel says first that another test has just started it ("text file busy").
    let bundle = Bundle::sh("grep ' /mnt/own ' /proc/mounts");
    let done = Container::new(bundle.bind(runtime, "/mnt/own", &["rw"])).run().ok();
    let options = done.stdout.split(' ').nth(3).unwrap_or_default();
    assert!(options.split(',').any(|option| option == "ro"), "{done:?}");
}

#[test]
fn an_override_permits_its_own_place_and_no_other() {
    requires!(root);
    let allow = ["--allow", "mounts.host-etc"];
    let container = bound(Path::new("/etc"), "ls /mnt/passwd").global(&allow);
    assert_eq!(container.output().stdout, "/mnt/passwd\n");
    let text = bound(Path::new("/root"), "true").global(&allow).run().refused();
    assert!(text.contains("mounts.host-home"), "{text}");
}

#[test]
fn a_volume_cannot_bring_a_file_system_of_the_kernel_along() {
    requires!(root);
    let dir = Dir::new("tree");
    let inside = dir.path().join("proc");
    std::fs::create_dir(&inside).unwrap();
    // From here on this test has mounts of its own.
    let container = Container::new(Bundle::sh("ls /mnt/proc").bind(dir.path(), "/mnt", &[]));
    let mut mount = std::process::Command::new("mount");
    let status = programs::status(mount.args(["-t", "proc", "proc"]).arg(&inside)).unwrap();
    assert!(status.success());
    let text = container.run().refused();
    let status = programs::status(std::process::Command::new("umount").arg(&inside)).unwrap();
    assert!(status.success());
    assert!(text.contains("(brings proc along at proc) (rule mounts.sources)"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

#[test]
fn set_user_id_files_and_device_nodes_of_volumes_have_no_effect() {
    requires!(root);
    let volume = Dir::new("flags");
    let script = "awk '$5 == \"/mnt\" || $5 == \"/var/cache\" || $5 == \"/dev\" || $5 == \"/proc\" { print $5 \"=\" $6 }' /proc/self/mountinfo";
    let tmpfs = json!({"destination": "/var/cache", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]});
    let bundle = || {
        Bundle::sh(script).bind(volume.path(), "/mnt", &["rw", "suid", "dev"]).mount(tmpfs.clone())
    };
    let make = |globals: &[&str]| {
        let bundle = bundle();
        std::fs::create_dir_all(bundle.rootfs().join("var/cache")).unwrap();
        Container::new(bundle).global(globals).run().ok()
    };
    let done = make(&[]);
    for place in ["/mnt", "/var/cache"] {
        assert!(done.value(place).contains("nosuid,nodev"), "{place}: {}", done.value(place));
        assert!(!done.value(place).contains("noexec"), "{place}: {}", done.value(place));
    }
    assert!(done.value("/dev").contains("nosuid") && done.value("/dev").contains("noexec"));
    assert!(!done.value("/dev").contains("nodev"));
    assert!(done.value("/proc").contains("nosuid,nodev,noexec"));
    let allowed = make(&["--allow", "mounts.suid,mounts.dev"]);
    assert!(!allowed.value("/mnt").contains("nodev"), "{}", allowed.value("/mnt"));
}

/// The floor has to know of it as well as the control.
#[test]
fn a_place_that_the_nodes_policy_calls_data_is_bound() {
    requires!(root);
    let ssl = Path::new("/etc/ssl");
    requires!(ssl.is_dir(), "no /etc/ssl here");
    refused(ssl, "mounts.host-etc");
    let dir = Dir::new("policy");
    let policy = "[values]\n\"paths.data\" = [\"/etc/ssl\"]\n";
    std::fs::write(dir.path().join("policy.toml"), policy).unwrap();
    let container =
        bound(ssl, "echo ran=1").global(&["--policy-dir", dir.path().to_str().unwrap()]);
    assert_eq!(container.run().ok().value("ran"), "1");
}

#[test]
fn a_socket_that_others_have_named_as_an_engine_does_keeps_nobody_from_a_volume() {
    requires!(root);
    let (theirs, data) = (Dir::new("theirs"), Dir::new("data"));
    let way = theirs.path().join("d");
    std::fs::create_dir(&way).unwrap();
    let _listener = UnixListener::bind(way.join("docker.sock")).unwrap();
    std::fs::remove_dir_all(&way).unwrap();
    symlink("d", &way).unwrap();
    // Deeper than is looked at, so that the sockets of the host are asked for.
    std::fs::create_dir_all(data.path().join("a/b/c")).unwrap();
    let bundle = Bundle::sh(": >/mnt/x").bind(data.path(), "/mnt", &["rw"]);
    Container::new(bundle).run().ok();
}

#[test]
fn a_file_in_a_directory_that_everybody_writes_makes_it_no_engines() {
    requires!(root);
    let shared = Dir::new("shared");
    let volume = shared.path().join("volume");
    std::fs::create_dir(&volume).unwrap();
    std::fs::write(shared.path().join("engine-id"), "").unwrap();
    std::fs::set_permissions(shared.path(), PermissionsExt::from_mode(0o1777)).unwrap();
    Container::new(Bundle::sh(": >/mnt/x").bind(&volume, "/mnt", &["rw"])).run().ok();
    std::fs::set_permissions(shared.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let text = Container::new(Bundle::sh("true").bind(&volume, "/mnt", &["rw"])).run().refused();
    assert!(text.contains("mounts.engine-data"), "{text}");
    // Somebody else's.
    std::os::unix::fs::chown(shared.path().join("engine-id"), Some(12345), None).unwrap();
    Container::new(Bundle::sh(": >/mnt/y").bind(&volume, "/mnt", &["rw"])).run().ok();
}
