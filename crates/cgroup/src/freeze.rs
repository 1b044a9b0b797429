//! Pausing and resuming a whole cgroup, and waiting for what cgroup.events tells.
//!
//! Writing cgroup.freeze is a request; the kernel answers in cgroup.events when every process has stopped
//! (cgroup-v2 documentation, "Core Interface Files"; Linux 5.2). Waiting is by poll(2), never by sleeping.

use crate::error::Result;
use crate::files::keyed;
use crate::handle::Cgroup;
use crate::wait::{requested, wait_event, EVENTS};
use std::time::Duration;

impl Cgroup {
    /// Stop every process of this cgroup and below, and wait until they have stopped. When that takes longer than
    /// `limit` (a process in uninterruptible sleep), the request is taken back and the error is
    /// [`crate::Error::TimedOut`].
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`]; [`crate::Error::Io`] when cgroup.freeze cannot be written: the
    /// cgroup is gone, the caller has no right to, or the kernel is older than 5.2.
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
    /// frozen keeps it so: then [`crate::Error::TimedOut`] after `limit`.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`]; [`crate::Error::Io`] when cgroup.freeze cannot be written, e.g.
    /// because the cgroup is gone.
    pub fn thaw(&self, limit: Duration) -> Result<()> {
        let dir = self.dir();
        dir.write("cgroup.freeze", "0")?;
        wait_event(&dir, "frozen", 0, limit)
    }

    /// Whether this cgroup was asked to freeze and has done so: the truth behind the state `paused`. A cgroup
    /// that is gone, or a kernel before 5.2, is not frozen.
    ///
    /// # Errors
    /// cgroup.freeze or cgroup.events is there and cannot be read.
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
