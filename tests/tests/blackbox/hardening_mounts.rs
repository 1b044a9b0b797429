//! What is mounted anew in a container of the default profile, and names of the host's files that only the mount table
//! knows.

use casemate_tests::scratch::{self, Dir};
use casemate_tests::{programs, requires, Bundle, Canary, Container};
use serde_json::{json, Value};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;

fn refused(mount: Value, name: &str) {
    let container = Container::new(Bundle::sh("true").mount(mount.clone()));
    let text = container.run().refused();
    assert!(text.contains(&format!("org.casemate.allow/{name}=true")), "{mount}: {text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

/// Has `args` mounted by mount(8) on `at` while `act` runs: in this test's own mount namespace.
fn with_mount<T>(args: &[&str], at: &Path, act: impl FnOnce() -> T) -> T {
    let mut mount = Command::new("mount");
    assert!(programs::status(mount.args(args).arg(at)).unwrap().success(), "mount {args:?}");
    let _gone_whatever_happens = Mounted(at);
    act()
}

/// A mount of the test's, which goes before the directory that it lies in is removed, also when the test fails: what is
/// bound there is the host's own.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let done = programs::status(Command::new("umount").arg("-l").arg(self.0));
        if !done.is_ok_and(|status| status.success()) {
            eprintln!("umount {}: still mounted", self.0.display());
            std::process::abort();
        }
    }
}

/// A test that fails leaves its mounts; what is bound there is the host's.
#[test]
fn what_a_failed_test_left_bound_in_its_directory_is_not_removed_with_it() {
    requires!(root);
    let theirs = Dir::new("theirs");
    std::fs::write(theirs.path().join("kept"), "").unwrap();
    let ours = Dir::new("ours");
    let at = ours.path().join("bound");
    std::fs::create_dir(&at).unwrap();
    with_mount(&["--bind", theirs.path().to_str().unwrap()], &at, || {
        scratch::remove(ours.path());
        assert!(theirs.path().join("kept").exists() && at.exists());
    });
    scratch::remove(ours.path());
    assert!(!ours.path().exists());
    let other = Dir::new("other");
    let failed = std::panic::catch_unwind(|| {
        let bind = ["--bind", other.path().to_str().unwrap()];
        with_mount(&bind, theirs.path(), || panic!("as a test that fails"));
    });
    assert!(failed.is_err() && theirs.path().join("kept").exists(), "still mounted");
}

#[test]
fn a_file_system_is_mounted_where_it_is_harmless_and_nowhere_else() {
    requires!(root);
    let canary = Canary::new();
    for (kind, name) in [
        ("proc", "mounts.second-proc"),
        ("sysfs", "mounts.second-sysfs"),
        ("cgroup2", "mounts.host-cgroup"),
        ("binfmt_misc", "mounts.kernel-fs"),
        ("debugfs", "mounts.kernel-fs"),
        ("devtmpfs", "mounts.kernel-fs"),
        ("ext4", "mounts.block"),
        ("nfs", "mounts.network"),
        ("fuse.x", "mounts.fuse"),
        ("nosuchfs", "mounts.unknown-fs"),
    ] {
        refused(
            json!({"destination": "/mnt", "type": kind, "source": kind, "options": ["rw"]}),
            name,
        );
    }
    refused(
        json!({"destination": "/sys/kernel", "type": "tmpfs", "source": "t"}),
        "mounts.covered",
    );
    refused(json!({"destination": "/mnt", "options": ["remount", "rw"]}), "mounts.remount");
    canary.check();
}

#[test]
fn the_layers_of_an_overlay_do_not_open_the_host() {
    requires!(root);
    let dir = Dir::new("layers");
    for name in ["low", "up", "wk"] {
        std::fs::create_dir(dir.path().join(name)).unwrap();
    }
    let own = |name: &str| dir.path().join(name).display().to_string();
    let (low, up, wk) = (own("low"), own("up"), own("wk"));
    let overlay = |options: Value| json!({"destination": "/h", "type": "overlay", "source": "overlay", "options": options});
    for options in [
        json!([format!("lowerdir={low}"), "upperdir=/etc", format!("workdir={wk}")]),
        json!([format!("lowerdir={low},upperdir=/etc,workdir={wk}")]),
        json!([format!("lowerdir=/etc,upperdir={up},workdir={wk}")]),
        json!([format!("lowerdir={low}:/etc")]),
        json!([format!("lowerdir={low}::/etc")]),
        json!([format!("lowerdir+={low}"), "lowerdir+=/etc"]),
        json!([format!("lowerdir={low}"), "datadir+=/etc"]),
        json!([format!("lowerdir={low}:../../../../../../../../../../etc")]),
    ] {
        refused(overlay(options), "mounts.host-etc");
    }
    assert!(!Path::new("/etc/work").exists());
}

