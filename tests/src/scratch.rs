//! Directories of the tests: below `$TMPDIR` or /var/tmp, open to every user, gone when their owner is dropped.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Once, OnceLock};
use std::time::SystemTime;

/// A directory of one's own, mode 0755, removed with everything in it.
#[derive(Debug)]
pub struct Dir {
    path: PathBuf,
    /// What is removed: the directory itself, or one above it.
    top: PathBuf,
}

impl Dir {
    /// Make one.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(what: &str) -> Self {
        // Before a test can mount anything: what it mounts must not be seen by the others.
        crate::host::isolate();
        let path = base().join(format!("{what}-{}", number()));
        make(&path);
        Self { top: path.clone(), path }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same directory with all that is in it, now at `place` below a new one.
    ///
    /// # Panics
    /// If it cannot be moved.
    pub fn move_to(&mut self, place: &Path) {
        let top = base().join(format!("moved-{}", number()));
        let path = top.join(place);
        make(path.parent().expect("a place has a name"));
        std::fs::rename(&self.path, &path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        *self = Self { path, top };
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if std::env::var_os("CASEMATE_TEST_KEEP").is_none() {
            remove(&self.top);
        }
    }
}

/// Remove a directory of a test's with everything in it, but nothing of what a test that failed has left mounted there:
/// that may be a directory of the host's.
pub fn remove(dir: &Path) {
    // The thread's, not the process's: each test has a mount namespace of its own.
    let Ok(mounts) = std::fs::read_to_string("/proc/thread-self/mountinfo") else {
        eprintln!(
            "{}: not removed, because it cannot be known whether something is mounted there",
            dir.display()
        );
        return;
    };
    let Ok(dir) = dir.canonicalize() else {
        return;
    };
    let below =
        |line: &&str| line.split(' ').nth(4).is_some_and(|at| Path::new(at).starts_with(&dir));
    match mounts.lines().find(below) {
        Some(mount) => eprintln!("{}: not removed, because of the mount {mount}", dir.display()),
        None => drop(std::fs::remove_dir_all(dir)),
    }
}

/// A word that no other run of the tests has, not even one that had the same pid and was killed: what that one left lies
/// in nobody's way.
pub fn run() -> &'static str {
    static RUN: OnceLock<String> = OnceLock::new();
    RUN.get_or_init(|| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        format!("{}-{:08x}", std::process::id(), now.as_micros() & 0xffff_ffff)
    })
}

/// A number that no other test of this process has.
pub fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Where all directories of this process lie.
pub fn base() -> PathBuf {
    let top = std::env::var_os("TMPDIR").map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from);
    top.join(format!("casemate-tests-{}", run()))
}

extern "C" fn remove_base() {
    if std::env::var_os("CASEMATE_TEST_KEEP").is_none() {
        remove(&base());
    }
}

/// `mkdir -p` with mode 0755, whatever the umask.
///
/// # Panics
/// If it cannot be made.
pub fn make(path: &Path) {
    static CLEANUP: Once = Once::new();
    // SAFETY: registers a function that takes and keeps nothing.
    CLEANUP.call_once(|| assert_eq!(unsafe { libc::atexit(remove_base) }, 0));
    std::fs::create_dir_all(path).unwrap_or_else(|e| panic!("mkdir {}: {e}", path.display()));
    for dir in path.ancestors().take_while(|dir| dir.starts_with(base())) {
        let mode = std::fs::Permissions::from_mode(0o755);
        drop(std::fs::set_permissions(dir, mode));
    }
}
