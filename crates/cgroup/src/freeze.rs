//! Pausing and resuming a whole cgroup, and waiting for what cgroup.events tells.
//!
//! Writing cgroup.freeze is a request; the kernel answers in cgroup.events when every process has stopped
//! (cgroup-v2 documentation, "Core Interface Files"; Linux 5.2). Waiting is by poll(2), never by sleeping.

use crate::error::{Error, Result};
use crate::files::{keyed, read_all, Dir};
use crate::handle::Cgroup;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::time::{Duration, Instant};

const EVENTS: &str = "cgroup.events";

impl Cgroup {
    /// Stop every process of this cgroup and below, and wait until they have stopped. When that takes longer than
    /// `limit` (a process in uninterruptible sleep), the request is taken back and the error is [`Error::TimedOut`].
    pub fn freeze(&self, limit: Duration) -> Result<()> {
        let dir = self.dir();
        dir.write("cgroup.freeze", "1")?;
        let waited = wait_event(&dir, "frozen", 1, limit);
        if waited.is_err() {
            // Half frozen is the one state that nobody can use; the first error is the one to report.
            self.thaw(limit).ok();
        }
        waited
    }

    /// Let the processes run again and wait until the cgroup no longer counts as frozen. An ancestor that is
    /// frozen keeps it so: then [`Error::TimedOut`] after `limit`.
    pub fn thaw(&self, limit: Duration) -> Result<()> {
        let dir = self.dir();
        dir.write("cgroup.freeze", "0")?;
        wait_event(&dir, "frozen", 0, limit)
    }

    /// Whether this cgroup was asked to freeze and has done so: the truth behind the state `paused`. A cgroup
    /// that is gone, or a kernel before 5.2, is not frozen.
    pub fn is_frozen(&self) -> Result<bool> {
        let dir = self.dir();
        if !requested(&dir)? {
            return Ok(false);
        }
        match dir.read(EVENTS) {
            Ok(text) => Ok(keyed(&text, "frozen") == Some(1)),
            Err(error) if error.is_gone() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Whether cgroup.freeze says 1; a missing file or cgroup says 0.
pub(crate) fn requested(dir: &Dir<'_>) -> Result<bool> {
    match dir.read("cgroup.freeze") {
        Ok(text) => Ok(text.trim() == "1"),
        Err(error) if error.is_gone() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Wait until `key` of cgroup.events has the `value`.
pub(crate) fn wait_event(dir: &Dir<'_>, key: &str, value: u64, limit: Duration) -> Result<()> {
    let fail = |errno| Error::io("read", dir.path.join(EVENTS), errno);
    let file = dir.open(EVENTS, OFlags::RDONLY).map_err(fail)?;
    let deadline = Instant::now() + limit;
    loop {
        // Reading before polling: poll reports changes since the last read of this open file, so that a change
        // between the two is not lost.
        let text = read_all(&file).map_err(fail)?;
        if keyed(&text, key) == Some(value) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let what = format!("\"{key} {value}\" in {}", dir.path.join(EVENTS).display());
            return Err(Error::TimedOut { what, after: limit });
        }
        let timeout =
            Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        let mut fds = [PollFd::new(&file, PollFlags::PRI)];
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::io("poll", dir.path.join(EVENTS), errno)),
        }
    }
}
