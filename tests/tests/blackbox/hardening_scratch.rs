//! Places that a root which was made read-only leaves writable: which, with what in them, and that neither the image nor the next
//! container sees what was written.

use casemate_tests::{programs, requires, Bundle, Container, Done};
use serde_json::json;
use std::os::unix::fs::{chown, symlink, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

const MANY: usize = 40;

/// A writable root with logs, a cache that is too much to copy, and data.
fn image(script: &str) -> Bundle {
    let bundle = Bundle::sh(script).edit(|c| c["root"]["readonly"] = json!(false));
    let root = bundle.rootfs();
    for dir in ["var/log", "var/cache/app/many", "var/lib/app", "var/lib/nginx/body"] {
        std::fs::create_dir_all(root.join(dir)).unwrap();
    }
    std::fs::write(root.join("var/log/old"), "line\n").unwrap();
    let cache = root.join("var/cache");
    for i in 0..MANY {
        std::fs::write(cache.join(format!("app/many/{i}")), "x").unwrap();
    }
    // More than the scratch space holds; a file with a hole takes no time.
    std::fs::File::create(cache.join("app/huge")).unwrap().set_len(1 << 30).unwrap();
    chown(&cache, Some(33), Some(34)).unwrap();
    std::fs::set_permissions(&cache, PermissionsExt::from_mode(0o2775)).unwrap();
    symlink("../run", root.join("var/run")).unwrap();
    bundle
}

const TRY: &str = "for d in /tmp /var/tmp /run /var/log /var/cache /var/cache/app /var/lib/nginx/body /var/lib/app /var/lib / /etc; do \
        touch $d/probe 2>/dev/null && echo $d=rw || echo $d=ro; done; \
    echo top=$(stat -c %u:%g:%a /var/cache); echo huge=$(stat -c %s /var/cache/app/huge); echo many=$(ls /var/cache/app/many | wc -l); \
    echo log=$(cat /var/log/old); echo new > /var/log/old; echo changed=$(cat /var/log/old); \
    rm -r /var/cache/app/many && mkdir /var/cache/app/many && echo left=$(ls /var/cache/app/many | wc -l); \
    dd if=/dev/zero of=/var/cache/app/fill bs=1M count=80 2>/dev/null && echo size=unlimited || echo size=limited; \
    awk '$5 ~ \"^/var/(cache|log|lib/nginx)$\" && $6 !~ /nosuid,nodev/ { print \"loose=\" $5 }' /proc/self/mountinfo";

fn assert_scratch(done: &Done) {
    let rw = [
        "/tmp",
        "/var/tmp",
        "/run",
        "/var/log",
        "/var/cache",
        "/var/cache/app",
        "/var/lib/nginx/body",
    ];
    for place in rw {
        assert_eq!(done.value(place), "rw", "{place}\n{}{}", done.stdout, done.stderr);
    }
    for place in ["/var/lib/app", "/var/lib", "/", "/etc"] {
        assert_eq!(done.value(place), "ro", "{place}");
    }
    assert_eq!(done.value("top"), "33:34:2775");
    assert_eq!(done.value("huge"), (1 << 30).to_string());
    assert_eq!((done.value("many"), done.value("left")), (MANY.to_string().as_str(), "0"));
    assert_eq!((done.value("log"), done.value("changed")), ("line", "new"));
    assert_eq!(done.value("size"), "limited");
    assert!(!done.stdout.contains("loose="), "{}", done.stdout);
}

/// The image is as it was.
fn assert_untouched(root: &Path) {
    assert_eq!(std::fs::read_to_string(root.join("var/log/old")).unwrap(), "line\n");
    assert_eq!(std::fs::read_dir(root.join("var/cache/app/many")).unwrap().count(), MANY);
    for place in ["var/log", "var/cache", "var/cache/app", "var/lib/nginx/body", "run", "tmp"] {
        assert!(!root.join(place).join("probe").exists(), "{place}");
    }
    assert!(!root.join("var/cache/app/fill").exists());
}

/// A rootfs as engines make it: layers in an overlay.
struct Layered(PathBuf);

impl Layered {
    /// None where the machine's file systems are overlays themselves.
    fn over(bundle: &Bundle) -> Option<Self> {
        let rootfs = bundle.rootfs();
        std::fs::rename(&rootfs, bundle.dir().join("lower")).unwrap();
        for dir in ["rootfs", "upper", "work"] {
            std::fs::create_dir(bundle.dir().join(dir)).unwrap();
        }
        let dir = bundle.dir().display();
        let options = format!("lowerdir={dir}/lower,upperdir={dir}/upper,workdir={dir}/work");
        let mut mount = Command::new("mount");
        mount.args(["-t", "overlay", "o", "-o", &options]).arg(&rootfs);
        programs::status(&mut mount).unwrap().success().then_some(Self(rootfs))
    }
}

impl Drop for Layered {
    fn drop(&mut self) {
        assert!(programs::status(Command::new("umount").arg(&self.0)).unwrap().success());
    }
}

#[test]
fn services_can_write_where_they_log_and_cache_and_nowhere_else() {
    requires!(root);
    let container = Container::new(image(TRY).all_capabilities());
    assert_scratch(&container.output());
    assert_untouched(&container.bundle.rootfs());
}

#[test]
fn the_same_holds_for_an_image_in_layers() {
    requires!(root);
    let container = Container::new(image(TRY).all_capabilities());
    container.bundle.save();
    let Some(layers) = Layered::over(&container.bundle) else { return };
    assert_scratch(&container.output());
    assert_untouched(&container.bundle.rootfs());
    assert_untouched(&container.bundle.dir().join("lower"));
    assert!(!container.bundle.dir().join("upper/var").exists());
    drop(layers);
}

#[test]
fn the_same_holds_with_the_ids_of_the_host() {
    requires!(root);
    let bundle = image(TRY).all_capabilities();
    let container = Container::new(bundle).global(&["--allow", "userns.host"]);
    container.bundle.save();
    let Some(layers) = Layered::over(&container.bundle) else { return };
    assert_scratch(&container.output());
    assert_untouched(&container.bundle.rootfs());
    drop(layers);
}

#[test]
fn what_lies_below_a_writable_place_cannot_be_uncovered() {
    requires!(root);
    let script = "for p in /var/cache /var/log /tmp; do echo $p=$(probe umount $p); done; echo root=$(probe remount-rw /)";
    let bundle = image(script).all_capabilities();
    let allow = "capabilities.all,seccomp.unconfined";
    let done = Container::new(bundle).global(&["--allow", allow]).output();
    for place in ["/var/cache", "/var/log", "/tmp"] {
        assert_eq!(done.value(place), "EINVAL", "{place}");
    }
    assert_eq!(done.value("root"), "EPERM");
}

#[test]
fn a_place_that_the_image_lacks_or_the_bundle_provides_is_left_alone() {
    requires!(root);
    let script = "awk '{ print $5 }' /proc/self/mountinfo; ls /var/cache";
    let bundle = Bundle::sh(script).edit(|c| c["root"]["readonly"] = json!(false));
    let root = bundle.rootfs();
    std::fs::create_dir_all(root.join("var/cache")).unwrap();
    std::fs::write(root.join("var/cache/of-the-image"), "").unwrap();
    // A link is not followed to a place that is writable already, or to none.
    symlink("/run", root.join("var/lock")).unwrap();
    let container = Container::new(bundle.bind_own("/var/cache"));
    let done = container.output();
    let at = |place: &str| done.stdout.lines().filter(|line| *line == place).count();
    assert_eq!((at("/var/cache"), at("/run"), at("/var/log")), (1, 1, 0), "{}", done.stdout);
    assert!(!done.stdout.contains("of-the-image"));
    assert!(!container.bundle.rootfs().join("var/log").exists());
}
