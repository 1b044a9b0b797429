//! `root` and `mounts`: every option, as the payload's mountinfo and its attempts show it, and what the host sees of it.

use casemate_tests::bundle::write;
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires, Bundle, Canary, Container, Done};
use serde_json::{json, Value};
use std::os::unix::fs::{symlink, MetadataExt, PermissionsExt};
use std::path::Path;

/// The mountinfo lines of one mount point, split into fields.
pub(super) fn mounts_at<'t>(text: &'t str, point: &str) -> Vec<Vec<&'t str>> {
    let lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    lines.filter(|fields| fields.get(4) == Some(&point)).collect()
}

/// Mount options, and optional fields with what follows, of the topmost mount there.
pub fn mount_at(text: &str, point: &str) -> (String, String) {
    let all = mounts_at(text, point);
    let fields = all.last().unwrap_or_else(|| panic!("nothing is mounted on {point}:\n{text}"));
    (fields[5].to_owned(), fields[6..].join(" "))
}

pub fn run(bundle: Bundle) -> Done {
    Container::new(bundle).verbatim().output()
}

pub const INFO: &str = "cat /proc/self/mountinfo";

pub fn tmpfs(options: &[&str]) -> Value {
    json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": options})
}

#[test]
fn the_root_is_readonly_when_asked() {
    requires!(root);
    for readonly in [true, false] {
        let bundle =
            Bundle::sh("cat /proc/self/mountinfo; touch /written && echo done=1 || echo done=0")
                .edit(|c| c["root"]["readonly"] = json!(readonly));
        let container = Container::new(bundle).verbatim();
        let done = container.output();
        assert_eq!(done.value("done"), if readonly { "0" } else { "1" });
        assert_eq!(mount_at(&done.stdout, "/").0.contains("ro"), readonly);
        assert_eq!(container.bundle.rootfs().join("written").exists(), !readonly);
    }
}