#[test]
fn an_overlay_that_is_mounted_already_is_its_layers() {
    requires!(root);
    // A tmpfs can be an upper directory whatever the scratch directory lies on.
    let dir = Dir::new("ovl");
    let top = dir.path().join("top");
    std::fs::create_dir(&top).unwrap();
    with_mount(&["-t", "tmpfs", "none"], &top, || {
        for name in ["low", "up", "wk", "v", "v/at"] {
            std::fs::create_dir(top.join(name)).unwrap();
        }
        let at = top.join("v/at");
        let own = |name: &str| top.join(name).display().to_string();
        let refusal = |layers: &str, bundle: Bundle| {
            let container = Container::new(bundle);
            with_mount(&["-t", "overlay", "none", "-o", layers], &at, || container.run().refused())
        };
        let written =
            format!("lowerdir={},upperdir={},workdir={}", own("low"), own("up"), own("wk"));
        let read = format!("lowerdir=/etc:{}", own("low"));
        let volume = || Bundle::sh("true").bind(&at, "/mnt", &["ro"]);
        let harmless = Container::new(volume());
        let args = ["-t", "overlay", "none", "-o", written.as_str()];
        let done = with_mount(&args, &at, || harmless.run().done());
        assert!(done.status.success(), "{}{}", done.stdout, done.stderr);
        let outer = Bundle::sh("true").bind(&top.join("v"), "/mnt", &["rbind"]);
        for text in [
            refusal(&read, volume()),
            refusal(&read, outer),
            refusal(&read, Bundle::sh("true").edit(|spec| spec["root"]["path"] = json!(at))),
        ] {
            let wanted = "with the layer /etc";
            assert!(text.contains(wanted) && text.contains("mounts.host-etc"), "{text}");
        }
        let covered = format!("lowerdir={}:{}", own("v/at"), own("low"));
        let text = refusal(&covered, volume());
        assert!(text.contains("mounts.engine-data"), "{text}");
    });
}

#[test]
fn a_second_mount_of_a_place_is_the_place() {
    requires!(root);
    let dir = Dir::new("second");
    let at = dir.path().join("at");
    std::fs::create_dir(&at).unwrap();
    let source = at.join("ssl");
    let (whole, part) = with_mount(&["--bind", "/etc"], &at, || {
        let run = |path: &Path| {
            Container::new(Bundle::sh("true").bind(path, "/mnt", &["ro"])).run().refused()
        };
        (run(&at), source.exists().then(|| run(&source)))
    });
    assert!(whole.contains("(is /etc)") && whole.contains("mounts.host-etc"), "{whole}");
    if let Some(part) = part {
        assert!(part.contains("(is /etc/ssl)") && part.contains("mounts.host-etc"), "{part}");
    }
}

#[test]
fn a_place_that_is_mounted_below_a_volume_is_judged_before_anything_is_made() {
    requires!(root);
    let dir = Dir::new("below");
    let at = dir.path().join("at");
    std::fs::create_dir(&at).unwrap();
    let container = Container::new(Bundle::sh("true").bind(dir.path(), "/mnt", &["rbind"]));
    let text = with_mount(&["--bind", "/etc"], &at, || container.run().refused());
    assert!(text.contains("along at at) (is /etc)") && text.contains("mounts.host-etc"), "{text}");
    let alone = Container::new(
        Bundle::sh("ls /mnt/at")
            .mount(json!({"destination": "/mnt", "source": dir.path(), "options": ["bind"]})),
    );
    let done = with_mount(&["--bind", "/etc"], &at, || alone.run().done());
    assert!(done.status.success() && done.stdout.is_empty(), "{}{}", done.stdout, done.stderr);
}

#[test]
fn a_pinned_namespace_below_a_volume_is_left_out() {
    requires!(root);
    let dir = Dir::new("pinned");
    let at = dir.path().join("ns");
    std::fs::write(&at, "").unwrap();
    let script = "grep -c nsfs /proc/self/mountinfo; stat -c size=%s /mnt/ns";
    let bundle = || Bundle::sh(script).bind(dir.path(), "/mnt", &["rbind"]);
    let run = |globals: &[&str]| {
        let container = Container::new(bundle()).global(globals);
        with_mount(&["--bind", "/proc/self/ns/uts"], &at, || container.run().done())
    };
    for globals in [&[][..], &["--allow", "userns.host"]] {
        let done = run(globals);
        let text = format!("{}{}", done.stdout, done.stderr);
        assert!(done.stdout.starts_with("0\n") && done.value("size") == "0", "{text}");
    }
}

