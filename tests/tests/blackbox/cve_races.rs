//! Races: another container exchanges what a shared volume holds while the runtime works in it.

use casemate_tests::{races, requires, Bundle, Canary, Container, Done};
use serde_json::json;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

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

/// How the containers of a storm ended.
#[derive(Debug, Default)]
struct Ends {
    ran: u32,
    refused: u32,
}

impl Ends {
    fn total(&self) -> u32 {
        self.ran + self.refused
    }

    /// Count one; anything but an orderly run or an orderly refusal fails the test.
    fn add(&mut self, done: &Done) {
        match done.code() {
            0 => self.ran += 1,
            1 => self.refused += 1,
            code => panic!("exit status {code}: {}{}", done.stdout, done.stderr),
        }
    }
}

/// Run containers while names are being exchanged: so many, and until the attacker has had his chances.
fn storm(swapper: &Swapper, canary: &Canary, make: impl Fn() -> Bundle, check: impl Fn(&Done)) {
    let (mut ends, rounds) = (Ends::default(), races::rounds(20, 200));
    while ends.total() < rounds || swapper.count() < 1000 {
        let done = Container::new(make()).verbatim().run().done();
        ends.add(&done);
        assert!(!done.stdout.contains("canary"), "the host was visible: {}", done.stdout);
        check(&done);
        let changes = canary.changes();
        assert!(changes.is_empty(), "the host was changed: {changes:?}");
    }
    println!("{ends:?}, {} exchanges", swapper.count());
}

/// A container with the volume, and a tmpfs at each of these places.
fn mounting(shared: &Bundle, script: &str, places: &[&str]) -> Bundle {
    let bundle = Bundle::sh(script).bind(&shared.dir().join("vol"), "/vol", &["rw"]);
    let add = |bundle: Bundle, place: &&str| {
        bundle.mount(json!({"destination": place, "type": "tmpfs", "source": "raced"}))
    };
    places.iter().fold(bundle, add).edit(|c| c["root"]["readonly"] = json!(false))
}

#[test]
fn cve_2021_30465_a_mount_target_that_is_exchanged_for_a_link_stays_inside() {
    requires!(root);
    let canary = Canary::new();
    let (shared, swapper) = volume(canary.dir());
    let script = "cat /vol/a/secret /vol/b/secret /vol/*/*/secret 2>/dev/null; \
                  grep raced /proc/self/mountinfo | cut -d' ' -f5 | grep -v ^/vol/ | grep -v ^/var/tmp/; true";
    let places = ["/vol/a/sub", "/vol/a", "/vol/a/sub/x"];
    storm(&swapper, &canary, || mounting(&shared, script, &places), |_| {});
}

#[test]
fn cve_2024_45310_mount_points_made_during_a_race_are_made_inside() {
    requires!(root);
    let canary = Canary::new();
    let (shared, swapper) = volume(canary.dir());
    let places = ["/vol/a/b/c", "/vol/a/d/e/f"];
    storm(&swapper, &canary, || mounting(&shared, "true", &places), |_| {});
}

/// A tmpfs that lands on /proc/self/attr or on a directory of parameters would take what the runtime writes there.
#[test]
fn cve_2025_52881_a_mount_that_is_raced_into_proc_redirects_no_write() {
    requires!(root);
    let canary = Canary::new();
    for target in ["/proc/self", "/proc/sys/net"] {
        let (shared, swapper) = volume(Path::new(target));
        let script = "echo score=$(cat /proc/self/oom_score_adj); \
                      echo ttl=$(cat /proc/sys/net/ipv4/ip_default_ttl); \
                      echo over=$(grep raced /proc/self/mountinfo | cut -d' ' -f5 | grep -c ^/proc)";
        let make = || {
            mounting(&shared, script, &["/vol/a/attr", "/vol/a/ipv4"]).edit(|c| {
                c["process"]["oomScoreAdj"] = json!(321);
                c["linux"]["sysctl"] = json!({"net.ipv4.ip_default_ttl": "77"});
            })
        };
        storm(&swapper, &canary, make, |done| {
            if done.code() == 0 {
                let seen = ["score", "ttl", "over"].map(|key| done.value(key));
                assert_eq!(seen, ["321", "77", "0"], "{target}: {}", done.stdout);
            }
        });
    }
}

/// Everything that the runtime makes or opens in /dev, which another container writes to meanwhile.
fn shared_dev(shared: &Bundle, script: &str) -> Bundle {
    let bundle = ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"]
        .into_iter()
        .fold(Bundle::sh(script), Bundle::without_mount);
    bundle.bind(&shared.dir().join("vol"), "/dev", &["rw"])
}

#[test]
fn cve_2025_31133_a_null_device_that_is_exchanged_takes_no_mask_away() {
    requires!(root);
    let canary = Canary::new();
    let shared = Bundle::new();
    let dev = shared.dir().join("vol");
    std::fs::create_dir(&dev).unwrap();
    symlink("/proc/sys/kernel/core_pattern", dev.join("other")).unwrap();
    std::fs::copy(shared.dir().join("rootfs/etc/group"), dev.join("null")).unwrap();
    let swapper = Swapper::start(dev.join("null"), dev.join("other"));
    let script = "echo lines=$(cat /proc/timer_list /proc/keys | wc -c); echo w=$(probe open w /proc/timer_list)";
    storm(
        &swapper,
        &canary,
        || shared_dev(&shared, script),
        |done| {
            if done.code() == 0 {
                assert_eq!(done.value("lines"), "0", "{}", done.stdout);
                assert_ne!(done.value("w"), "ok", "{}", done.stdout);
            }
        },
    );
}

#[test]
fn cve_2025_52565_a_console_that_is_exchanged_for_a_link_reaches_nothing() {
    requires!(root);
    let canary = Canary::new();
    for name in ["console", "pts"] {
        let shared = Bundle::new();
        let dev = shared.dir().join("vol");
        std::fs::create_dir_all(dev.join("pts")).unwrap();
        std::fs::write(dev.join("console"), "").unwrap();
        symlink(canary.dir().join("console"), dev.join("other")).unwrap();
        let swapper = Swapper::start(dev.join(name), dev.join("other"));
        let script =
            "cat /dev/console/../secret /dev/pts/secret /dev/pts/../secret 2>/dev/null; true";
        let make = || {
            let bundle = shared_dev(&shared, script).edit(|c| {
                c["process"]["terminal"] = json!(true);
            });
            bundle.mount(json!({"destination": "/dev/pts", "type": "devpts", "source": "devpts",
                "options": ["newinstance", "ptmxmode=0666", "mode=0620"]}))
        };
        storm(&swapper, &canary, make, |_| {});
    }
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
    let (mut ends, rounds) = (Ends::default(), races::rounds(20, 200));
    while ends.total() < rounds || swapper.count() < 1000 {
        let done = container.run_command(&[]).done();
        assert!(!done.stdout.contains("canary"), "{}", done.stdout);
        ends.ran += u32::from(done.code() == 0);
        ends.refused += u32::from(done.code() != 0);
    }
    println!("{ends:?}, {} exchanges", swapper.count());
    drop(swapper);
    assert_eq!(std::fs::read_to_string(canary.dir().join("secret")).unwrap(), "canary secret\n");
}