#[test]
fn a_root_path_that_is_no_directory_is_refused() {
    requires!(root);
    for path in ["no-such-dir", "config.json", ""] {
        let container =
            Container::new(Bundle::sh("true").edit(|c| c["root"]["path"] = json!(path)));
        let text = container.run().refused();
        assert!(text.contains("root.path"), "{path}: {text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
    }
}

#[test]
fn the_default_file_systems_are_there() {
    requires!(root);
    let done = run(Bundle::sh(INFO));
    let all = [
        ("/proc", "proc"),
        ("/sys", "sysfs"),
        ("/dev", "tmpfs"),
        ("/dev/pts", "devpts"),
        ("/dev/shm", "tmpfs"),
        ("/dev/mqueue", "mqueue"),
        ("/sys/fs/cgroup", "cgroup2"),
    ];
    for (point, fstype) in all {
        let (_, rest) = mount_at(&done.stdout, point);
        assert!(rest.contains(&format!("- {fstype} ")), "{point}: {rest}");
    }
}

#[test]
fn options_become_attributes_of_the_mount() {
    requires!(root);
    let cases: [(&[&str], &str); 12] = [
        (&[], "rw,relatime"),
        (&["ro"], "ro,relatime"),
        (&["nosuid", "nodev", "noexec"], "rw,nosuid,nodev,noexec,relatime"),
        (&["nosuid", "suid", "nodev", "dev", "noexec", "exec", "ro", "rw"], "rw,relatime"),
        (&["suid", "nosuid", "dev", "nodev"], "rw,nosuid,nodev,relatime"),
        (&["noatime"], "rw,noatime"),
        (&["noatime", "atime", "relatime"], "rw,relatime"),
        (&["strictatime"], "rw"),
        (&["strictatime", "nostrictatime"], "rw,relatime"),
        (&["nodiratime"], "rw,nodiratime,relatime"),
        (&["nodiratime", "diratime", "norelatime", "silent", "loud"], "rw,relatime"),
        (&["nosymfollow"], "rw,relatime,nosymfollow"),
    ];
    for (options, expected) in cases {
        let done = run(Bundle::sh(INFO).mount(tmpfs(options)));
        assert_eq!(mount_at(&done.stdout, "/mnt").0, expected, "{options:?}");
    }
}

#[test]
fn options_of_the_file_system_reach_it() {
    requires!(root);
    let options = [
        "size=128k",
        "mode=710",
        "uid=12",
        "gid=34",
        "nr_inodes=99",
        "sync",
        "dirsync",
        "lazytime",
    ];
    let done = run(Bundle::sh("cat /proc/self/mountinfo; echo st=$(stat -c %a,%u,%g /mnt)")
        .mount(tmpfs(&options)));
    let (_, rest) = mount_at(&done.stdout, "/mnt");
    for option in ["size=128k", "nr_inodes=99", "sync", "dirsync", "lazytime"] {
        assert!(rest.contains(option), "{option}: {rest}");
    }
    assert_eq!(done.value("st"), "710,12,34");
}

#[test]
fn attributes_have_their_effect() {
    requires!(root);
    let script = "cp /bin/busybox /mnt/true; /mnt/true 2>/dev/null && echo exec=1 || echo exec=0; ln -s true /mnt/l; \
        cat /mnt/l >/dev/null 2>&1 && echo link=1 || echo link=0";
    let done = run(Bundle::sh(script).mount(tmpfs(&["noexec", "nosymfollow"])));
    assert_eq!((done.value("exec"), done.value("link")), ("0", "0"));
    let done = run(Bundle::sh(script).mount(tmpfs(&["exec", "symfollow"])));
    assert_eq!((done.value("exec"), done.value("link")), ("1", "1"));
}

/// A host directory with a tmpfs on `sub`, in this test's own mount namespace.
pub(super) fn nested() -> Dir {
    host::isolate();
    let dir = Dir::new("volume");
    write(&dir.path().join("file"), "outer\n");
    std::fs::create_dir(dir.path().join("sub")).unwrap();
    mount_tmpfs(&dir.path().join("sub"));
    write(&dir.path().join("sub/inner"), "inner\n");
    dir
}

pub fn shell(line: &str) {
    assert!(
        programs::status(std::process::Command::new("sh").args(["-c", line])).unwrap().success(),
        "{line}"
    );
}

pub fn mount_tmpfs(path: &Path) {
    shell(&format!("mount -t tmpfs volume {}", path.display()));
}

pub fn unmount(path: &Path) {
    shell(&format!("umount -l {}", path.display()));
}

pub fn bind(source: &Path, options: &[&str]) -> Value {
    json!({"destination": "/mnt", "source": source, "options": options})
}

#[test]
fn a_bind_mount_shows_the_source_and_rbind_what_is_below() {
    requires!(root);
    let dir = nested();
    for (kind, below) in [("bind", ""), ("rbind", "inner")] {
        let done = run(Bundle::sh("echo file=$(cat /mnt/file); echo sub=$(ls /mnt/sub)")
            .mount(bind(dir.path(), &[kind])));
        assert_eq!((done.value("file"), done.value("sub")), ("outer", below));
    }
    unmount(&dir.path().join("sub"));
}

#[test]
fn a_bind_mount_of_a_file_makes_its_mount_point() {
    requires!(root);
    let dir = Dir::new("volume");
    write(&dir.path().join("f"), "text\n");
    let mount = json!({"destination": "/new/place/f", "source": dir.path().join("f"), "options": ["bind", "ro"]});
    let container =
        Container::new(Bundle::sh("echo f=$(cat /new/place/f); echo > /new/place/f").mount(mount))
            .verbatim();
    let done = container.run().done();
    assert_eq!(done.value("f"), "text");
    assert!(done.stderr.contains("Read-only"), "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(dir.path().join("f")).unwrap(), "text\n");
    let meta = std::fs::metadata(container.bundle.rootfs().join("new/place/f")).unwrap();
    assert_eq!((meta.len(), meta.mode() & 0o777), (0, 0o644));
}

#[test]
fn a_relative_source_starts_at_the_bundle() {
    requires!(root);
    let bundle = Bundle::sh("echo f=$(cat /mnt/f)").mount(bind(Path::new("data"), &["rbind"]));
    std::fs::create_dir(bundle.dir().join("data")).unwrap();
    write(&bundle.dir().join("data/f"), "bundled");
    assert_eq!(run(bundle).value("f"), "bundled");
}

#[test]
fn plain_attributes_stay_on_the_mount_and_recursive_ones_reach_everything_below() {
    requires!(root);
    let dir = nested();
    let plain = ["ro", "nosuid", "nodev", "noexec", "noatime", "nosymfollow"];
    let script = INFO;
    for option in plain {
        let done = run(Bundle::sh(script).mount(bind(dir.path(), &["rbind", option])));
        let has = |point: &str| mount_at(&done.stdout, point).0.split(',').any(|o| o == option);
        assert!(has("/mnt") && !has("/mnt/sub"), "{option}: {}", done.stdout);
        let recursive = format!("r{option}");
        let done = run(Bundle::sh(script).mount(bind(dir.path(), &["rbind", &recursive])));
        let has = |point: &str| mount_at(&done.stdout, point).0.split(',').any(|o| o == option);
        assert!(has("/mnt") && has("/mnt/sub"), "{recursive}: {}", done.stdout);
    }
    // And back: set on the host, cleared below as well.
    shell(&format!(
        "mount -o remount,bind,nosuid,nodev,noexec,noatime {}",
        dir.path().join("sub").display()
    ));
    let cleared = ["rbind", "rsuid", "rdev", "rexec", "rrelatime", "rrw", "rsymfollow"];
    let done = run(Bundle::sh(script).mount(bind(dir.path(), &cleared)));
    assert_eq!(mount_at(&done.stdout, "/mnt/sub").0, "rw,relatime");
    // The host's own mount is as it was.
    let text = host::mounts().join("\n");
    assert!(mount_at(&text, dir.path().join("sub").to_str().unwrap())
        .0
        .contains("nosuid,nodev,noexec"));
    unmount(&dir.path().join("sub"));
}

#[test]
fn a_remount_changes_what_is_there() {
    requires!(root);
    let remount = |options: &[&str]| json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": options});
    let bundle =
        Bundle::sh(INFO).mount(tmpfs(&["nosuid"])).mount(remount(&["remount", "ro", "noexec"]));
    let (options, _) = mount_at(&run(bundle).stdout, "/mnt");
    assert!(options.contains("ro") && options.contains("noexec"), "{options}");
    let dir = nested();
    let bundle = Bundle::sh(INFO)
        .mount(bind(dir.path(), &["rbind"]))
        .mount(bind(dir.path(), &["bind", "remount", "ro"]));
    let done = run(bundle);
    assert!(mount_at(&done.stdout, "/mnt").0.contains("ro"), "{}", done.stdout);
    unmount(&dir.path().join("sub"));
}

/// podman gives a container that is wholly read-only, such as a pod's first one, a read-only /dev.
#[test]
fn a_read_only_tmpfs_holds_what_is_mounted_in_it() {
    requires!(root);
    let dir = Dir::new("volume");
    write(&dir.path().join("file"), "text");
    let script = format!(
        "{INFO}; cat /mnt/deep/file; touch /dev/new 2>&1; touch /mnt/new 2>&1; echo x >/dev/null && echo null=writable"
    );
    let bundle = Bundle::sh(&script)
        .edit(|c| {
            for mount in c["mounts"].as_array_mut().unwrap() {
                if mount["destination"] == "/dev" {
                    mount["options"].as_array_mut().unwrap().push(json!("ro"));
                }
            }
        })
        .mount(tmpfs(&["ro", "nosuid"]))
        .mount(json!({"destination": "/mnt/deep", "type": "bind", "source": dir.path(), "options": ["rbind"]}));
    let done = run(bundle);
    for point in ["/dev", "/mnt"] {
        assert!(mount_at(&done.stdout, point).0.starts_with("ro,nosuid"), "{}", done.stdout);
    }
    assert!(mount_at(&done.stdout, "/dev/pts").0.starts_with("rw"), "{}", done.stdout);
    assert_eq!(done.stdout.matches("Read-only file system").count(), 2, "{}", done.stdout);
    assert!(done.stdout.contains("text"), "{}", done.stdout);
    assert_eq!(done.value("null"), "writable");
}

#[test]
fn tmpcopyup_fills_the_new_file_system() {
    requires!(root);
    let script = "echo f=$(cat /mnt/d/f); echo link=$(readlink /mnt/l); echo st=$(stat -c %a,%u,%g /mnt/d/f); echo x > /mnt/new; \
        echo mode=$(stat -c %a /mnt)";
    let bundle = Bundle::sh(script).all_capabilities().mount(tmpfs(&["tmpcopyup", "nosuid"]));
    let place = bundle.rootfs().join("mnt");
    std::fs::create_dir(place.join("d")).unwrap();
    write(&place.join("d/f"), "copied");
    std::fs::set_permissions(place.join("d/f"), PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(place.join("d/f"), Some(5), Some(6)).unwrap();
    std::fs::set_permissions(&place, PermissionsExt::from_mode(0o751)).unwrap();
    symlink("d/f", place.join("l")).unwrap();
    let container = Container::new(bundle).verbatim();
    let done = container.output();
    let got = ["f", "link", "st", "mode"].map(|key| done.value(key).to_owned());
    assert_eq!(got, ["copied", "d/f", "640,5,6", "751"]);
    assert!(!place.join("new").exists());
}

#[test]
fn a_tmpfs_takes_over_the_mode_of_what_it_covers() {
    requires!(root);
    let bundle = Bundle::sh("echo mode=$(stat -c %a /mnt)").mount(tmpfs(&[]));
    std::fs::set_permissions(bundle.rootfs().join("mnt"), PermissionsExt::from_mode(0o1770))
        .unwrap();
    assert_eq!(run(bundle).value("mode"), "1770");
}

#[test]
fn a_cgroup_mount_shows_the_containers_own_cgroup() {
    requires!(root);
    let container = Container::new(Bundle::sh(
        "cat /proc/self/mountinfo; echo procs=$(cat /sys/fs/cgroup/cgroup.procs | tr '\\n' ' ')",
    ));
    let done = container.output();
    assert!(done.value("procs").starts_with("1 "), "{}", done.stdout);
    let (options, rest) = mount_at(&done.stdout, "/sys/fs/cgroup");
    assert!(
        options.starts_with("ro,nosuid,nodev,noexec") && rest.contains("- cgroup2 "),
        "{options} {rest}"
    );
}

#[test]
fn a_cgroup_mount_without_a_cgroup_namespace_is_the_hosts_hierarchy() {
    requires!(root);
    let container =
        Container::new(Bundle::sh("ls /sys/fs/cgroup").without_namespace("cgroup")).verbatim();
    assert!(
        container.output().stdout.lines().any(|line| line == container.id),
        "the container's cgroup is not in it"
    );
}

#[test]
fn a_writable_cgroup_belongs_to_the_containers_user() {
    requires!(root);
    let script = "echo owner=$(stat -c %u /sys/fs/cgroup/cgroup.procs); echo max=$(stat -c %u /sys/fs/cgroup/cgroup.max.depth); \
        mkdir /sys/fs/cgroup/own && echo $$ > /sys/fs/cgroup/own/cgroup.procs && echo in=$(tail -n 1 /proc/self/cgroup)";
    let bundle = Bundle::sh(script)
        .user_namespace(100_000)
        .without_mount("/sys/fs/cgroup")
        .mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["rw"]}))
        .edit(|c| c["process"]["user"] = json!({"uid": 7, "gid": 7}));
    let done = Container::new(bundle).verbatim().output();
    assert_eq!(
        (done.value("owner"), done.value("max"), done.value("in")),
        ("7", "65534", "0::/own")
    );
}

