//! News of a cgroup: processes killed for want of memory, and the end of the cgroup.
//!
//! An inotify descriptor for the caller's own poll(2); nothing runs in the background. The kernel counts OOM
//! kills in memory.events and population in cgroup.events and reports a modification of both files (cgroup-v2
//! documentation).

use crate::error::{Error, Result};
use crate::files::keyed;
use crate::handle::Cgroup;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify;
use rustix::io::Errno;

/// One piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupEvent {
    /// The OOM killer has killed in this cgroup; `total` counts since the cgroup was made.
    OomKill {
        /// Kills so far.
        total: u64,
    },
    /// No process is left, or the cgroup is gone: nothing will follow.
    Empty,
}

/// Watches one cgroup. Poll the descriptor for reading, then call [`EventWatcher::read`].
#[derive(Debug)]
pub struct EventWatcher {
    inotify: OwnedFd,
    cgroup: Cgroup,
    seen_kills: u64,
}

impl EventWatcher {
    /// Watch `cgroup` from now on. Without a memory controller only its end is reported.
    ///
    /// # Errors
    /// inotify has no instance or watch left for this user (EMFILE, ENOSPC), or the cgroup is gone
    /// or cannot be read.
    pub fn new(cgroup: Cgroup) -> Result<Self> {
        let fail = |operation: &str, errno| Error::io(operation, cgroup.path(), errno);
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let inotify = inotify::init(flags).map_err(|errno| fail("inotify_init1 for", errno))?;
        for file in ["cgroup.events", "memory.events"] {
            let path = cgroup.path().join(file);
            match inotify::add_watch(&inotify, &path, inotify::WatchFlags::MODIFY) {
                Ok(_) => {}
                Err(Errno::NOENT) if file == "memory.events" => {}
                Err(errno) => return Err(Error::io("inotify_add_watch", &path, errno)),
            }
        }
        let seen_kills = cgroup.oom_kill_count()?;
        Ok(Self { inotify, cgroup, seen_kills })
    }

    /// What has happened since the last call; empty when the wake-up meant nothing. Never blocks.
    ///
    /// # Errors
    /// [`Error::Io`]: the cgroup's files cannot be read. That the cgroup is gone is news and no
    /// error.
    pub fn read(&mut self) -> Result<Vec<CgroupEvent>> {
        self.drain()?;
        let mut news = Vec::new();
        match self.cgroup.oom_kill_count() {
            Ok(total) if total > self.seen_kills => {
                self.seen_kills = total;
                news.push(CgroupEvent::OomKill { total });
            }
            Err(error) if !error.is_gone() => return Err(error),
            _ => {}
        }
        if self.is_over()? {
            news.push(CgroupEvent::Empty);
        }
        Ok(news)
    }

    fn is_over(&self) -> Result<bool> {
        match self.cgroup.dir().read("cgroup.events") {
            Ok(text) => Ok(keyed(&text, "populated") == Some(0)),
            Err(error) if error.is_gone() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The records only say "look": what changed is read from the files.
    fn drain(&self) -> Result<()> {
        let mut buffer = [0u8; 4096];
        loop {
            match rustix::io::read(&self.inotify, &mut buffer) {
                Ok(0) | Err(Errno::AGAIN) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => {
                    return Err(Error::io("read inotify events of", self.cgroup.path(), errno));
                }
            }
        }
    }
}

impl AsFd for EventWatcher {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
