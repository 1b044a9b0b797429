//! What cgroup.events and cgroup.freeze tell, and waiting until they tell it: by poll(2), never by sleeping.

use crate::error::{Error, Result};
use crate::files::{keyed, read_all, Dir};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::time::{Duration, Instant};

pub(crate) const EVENTS: &str = "cgroup.events";

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
