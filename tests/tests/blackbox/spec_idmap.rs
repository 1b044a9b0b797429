//! Mounts whose files the configuration wants shown with other owners (`idmap`, `ridmap`, mappings of a mount).

use super::spec_mounts::{bind, nested, shell, unmount};
use casemate_tests::bundle::write;
use casemate_tests::scratch::Dir;
use casemate_tests::{host, requires, Bundle, Container};
use serde_json::{json, Value};

fn mapping(inside: u32, outside: u32) -> Value {
    json!([{"containerID": inside, "hostID": outside, "size": 10}])
}

#[test]
fn an_idmapped_mount_shows_other_owners() {
    requires!(root);
    let dir = nested();
    for file in ["file", "sub/inner"] {
        std::os::unix::fs::chown(dir.path().join(file), Some(3), Some(4)).unwrap();
    }
    let script = "echo file=$(stat -c %u,%g /mnt/file); echo inner=$(stat -c %u,%g /mnt/sub/inner)";
    // The option, the recursive option, and podman's way: mappings without an option.
    for (options, below) in
        [(&["rbind", "idmap"][..], "3,4"), (&["rbind", "ridmap"], "1003,2004"), (&["rbind"], "3,4")]
    {
        let mut mount = bind(dir.path(), options);
        mount["uidMappings"] = mapping(0, 1000);
        mount["gidMappings"] = mapping(0, 2000);
        let container = Container::new(Bundle::sh(script).mount(mount)).verbatim();
        let done = container.run().done();
        if done.stderr.contains("idmap") && done.stderr.contains("invalid argument") {
            casemate_tests::skip::note("idmapped mounts", "the file system of the tests has none");
            break;
        }
        assert_eq!(
            (done.value("file"), done.value("inner")),
            ("1003,2004", below),
            "{options:?} {}",
            done.stderr
        );
    }
    unmount(&dir.path().join("sub"));
}

#[test]
fn an_idmapped_mount_that_the_file_system_cannot_make_is_refused_under_every_profile() {
    requires!(root);
    host::isolate();
    let volume = Dir::new("volume");
    // The kernel shows no ramfs with other ids.
    shell(&format!("mount -t ramfs none {}", volume.path().display()));
    for profile in ["privileged", "hardened"] {
        let mut mount = bind(volume.path(), &["bind", "idmap"]);
        mount["uidMappings"] = mapping(0, 1000);
        mount["gidMappings"] = mapping(0, 2000);
        let container =
            Container::new(Bundle::sh("echo ran").mount(mount)).global(&["--profile", profile]);
        let text = container.run().refused();
        assert!(text.contains(&format!("source {}: idmap: ", volume.path().display())), "{text}");
        assert!(text.contains("cannot be shown with other ids"), "{text}");
        assert!(container.leftovers().is_empty(), "{:?}", container.leftovers());
    }
    unmount(volume.path());
}

#[test]
fn idmap_without_mappings_uses_the_containers() {
    requires!(root);
    let dir = Dir::new("volume");
    write(&dir.path().join("file"), "x");
    let bundle = Bundle::sh("echo file=$(stat -c %u,%g /mnt/file)")
        .user_namespace(100_000)
        .mount(bind(dir.path(), &["rbind", "idmap"]));
    let done = Container::new(bundle).verbatim().run().done();
    assert_eq!(done.value("file"), "0,0", "{}", done.stderr);
    let text = Container::new(Bundle::sh("true").mount(bind(dir.path(), &["rbind", "idmap"])))
        .run()
        .refused();
    assert!(text.contains("mounts[7]: idmap needs mappings"), "{text}");
}