#[test]
fn links_are_treated_as_the_options_say() {
    requires!(root);
    let dir = Dir::new("volume");
    write(&dir.path().join("real"), "real\n");
    symlink("real", dir.path().join("link")).unwrap();
    let mount = |options: &[&str]| json!({"destination": "/mnt/at", "source": dir.path().join("link"), "options": options});
    let script = "echo link=$(readlink /mnt/at); echo text=$(cat /mnt/at 2>/dev/null)";
    let done = run(Bundle::sh(script).mount(mount(&["bind"])));
    assert_eq!((done.value("link"), done.value("text")), ("", "real"));
    let done = run(Bundle::sh(script).mount(mount(&["bind", "copy-symlink"])));
    assert_eq!((done.value("link"), done.value("text")), ("real", ""));
}

#[test]
fn a_destination_through_a_link_of_the_image_stays_inside() {
    requires!(root);
    let canary = Canary::new();
    let bundle =
        Bundle::sh(INFO).mount(json!({"destination": "/way/x", "type": "tmpfs", "source": "t"}));
    symlink(format!("{}{}", "../".repeat(12), canary.dir().display()), bundle.rootfs().join("way"))
        .unwrap();
    let inside = format!("{}/x", canary.dir().display());
    std::fs::create_dir_all(bundle.rootfs().join(canary.dir().strip_prefix("/").unwrap())).unwrap();
    let done = run(bundle);
    mount_at(&done.stdout, &inside);
    canary.check();
}