#[test]
fn sockets_of_root_and_directories_with_an_engines_socket_are_refused() {
    requires!(root);
    let dir = Dir::new("sock");
    let inner = dir.path().join("a");
    std::fs::create_dir(&inner).unwrap();
    let plain = dir.path().join("app.sock");
    let _plain = UnixListener::bind(&plain).unwrap();
    let refused = |path: &Path, wanted: &str| {
        let text = Container::new(Bundle::sh("true").bind(path, "/mnt", &["ro"])).run().refused();
        assert!(text.contains(wanted), "{}: {text}", path.display());
    };
    refused(&plain, "mounts.socket");
    assert!(Container::new(Bundle::sh("true").bind(dir.path(), "/mnt", &[]))
        .run()
        .ok()
        .status
        .success());
    let _engine = UnixListener::bind(inner.join("docker.sock")).unwrap();
    refused(dir.path(), "mounts.docker-sock");
    refused(&inner, "mounts.docker-sock");
}

#[test]
fn an_engine_that_was_moved_is_known_by_what_it_keeps() {
    requires!(root);
    let dir = Dir::new("moved");
    let docker = dir.path().join("docker");
    let volume = docker.join("volumes/v/_data");
    std::fs::create_dir_all(&volume).unwrap();
    std::fs::create_dir_all(docker.join("containers/other")).unwrap();
    std::fs::write(docker.join("engine-id"), "").unwrap();
    let bundle = |path: &Path| Bundle::sh("touch /mnt/x && echo done").bind(path, "/mnt", &["rw"]);
    for path in [dir.path().to_owned(), docker.clone(), docker.join("containers/other")] {
        let text = Container::new(bundle(&path)).run().refused();
        assert!(text.contains("mounts.engine-data"), "{}: {text}", path.display());
    }
    assert_eq!(Container::new(bundle(&volume)).run().ok().stdout, "done\n");
}

#[test]
fn a_link_to_a_secret_is_the_secret() {
    requires!(root);
    let link = Path::new("/etc/shadow").with_file_name(format!("casemate-{}", std::process::id()));
    if !Path::new("/etc/shadow").exists() {
        return;
    }
    // Beside it, because a second link cannot leave the file system; /etc is refused anyway, so it is bound elsewhere.
    std::fs::hard_link("/etc/shadow", &link).unwrap();
    let text = Container::new(Bundle::sh("true").bind(&link, "/mnt/s", &["ro"])).run().refused();
    std::fs::remove_file(&link).unwrap();
    assert!(text.contains("mounts.host-etc"), "{text}");
}

#[test]
fn a_second_name_of_a_file_that_only_root_may_read_is_refused() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;
    requires!(root);
    let dir = casemate_tests::scratch::Dir::new("links");
    let (key, link) = (dir.path().join("id_ed25519"), dir.path().join("notes"));
    std::fs::write(&key, "key").unwrap();
    std::fs::hard_link(&key, &link).unwrap();
    let bound = || {
        Container::new(Bundle::sh("cat /mnt/k >/dev/null; echo ran=1").bind(
            &link,
            "/mnt/k",
            &["ro"],
        ))
    };
    let mode = |mode| std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    let text = bound().run().refused();
    assert!(text.contains("mounts.host-root"), "{text}");
    mode(0o644);
    assert_eq!(bound().run().ok().value("ran"), "1");
    mode(0o600);
    std::fs::remove_file(&key).unwrap();
    assert_eq!(bound().run().ok().value("ran"), "1", "it has one name now");
}

#[test]
fn a_remount_opens_nothing_that_was_closed() {
    requires!(root);
    let script = "touch /mnt/casemate-canary 2>&1; grep ' /mnt ' /proc/self/mountinfo";
    let bundle = Bundle::sh(script)
        .bind(Path::new("/usr/lib"), "/mnt", &["rw"])
        .mount(json!({"destination": "/mnt", "options": ["remount", "rw", "suid"]}));
    let done = Container::new(bundle).run().ok();
    assert!(done.stdout.contains("Read-only file system"), "{}", done.stdout);
    assert!(done.stdout.contains("ro,nosuid"), "{}", done.stdout);
}
