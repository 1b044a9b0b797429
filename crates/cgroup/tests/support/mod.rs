//! What the live tests share: cgroups with names of their own, and processes put into them.
#![allow(dead_code, unreachable_pub, missing_debug_implementations, clippy::unwrap_used)]

use casemate_cgroup::{Cgroup, Controllers, Hierarchy};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Generous, because test hosts are slow.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The host's cgroup2, or `None` with a word about it where these tests cannot run.
pub fn hierarchy() -> Option<Hierarchy> {
    let found = Hierarchy::discover().unwrap();
    let probe = found.mount_point().join(format!("casemate-probe-{}", unique("probe")));
    match std::fs::create_dir(&probe) {
        Ok(()) => {
            std::fs::remove_dir(&probe).unwrap();
            Some(found)
        }
        Err(error) => {
            eprintln!("skipped: cannot make cgroups below {:?}: {error}", found.mount_point());
            None
        }
    }
}

/// A name that no other test run uses at the same time.
pub fn unique(name: &str) -> String {
    format!("casemate-test-{}-{name}", std::process::id())
}

/// A cgroup that is killed and removed when the test ends, however it ends.
pub struct Temporary {
    pub path: PathBuf,
    pub inner: PathBuf,
    pub cgroup: Cgroup,
}

impl Temporary {
    pub fn new(hierarchy: &Hierarchy, name: &str) -> Self {
        Self::with(hierarchy, name, &Controllers::none())
    }

    pub fn with(hierarchy: &Hierarchy, name: &str, needed: &Controllers) -> Self {
        let inner = Path::new("/").join(unique(name));
        let cgroup = Cgroup::create(hierarchy, &inner, needed).unwrap();
        Self { path: cgroup.path().to_owned(), inner, cgroup }
    }

    /// Move a process in, as only tests do: the runtime clones into the cgroup.
    pub fn adopt(&self, child: &Child) {
        std::fs::write(self.path.join("cgroup.procs"), child.id().to_string()).unwrap();
    }

    /// Run a shell in the cgroup that starts `script` only after it has been moved there; its exit code.
    pub fn shell(&self, script: &str) -> i32 {
        let mut child = self.start(script);
        child.wait().unwrap().code().unwrap_or(-1)
    }

    pub fn start(&self, script: &str) -> Child {
        let mut child = Command::new("sh")
            .args(["-c", &format!("read go; {script}")])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        self.adopt(&child);
        drop(child.stdin.take());
        child
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        self.cgroup.kill_all().ok();
        self.cgroup.wait_empty(PATIENCE).ok();
        self.cgroup.remove().ok();
    }
}

/// Wait for something that has no event to wait for.
pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < end, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
