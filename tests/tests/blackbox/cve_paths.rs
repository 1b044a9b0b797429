//! Hostile root file systems: links where the runtime mounts, makes directories or makes device nodes.

use casemate_tests::bundle::write;
use casemate_tests::{requires, Bundle, Canary, Container};
use serde_json::{json, Value};
use std::os::unix::fs::symlink;
use std::path::Path;

/// What `link` in the rootfs is, and the path below it that the bundle names.
fn links(canary: &Path) -> Vec<(&'static str, String, &'static str)> {
    let canary = canary.display().to_string();
    let up = "../".repeat(20);
    vec![
        ("absolute", canary.clone(), "/link/target"),
        ("absolute, itself", canary.clone(), "/link"),
        ("absolute, to a file", format!("{canary}/secret"), "/link"),
        ("relative", format!("{up}{canary}"), "/link/target"),
        ("parent", "..".to_owned(), "/link/../../../../../../../../canary"),
        ("dangling", format!("{canary}/absent"), "/link/target"),
        ("dangling, itself", format!("{canary}/absent"), "/link"),
        ("loop", "link".to_owned(), "/link/target"),
        ("root of a process", format!("/proc/self/root{canary}"), "/link/target"),
        ("magic", "/proc/self/cwd".to_owned(), "/link/target"),
        ("magic, a descriptor", "/proc/self/fd/3".to_owned(), "/link/target"),
    ]
}

/// What is mounted, or made, there.
fn things(source: &Path) -> Vec<(&'static str, Value)> {
    let dir = source.display().to_string();
    let file = format!("{dir}/marker");
    vec![
        ("directory", json!({"type": "bind", "source": dir, "options": ["rbind"]})),
        ("file", json!({"type": "bind", "source": file, "options": ["bind"]})),
        ("tmpfs", json!({"type": "tmpfs", "source": "tmpfs", "options": ["size=64k"]})),
        ("proc", json!({"type": "proc", "source": "proc"})),
    ]
}

#[test]
fn cve_2019_18837_a_mount_target_is_resolved_inside_the_rootfs() {
    requires!(root);
    let canary = Canary::new();
    let source = Bundle::new();
    write(&source.dir().join("marker"), "marker");
    let mut ran = 0;
    for (how, target, destination) in links(canary.dir()) {
        for (what, mount) in things(source.dir()) {
            let mut mount = mount.clone();
            mount["destination"] = json!(destination);
            let bundle =
                Bundle::sh("true").mount(mount).edit(|c| c["root"]["readonly"] = json!(false));
            symlink(&target, bundle.rootfs().join("link")).unwrap();
            let done = Container::new(bundle).verbatim().run().done();
            assert!(
                matches!(done.code(), 0 | 1),
                "{what} on {how}: {} {}",
                done.code(),
                done.stderr
            );
            ran += usize::from(done.code() == 0);
            let changes = canary.changes();
            assert!(changes.is_empty(), "{what} on {how} reached the host: {changes:?}");
        }
    }
    // Links that have a meaning inside the rootfs work there: a runtime that refused all would be of no use.
    assert!(ran > 5, "{ran}");
}

#[test]
fn cve_2019_18837_a_link_to_an_absolute_path_leads_to_that_path_of_the_container() {
    requires!(root);
    let canary = Canary::new();
    let target = canary.dir().strip_prefix("/").unwrap().join("sub");
    let tmpfs = json!({"destination": "/link/here", "type": "tmpfs", "source": "inside"});
    let bundle = Bundle::sh(&format!(
        "grep inside /proc/self/mountinfo | cut -d' ' -f5; cat /{}/*",
        target.display()
    ))
    .mount(tmpfs)
    .edit(|c| c["root"]["readonly"] = json!(false));
    std::fs::create_dir_all(bundle.rootfs().join(&target)).unwrap();
    write(&bundle.rootfs().join(&target).join("own"), "own");
    symlink(canary.dir().join("sub"), bundle.rootfs().join("link")).unwrap();
    let done = Container::new(bundle).verbatim().run().done();
    assert_eq!(done.stdout, format!("/{}/here\nown", target.display()));
    canary.check();
}

#[test]
fn cve_2019_19921_a_link_in_the_place_of_proc_or_sys_is_refused() {
    requires!(root);
    for dir in ["proc", "sys", "dev"] {
        let canary = Canary::new();
        for target in [
            canary.dir().display().to_string(),
            format!("..{}", canary.dir().display()),
            "lol".into(),
        ] {
            let bundle = Bundle::sh("true");
            std::fs::create_dir(bundle.rootfs().join("lol")).unwrap();
            std::fs::remove_dir(bundle.rootfs().join(dir)).unwrap();
            symlink(&target, bundle.rootfs().join(dir)).unwrap();
            let rootfs = bundle.rootfs();
            let container = Container::new(bundle).verbatim();
            let message = container.run().refused();
            assert!(message.contains(&format!("/{dir}")), "{message}");
            assert_eq!(std::fs::read_dir(rootfs.join("lol")).unwrap().count(), 0);
            assert_eq!(container.leftovers(), Vec::<String>::new());
            canary.check();
        }
    }
}

