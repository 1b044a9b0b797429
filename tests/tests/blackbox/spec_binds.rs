//! Bind mounts as runc and crun make them: what of the source's attributes stays, and where a destination leads.

use super::spec_mounts::{bind, mount_at, shell, unmount};
use casemate_tests::bundle::write;
use casemate_tests::scratch::Dir;
use casemate_tests::{requires, Bundle, Canary, Container};
use serde_json::json;
use std::os::unix::fs::symlink;

const INFO: &str = "cat /proc/self/mountinfo";

/// First id of the user namespaces here.
const FIRST: u32 = 100_000;

/// The options of /mnt, sorted, where a mount with `source` is bound with `options`.
fn bound(source: &str, options: &[&str], user_namespace: bool) -> String {
    let dir = Dir::new("volume");
    let place = dir.path().display();
    shell(&format!(
        "chmod 755 {place}; mount -t tmpfs volume {place}; mount -o remount,bind,{source} {place}"
    ));
    let options: Vec<_> = ["bind"].iter().chain(options).copied().collect();
    let bundle = Bundle::sh(INFO).mount(bind(dir.path(), &options));
    let bundle = if user_namespace { bundle.user_namespace(FIRST) } else { bundle };
    let done = Container::new(bundle).verbatim().output();
    unmount(dir.path());
    mount_at(&done.stdout, "/mnt").0
}

#[test]
fn a_bind_that_names_one_attribute_gives_up_all_others_but_access_times() {
    requires!(root);
    let source = "ro,nosuid,nodev,noexec,nosymfollow,noatime,nodiratime";
    let cases: [(&str, &[&str], &str); 8] = [
        (source, &[], "ro,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow"),
        (source, &["dev"], "rw,noatime,nodiratime"),
        (source, &["ro"], "ro,noatime,nodiratime"),
        (source, &["atime", "suid"], "rw,noatime,nodiratime"),
        ("noatime", &["relatime"], "rw,relatime"),
        ("noatime", &["nodiratime"], "rw,nodiratime,relatime"),
        ("nodiratime", &["strictatime"], "rw"),
        ("noatime", &["nodiratime", "strictatime"], "rw,nodiratime"),
    ];
    for (source, options, wanted) in cases {
        assert_eq!(bound(source, options, false), wanted, "{source}: {options:?}");
    }
}

#[test]
fn a_container_with_a_user_namespace_takes_no_restriction_away_from_a_bind() {
    requires!(root);
    let source = "ro,nosuid,noexec,nosymfollow,noatime";
    for options in [&["nodev"][..], &["nodev", "rw", "suid", "exec", "atime"]] {
        let wanted = "ro,nosuid,nodev,noexec,noatime";
        assert_eq!(bound(source, options, true), wanted, "{options:?}");
    }
    assert_eq!(bound("nodev,nosymfollow", &["rw"], true), "rw,nodev,relatime");
}

#[test]
fn a_destination_may_be_written_with_the_path_of_the_root_before_it() {
    requires!(root);
    let dir = Dir::new("volume");
    write(&dir.path().join("file"), "text");
    let bundle = Bundle::sh("echo first=$(cat /mnt/file); echo second=$(cat /tmp/again/file)");
    let (mnt, again) = (bundle.rootfs().join("mnt"), bundle.rootfs().join("tmp/again"));
    let bundle = bundle
        .mount(json!({"destination": mnt, "source": dir.path(), "options": ["bind"]}))
        .mount(json!({"destination": again, "source": mnt, "options": ["bind"]}));
    let done = Container::new(bundle).verbatim().output();
    assert_eq!((done.value("first"), done.value("second")), ("text", "text"));
}

#[test]
fn a_destination_is_judged_without_the_path_of_the_root_before_it() {
    requires!(root);
    let dir = Dir::new("volume");
    for place in ["", "proc", "proc/sys", "sys/fs/cgroup"] {
        let messages = [false, true].map(|prefixed| {
            let bundle = Bundle::sh("true");
            let root = if prefixed { bundle.rootfs().display().to_string() } else { String::new() };
            let mount = json!({"destination": format!("{root}/{place}"), "source": dir.path(), "options": ["bind"]});
            Container::new(bundle.mount(mount)).run().done().stderr
        });
        let [plain, prefixed] = messages.map(|text| {
            let (_, message) = text.split_once("msg=").unwrap_or_default();
            message.to_owned()
        });
        assert_eq!(plain, prefixed, "{place}");
    }
}

#[test]
fn a_mount_on_a_link_that_leads_nowhere_is_made_where_it_leads() {
    requires!(root);
    let canary = Canary::new();
    let dir = Dir::new("volume");
    write(&dir.path().join("file"), "text");
    let mounts = [
        json!({"destination": "/etc/late", "source": dir.path().join("file"), "options": ["bind"]}),
        json!({"destination": "/etc/place", "source": dir.path(), "options": ["bind"]}),
        json!({"destination": "/up/x", "type": "tmpfs", "source": "t"}),
    ];
    let script = "echo file=$(cat /mnt/new/by/late); echo dir=$(cat /mnt/place/file); cat /proc/self/mountinfo";
    for hardened in [false, true] {
        let bundle = mounts.iter().cloned().fold(Bundle::sh(script), Bundle::mount);
        let root = bundle.rootfs();
        symlink("/mnt/new", root.join("jump")).unwrap();
        symlink("../jump/by/late", root.join("etc/late")).unwrap();
        symlink("/mnt/place", root.join("etc/place")).unwrap();
        let up = format!("{}{}/absent", "../".repeat(20), canary.dir().display());
        symlink(up, root.join("up")).unwrap();
        let container = Container::new(bundle);
        let done = if hardened { container } else { container.verbatim() }.output();
        assert_eq!((done.value("file"), done.value("dir")), ("text", "text"));
        mount_at(&done.stdout, "/mnt/new/by/late");
        mount_at(&done.stdout, &format!("{}/absent/x", canary.dir().display()));
        canary.check();
    }
}

#[test]
fn links_that_lead_to_each_other_are_no_place_for_a_mount() {
    requires!(root);
    let bundle =
        Bundle::sh("true").mount(json!({"destination": "/a/x", "type": "tmpfs", "source": "t"}));
    symlink("b", bundle.rootfs().join("a")).unwrap();
    symlink("a", bundle.rootfs().join("b")).unwrap();
    let text = Container::new(bundle).verbatim().run().refused();
    assert!(text.contains("too many levels of symbolic links"), "{text}");
}
