//! Races: another container exchanges what a shared volume holds while the runtime works in it.

use casemate_tests::{requires, Bundle, Canary, Container};
use serde_json::json;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Exchanges two names for as long as it lives.
struct Swapper {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Swapper {
    fn start(a: PathBuf, b: PathBuf) -> Self {
        let (stop, swaps) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, count) = (stop.clone(), swaps.clone());
        let thread = std::thread::spawn(move || {
            let path = |p: &Path| CString::new(p.as_os_str().as_bytes()).unwrap();
            let (a, b) = (path(&a), path(&b));
            while !stopped.load(Ordering::Relaxed) {
                let at = libc::AT_FDCWD;
                // SAFETY: two C strings that live through the call.
                let result = unsafe {
                    libc::renameat2(at, a.as_ptr(), at, b.as_ptr(), libc::RENAME_EXCHANGE)
                };
                assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
                let done = count.fetch_add(1, Ordering::Relaxed);
                // Path lookup all over the machine waits for renames: leave it some room, each time another.
                std::thread::sleep(Duration::from_micros(10 + done % 7 * 20));
            }
        });
        Self { stop, swaps, thread: Some(thread) }
    }

    fn count(&self) -> u64 {
        self.swaps.load(Ordering::Relaxed)
    }
}

impl Drop for Swapper {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// A volume with a directory `a` and a link `b` to `target`, which take turns.
fn volume(target: &Path) -> (Bundle, Swapper) {
    let shared = Bundle::new();
    let vol = shared.dir().join("vol");
    std::fs::create_dir_all(vol.join("a/sub")).unwrap();
    symlink(target, vol.join("b")).unwrap();
    let swapper = Swapper::start(vol.join("a"), vol.join("b"));
    (shared, swapper)
}

/// Run containers over the volume until some time is over; answers how many ran and how many were refused.
fn storm(shared: &Bundle, canary: &Canary, script: &str, mounts: &[&str]) -> (u32, u32) {
    let (mut ran, mut refused) = (0, 0);
    let end = Instant::now() + Duration::from_secs(8);
    while Instant::now() < end && ran + refused < 60 {
        let mut bundle = Bundle::sh(script).bind(&shared.dir().join("vol"), "/vol", &["rw"]);
        for mount in mounts {
            bundle =
                bundle.mount(json!({"destination": mount, "type": "tmpfs", "source": "raced"}));
        }
        let container =
            Container::new(bundle.edit(|c| c["root"]["readonly"] = json!(false))).verbatim();
        let done = container.run().done();
        match done.code() {
            0 => ran += 1,
            1 => refused += 1,
            code => panic!("exit status {code}: {}{}", done.stdout, done.stderr),
        }
        assert!(!done.stdout.contains("canary"), "the host was visible: {}", done.stdout);
        let changes = canary.changes();
        assert!(changes.is_empty(), "the host was changed: {changes:?}");
    }
    (ran, refused)
}

#[test]
fn cve_2021_30465_a_mount_target_that_is_exchanged_for_a_link_stays_inside() {
    requires!(root);
    let canary = Canary::new();
    let (shared, swapper) = volume(canary.dir());
    let script = "cat /vol/a/secret /vol/b/secret /vol/*/*/secret 2>/dev/null; \
                  grep raced /proc/self/mountinfo | cut -d' ' -f5 | grep -v ^/vol/ | grep -v ^/var/tmp/; true";
    let (ran, refused) = storm(&shared, &canary, script, &["/vol/a/sub", "/vol/a", "/vol/a/sub/x"]);
    assert!(ran + refused >= 12, "{ran} ran, {refused} were refused");
    assert!(swapper.count() > 1000, "the attacker was too slow: {}", swapper.count());
}

#[test]
fn cve_2024_45310_mount_points_made_during_a_race_are_made_inside() {
    requires!(root);
    let canary = Canary::new();
    let (shared, swapper) = volume(canary.dir());
    let (ran, refused) = storm(&shared, &canary, "true", &["/vol/a/b/c", "/vol/a/d/e/f"]);
    assert!(ran + refused >= 12, "{ran} ran, {refused} were refused");
    assert!(swapper.count() > 1000, "the attacker was too slow: {}", swapper.count());
}

#[test]
fn cve_2021_30465_a_rootfs_that_is_exchanged_is_refused_or_the_one_that_was_named() {
    requires!(root);
    let canary = Canary::new();
    let bundle = Bundle::sh("cat /secret 2>/dev/null; true");
    let (rootfs, other) = (bundle.rootfs(), bundle.dir().join("other"));
    symlink(canary.dir(), &other).unwrap();
    let container = Container::new(bundle).verbatim();
    let swapper = Swapper::start(rootfs, other);
    let end = Instant::now() + Duration::from_secs(5);
    let (mut ran, mut refused) = (0, 0);
    while Instant::now() < end && ran + refused < 40 {
        let done = container.run_command(&[]).done();
        assert!(!done.stdout.contains("canary"), "{}", done.stdout);
        ran += u32::from(done.code() == 0);
        refused += u32::from(done.code() != 0);
    }
    drop(swapper);
    assert!(ran + refused >= 12, "{ran} ran, {refused} were refused");
    assert_eq!(std::fs::read_to_string(canary.dir().join("secret")).unwrap(), "canary secret\n");
}