#[test]
fn cve_2023_27561_a_linked_proc_beside_a_real_one_is_refused() {
    requires!(root);
    let canary = Canary::new();
    for dir in ["proc", "sys"] {
        let bundle = Bundle::sh("true")
            .mount(json!({"destination": "/lol", "type": "tmpfs", "source": "tmpfs"}))
            .mount(
                json!({"destination": format!("/lol/{dir}"), "type": "tmpfs", "source": "tmpfs"}),
            );
        std::fs::remove_dir(bundle.rootfs().join(dir)).unwrap();
        symlink(format!("/lol/{dir}"), bundle.rootfs().join(dir)).unwrap();
        let message = Container::new(bundle).verbatim().run().refused();
        assert!(message.contains(dir), "{message}");
    }
    canary.check();
}

#[test]
fn cve_2023_28642_proc_cannot_be_mounted_twice() {
    requires!(root);
    let bundle = Bundle::sh("true")
        .mount(json!({"destination": "/proc/", "type": "proc", "source": "proc"}));
    let message = Container::new(bundle).verbatim().run().refused();
    assert!(message.contains("twice"), "{message}");
}

#[test]
fn cve_2019_16884_nothing_but_procfs_is_mounted_on_or_below_proc() {
    requires!(root);
    let canary = Canary::new();
    for destination in [
        "/proc",
        "/proc/",
        "/./proc",
        "/tmp/../proc",
        "proc",
        "/proc/self/attr",
        "/proc/sys/kernel",
    ] {
        let bundle = Bundle::sh("true").without_mount("/proc").bind(canary.dir(), destination, &[]);
        let message = Container::new(bundle).verbatim().run().refused();
        assert!(message.contains("/proc"), "{destination}: {message}");
        let tmpfs = json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"});
        let message = Container::new(Bundle::sh("true").mount(tmpfs)).verbatim().run().refused();
        assert!(message.contains("/proc"), "{destination}: {message}");
    }
    canary.check();
}

#[test]
fn cve_2026_41579_device_nodes_are_not_made_through_a_linked_dev() {
    requires!(root);
    let canary = Canary::new();
    let up = "../".repeat(20);
    for target in [canary.dir().display().to_string(), format!("{up}{}", canary.dir().display())] {
        let bundle = ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"]
            .into_iter()
            .fold(Bundle::sh("true"), Bundle::without_mount)
            .edit(|c| c["root"]["readonly"] = json!(false));
        std::fs::remove_dir(bundle.rootfs().join("dev")).unwrap();
        symlink(&target, bundle.rootfs().join("dev")).unwrap();
        let message = Container::new(bundle).verbatim().run().refused();
        assert!(message.contains("/dev"), "{message}");
        canary.check();
    }
}

#[test]
fn cve_2026_47766_devices_of_the_bundle_do_not_follow_links() {
    requires!(root);
    let canary = Canary::new();
    for (path, link) in
        [("/link/fuse", "link"), ("/dev2/null", "dev2"), ("/dev/sub/../../link/zero", "link")]
    {
        let bundle = Bundle::sh("true").edit(|c| {
            c["root"]["readonly"] = json!(false);
            c["linux"]["devices"] =
                json!([{"path": path, "type": "c", "major": 1, "minor": 5, "fileMode": 438}]);
        });
        symlink(canary.dir(), bundle.rootfs().join(link)).unwrap();
        let done = Container::new(bundle).verbatim().run().done();
        assert_ne!(done.code(), 0, "{path}: {}", done.stderr);
        canary.check();
    }
}

#[test]
fn cve_2025_24965_no_file_of_the_image_is_written() {
    requires!(root);
    let canary = Canary::new();
    let secret = canary.dir().join("secret");
    let bundle = Bundle::sh("true").edit(|c| c["root"]["readonly"] = json!(false));
    let files = [
        "etc/passwd",
        "etc/group",
        "etc/hostname",
        "etc/hosts",
        "etc/resolv.conf",
        "etc/mtab",
        ".krun_config.json",
    ];
    for file in files {
        drop(std::fs::remove_file(bundle.rootfs().join(file)));
        symlink(&secret, bundle.rootfs().join(file)).unwrap();
    }
    let done = Container::new(bundle).verbatim().run().done();
    assert_eq!((done.code(), done.stderr.as_str()), (0, ""));
    canary.check();
}

#[test]
fn cve_2024_45310_missing_mount_points_are_made_inside_the_rootfs_only() {
    requires!(root);
    let canary = Canary::new();
    let shared = Bundle::new();
    std::fs::create_dir(shared.dir().join("vol")).unwrap();
    symlink(canary.dir(), shared.dir().join("vol/a")).unwrap();
    // A volume that holds a link, and a mount point that is missing behind it.
    for destination in ["/vol/a/b/c", "/vol/a/b/../c/d"] {
        let bundle = Bundle::sh("true")
            .bind(&shared.dir().join("vol"), "/vol", &["rw"])
            .mount(json!({"destination": destination, "type": "tmpfs", "source": "tmpfs"}))
            .edit(|c| c["root"]["readonly"] = json!(false));
        let done = Container::new(bundle).verbatim().run().done();
        assert!(matches!(done.code(), 0 | 1), "{}", done.stderr);
        canary.check();
    }
}