#[test]
fn mounts_that_make_no_sense_are_refused_with_their_place() {
    requires!(root);
    let canary = Canary::new();
    let cases = [
        (json!({"destination": "/", "type": "tmpfs", "source": "t"}), "is the root itself"),
        (json!({"destination": "/mnt", "type": "nosuchfs", "source": "t"}), "fsopen"),
        (
            json!({"destination": "/mnt", "source": "/no/such/source", "options": ["bind"]}),
            "no such file or directory",
        ),
        (
            json!({"destination": "/mnt", "type": "tmpfs", "source": "t", "options": ["size=much"]}),
            "fsconfig",
        ),
        (
            json!({"destination": "/etc/passwd", "source": "/etc", "options": ["bind"]}),
            "not a directory",
        ),
        (json!({"destination": "/mnt"}), "mounts[7]"),
    ];
    for (mount, message) in cases {
        let container = Container::new(Bundle::sh("true").mount(mount.clone())).verbatim();
        let text = container.run().refused();
        assert!(text.contains("mounts[7]") && text.contains(message), "{mount}: {text}");
        assert_eq!(container.leftovers(), Vec::<String>::new());
        canary.check();
    }
}

#[test]
fn nothing_is_mounted_inside_proc_but_what_lxcfs_does() {
    requires!(root);
    let dir = Dir::new("lxcfs");
    write(&dir.path().join("uptime"), "1.00 1.00\n");
    let mount = |destination: &str| json!({"destination": destination, "source": dir.path().join("uptime"), "options": ["bind"]});
    let done = run(Bundle::sh("echo up=$(cat /proc/uptime)").mount(mount("/proc/uptime")));
    assert_eq!(done.value("up"), "1.00 1.00");
    for destination in ["/proc/version", "/proc/self/attr/exec", "/proc/sys/kernel/hostname"] {
        let text =
            Container::new(Bundle::sh("true").mount(mount(destination))).verbatim().run().refused();
        assert!(text.contains("cannot be mounted because it is inside /proc"), "{text}");
    }
}

#[test]
fn options_for_a_file_system_mean_nothing_to_a_bind_mount() {
    requires!(root);
    let bundle = Bundle::sh("stat -c %a /mnt").mount(json!({
        "destination": "/mnt", "source": "/usr", "options": ["bind", "ro", "mode=700"]
    }));
    let done = Container::new(bundle).run().ok();
    assert_eq!(done.stdout.trim(), "755");
}

#[test]
fn a_container_has_more_mounts_than_its_program_may_have_descriptors() {
    requires!(root);
    const FEW: u64 = 32;
    let volumes = casemate_tests::scratch::Dir::new("many");
    let mut bundle = Bundle::sh("ulimit -n; ulimit -Hn; ls /v | wc -l").edit(|c| {
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": FEW, "hard": FEW}]);
    });
    for number in 0..FEW * 2 {
        let volume = volumes.path().join(number.to_string());
        std::fs::create_dir(&volume).unwrap();
        bundle = bundle.bind(&volume, &format!("/v/{number}"), &["rw"]);
    }
    assert_eq!(Container::new(bundle).output().stdout, "32\n32\n64\n");
}
