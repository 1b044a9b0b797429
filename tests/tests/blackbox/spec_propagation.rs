//! Mounts that reach other mount namespaces.

use crate::spec_mounts::{bind, mount_at, mount_tmpfs, run, shell, tmpfs, unmount, INFO};
use casemate_tests::scratch::Dir;
use casemate_tests::{host, requires, Bundle, Canary, Container};
use serde_json::json;

#[test]
fn a_volume_propagates_as_asked() {
    requires!(root);
    let fields = [
        ("private", false, false),
        ("rprivate", false, false),
        ("slave", false, true),
        ("rslave", false, true),
        ("shared", true, false),
        ("rshared", true, false),
        ("unbindable", false, false),
        ("runbindable", false, false),
    ];
    for (option, is_shared, is_slave) in fields {
        let dir = Dir::new("volume");
        let bundle = Bundle::sh(INFO).mount(bind(dir.path(), &["rbind", option])).edit(|c| {
            c["linux"]["rootfsPropagation"] = json!(if is_shared { "rshared" } else { "rslave" })
        });
        let (_, rest) = mount_at(&run(bundle).stdout, "/mnt");
        assert_eq!(rest.contains("shared:"), is_shared, "{option}: {rest}");
        assert_eq!(rest.contains("unbindable"), option.contains("unbindable"), "{option}: {rest}");
        if is_slave {
            assert!(rest.contains("master:"), "{option}: {rest}");
        }
    }
}

#[test]
fn mounts_of_the_host_reach_a_slave_volume_and_mounts_of_the_container_leave_a_shared_one() {
    requires!(root);
    host::isolate();
    let dir = Dir::new("volume");
    // A mount of its own: the one that the rootfs lies on is cut off from the host's, or the container would leak.
    mount_tmpfs(dir.path());
    std::fs::create_dir(dir.path().join("from-host")).unwrap();
    std::fs::create_dir(dir.path().join("from-container")).unwrap();
    let script = "mount -t tmpfs inner /mnt/from-container && echo ready; while ! grep -q from-host /proc/self/mountinfo; \
        do sleep 0.02; done; echo seen; sleep 600";
    for (volume, rootfs, leaves) in [("rslave", "rslave", false), ("rshared", "rshared", true)] {
        let bundle = Bundle::sh(script)
            .all_capabilities()
            .mount(bind(dir.path(), &["rbind", volume]))
            .edit(|c| c["linux"]["rootfsPropagation"] = json!(rootfs));
        let container = Container::new(bundle).verbatim();
        let mut running = container.run().spawn();
        running.wait_for("ready");
        let on_host = host::mounts().iter().any(|line| line.contains("/from-container "));
        assert_eq!(on_host, leaves, "{volume}");
        mount_tmpfs(&dir.path().join("from-host"));
        running.wait_for("seen");
        unmount(&dir.path().join("from-host"));
        container.kill("KILL").ok();
        running.done();
        if leaves {
            unmount(&dir.path().join("from-container"));
        }
    }
    unmount(dir.path());
}

#[test]
fn the_root_propagates_as_asked_and_leaks_nothing() {
    requires!(root);
    let canary = Canary::new();
    let asked = [
        "private",
        "rprivate",
        "slave",
        "rslave",
        "shared",
        "rshared",
        "unbindable",
        "runbindable",
    ];
    for propagation in asked.into_iter().map(Some).chain([None]) {
        let bundle = Bundle::sh(INFO).mount(tmpfs(&[])).edit(|c| {
            if let Some(propagation) = propagation {
                c["linux"]["rootfsPropagation"] = json!(propagation);
            }
        });
        let (_, rest) = mount_at(&run(bundle).stdout, "/");
        let name = propagation.unwrap_or("none");
        assert_eq!(rest.contains("shared:"), name.ends_with("shared"), "{name}: {rest}");
        assert_eq!(rest.contains("unbindable"), name.ends_with("unbindable"), "{name}: {rest}");
        canary.check();
    }
}

#[test]
fn a_shared_root_on_a_mount_of_its_own_takes_nothing_of_the_host_along() {
    requires!(root);
    // As engines prepare it. Everything that the container leaves behind on its way in has peers on the host.
    let bundle = Bundle::sh(INFO).edit(|c| c["linux"]["rootfsPropagation"] = json!("rshared"));
    let container = Container::new(bundle).verbatim();
    let rootfs = container.bundle.rootfs();
    shell(&format!("mount --bind {0} {0}", rootfs.display()));
    let canary = Canary::new();
    container.output();
    container.run_command(&["--no-pivot"]).ok();
    canary.check();
    unmount(&rootfs);
}
