//! Bind mounts as runc and crun make them: what of the source's attributes stays, and where a destination leads.

use super::spec_mounts::{bind, mount_at, shell, unmount};
use casemate_tests::bundle::write;
use casemate_tests::scratch::Dir;
use casemate_tests::{requires, Bundle, Container};
use serde_json::json;

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
