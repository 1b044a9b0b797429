//! Mounts where runtimes easily differ: what a new file system is made with, what several mounts at one place come to.

use super::spec_mounts::{mount_at, mounts_at};
use casemate_tests::bundle::write;
use casemate_tests::{programs, requires, Bundle, Container};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

#[test]
fn a_tmpfs_on_a_place_that_the_image_lacks_is_for_every_user() {
    requires!(root);
    let place = json!({"destination": "/not/there/yet", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev"]});
    for hardened in [false, true] {
        let script =
            "echo mode=$(stat -c %a /not/there/yet); touch /not/there/yet/file && echo made=1";
        let bundle = Bundle::sh(script).mount(place.clone()).edit(|c| {
            c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
        });
        let container = Container::new(bundle);
        let container = if hardened { container } else { container.verbatim() };
        let done = container.output();
        assert_eq!((done.value("mode"), done.value("made")), ("1777", "1"));
    }
}

/// Longer than fsconfig(2) takes.
const LONG: usize = 300;

#[test]
fn options_longer_than_255_bytes_reach_the_file_system() {
    requires!(root);
    let name = "s".repeat(LONG);
    let mount = json!({"destination": "/mnt", "type": "tmpfs", "source": name, "options": ["noexec", "sync", "size=128k"]});
    for hardened in [false, true] {
        let script = "cat /proc/self/mountinfo; echo mode=$(stat -c %a /mnt)";
        let bundle = Bundle::sh(script).mount(mount.clone());
        std::fs::set_permissions(bundle.rootfs().join("mnt"), PermissionsExt::from_mode(0o1750))
            .unwrap();
        let container = Container::new(bundle);
        let done = if hardened { container } else { container.verbatim() }.output();
        let (attributes, rest) = mount_at(&done.stdout, "/mnt");
        assert!(attributes.starts_with("rw,") && attributes.contains("noexec"), "{attributes}");
        assert!(rest.contains(&name) && rest.contains("sync,size=128k"), "{rest}");
        assert_eq!(mounts_at(&done.stdout, "/mnt").len(), 1, "{}", done.stdout);
        assert_eq!(done.value("mode"), "1750");
    }
}

#[test]
fn the_list_of_an_overlays_layers_may_be_long() {
    requires!(root);
    let bundle = Bundle::sh("cat /mnt/upper /mnt/lower; cat /proc/self/mountinfo");
    let long = bundle.dir().join("l".repeat(LONG / 2)).join("l".repeat(LONG / 2));
    for name in ["upper", "lower"] {
        std::fs::create_dir_all(long.join(name)).unwrap();
        write(&long.join(name).join(name), format!("{name}\n"));
    }
    let layers =
        format!("lowerdir={}:{}", long.join("upper").display(), long.join("lower").display());
    // The second is an option that only the kernel knows: then it reads the list, too.
    for more in [&["ro"][..], &["ro", "fsync=auto"]] {
        let options: Vec<&str> = std::iter::once(&*layers).chain(more.iter().copied()).collect();
        let mount = json!({"destination": "/mnt", "type": "overlay", "source": "overlay", "options": options});
        let mut tried = vec![false];
        tried.extend((more.len() == 1).then_some(true));
        for hardened in tried {
            let bundle = Bundle::new().edit(|c| *c = bundle.config.clone()).mount(mount.clone());
            let container = Container::new(bundle);
            let done = if hardened { container } else { container.verbatim() }.output();
            assert!(done.stdout.starts_with("upper\nlower\n"), "{}", done.stdout);
            assert!(mount_at(&done.stdout, "/mnt").0.starts_with("ro"), "{}", done.stdout);
        }
    }
}

/// `ctr run --mount type=bind,dst=/dev/shm` adds to a list that has a /dev/shm.
#[test]
fn of_mounts_at_one_place_the_last_counts() {
    requires!(root);
    let tmpfs = json!({"destination": "/mnt/a", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "noexec", "ro"]});
    for (bind_last, hardened) in [(true, true), (true, false), (false, true), (false, false)] {
        let bundle =
            Bundle::sh("cat /proc/self/mountinfo; touch /mnt/a/x && echo made=1 || echo made=0");
        std::fs::create_dir(bundle.rootfs().join("mnt/a")).unwrap();
        let bundle = if bind_last {
            bundle.mount(tmpfs.clone()).bind_own("/mnt/a")
        } else {
            bundle.bind_own("/mnt/a").mount(tmpfs.clone())
        };
        let container = Container::new(bundle);
        let done = if hardened { container } else { container.verbatim() }.output();
        assert_eq!(mounts_at(&done.stdout, "/mnt/a").len(), 2, "{}", done.stdout);
        assert_eq!(mount_at(&done.stdout, "/mnt/a").0.contains("noexec"), !bind_last);
        assert_eq!(done.value("made"), if bind_last { "1" } else { "0" });
    }
}

/// As above, by a link of the image: what is mounted last is known under the other name only.
#[test]
fn a_mount_that_a_link_leads_onto_another_counts_there() {
    requires!(root);
    for hardened in [true, false] {
        let bundle = Bundle::sh("cat /proc/self/mountinfo");
        std::fs::create_dir(bundle.rootfs().join("mnt/a")).unwrap();
        std::os::unix::fs::symlink("/mnt/a", bundle.rootfs().join("link")).unwrap();
        let tmpfs = json!({"destination": "/mnt/a", "type": "tmpfs", "source": "tmpfs", "options": ["noexec"]});
        let container = Container::new(bundle.mount(tmpfs).bind_own("/link"));
        let done = if hardened { container } else { container.verbatim() }.output();
        assert!(!mount_at(&done.stdout, "/mnt/a").0.contains("noexec"), "{}", done.stdout);
    }
}

#[test]
fn a_file_bound_onto_a_directory_is_told_as_engines_know_it() {
    requires!(root);
    let bundle = Bundle::sh("true");
    let file = bundle.dir().join("file");
    write(&file, "");
    let text = Container::new(bundle.bind(&file, "/mnt", &[])).run().refused();
    assert!(text.contains("mounts[7] /mnt") && text.contains("not a directory"), "{text}");
}

#[test]
fn a_shared_bind_is_shared_in_a_user_namespace_too() {
    requires!(root);
    for own_user_namespace in [false, true] {
        for option in ["shared", "rshared"] {
            let bundle = Bundle::sh("cat /proc/self/mountinfo");
            let shared = bundle.dir().join("shared");
            std::fs::create_dir(&shared).unwrap();
            let bundle = bundle.bind(&shared, "/mnt", &[option]);
            let bundle = if own_user_namespace { bundle.user_namespace(700_000) } else { bundle };
            let done = Container::new(bundle).verbatim().output();
            let (_, rest) = mount_at(&done.stdout, "/mnt");
            assert!(rest.starts_with("shared:"), "{own_user_namespace} {option}: {rest}");
        }
    }
}

#[test]
fn a_bind_keeps_restrictions_of_its_source_that_it_does_not_name_unless_it_is_used_as_written() {
    requires!(root);
    casemate_tests::host::isolate();
    let volume = casemate_tests::scratch::Dir::new("volume");
    let mut mount = std::process::Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "nosuid,nodev,noexec,ro", "none"]).arg(volume.path());
    assert!(casemate_tests::programs::status(&mut mount).unwrap().success());
    let all = "ro,nosuid,nodev,noexec,relatime";
    let cases = [
        (&[][..], all, all),
        (&["private"], all, all),
        (&["rw"], "rw,relatime", "rw,nosuid,nodev,noexec,relatime"),
        (&["nosuid"], "rw,nosuid,relatime", all),
        (&["ro", "nodev"], "ro,nodev,relatime", all),
        (&["rro", "noexec"], "ro,noexec,relatime", all),
    ];
    for (options, written, hardened) in cases {
        let at = |container: Container| {
            mount_at(&container.output().stdout, "/mnt").0.replace(",idmapped", "")
        };
        let container = || {
            Container::new(Bundle::sh("cat /proc/self/mountinfo").bind(
                volume.path(),
                "/mnt",
                options,
            ))
        };
        assert_eq!(at(container().verbatim()), written, "{options:?}");
        assert_eq!(at(container()), hardened, "{options:?}");
    }
    let mut umount = std::process::Command::new("umount");
    assert!(casemate_tests::programs::status(umount.arg("-l").arg(volume.path()))
        .unwrap()
        .success());
}

#[test]
fn a_mount_that_a_later_one_hides_is_not_verified_in_its_place() {
    requires!(root);
    let hidden = json!({"destination": "/v/tmp", "type": "tmpfs", "source": "t", "options": ["nosuid", "noexec"]});
    let bundle = Bundle::sh("cat /proc/self/mountinfo").mount(hidden);
    let shared = bundle.dir().join("outer");
    std::fs::create_dir_all(shared.join("tmp")).unwrap();
    // Seen by this test alone: it has a mount namespace of its own.
    let mounted =
        programs::status(Command::new("mount").args(["-t", "tmpfs", "t"]).arg(shared.join("tmp")));
    assert!(mounted.unwrap().success());
    let container = Container::new(bundle.bind(&shared, "/v", &["rbind"])).verbatim();
    let done = container.run().done();
    let umounted = programs::status(Command::new("umount").arg(shared.join("tmp")));
    assert!(umounted.unwrap().success());
    assert!(done.status.success(), "{}", done.stderr);
    assert!(!mount_at(&done.stdout, "/v/tmp").0.contains("noexec"), "{}", done.stdout);
}
