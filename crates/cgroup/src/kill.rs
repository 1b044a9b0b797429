//! Signals to every process of a cgroup, and the count of what the kernel's OOM killer took.
//!
//! SIGKILL goes by cgroup.kill (Linux 5.14), which no fork can outrun. Other signals, and older kernels, freeze
//! the cgroup first and signal each process by pidfd.

use crate::error::{Error, Result};
use crate::files::keyed;
use crate::handle::Cgroup;
use casemate_sys::process::{pidfd_open, pidfd_signal};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::Signal;
use std::time::Duration;

/// How long to wait for a freeze that is only an aid.
const FREEZE_LIMIT: Duration = Duration::from_secs(2);
/// How many processes are held open at a time: a cgroup can have more than this process may have descriptors.
const AT_A_TIME: usize = 128;

impl Cgroup {
    /// SIGKILL every process of this cgroup and below. Returns when the signals are sent; see
    /// [`Cgroup::wait_empty`]. A cgroup that is gone has none. Frozen processes die too.
    ///
    /// # Errors
    /// cgroup.kill is not the caller's to write; without that file, as
    /// [`Cgroup::kill_all_of_kept`].
    pub fn kill_all(&self) -> Result<()> {
        match self.dir().write("cgroup.kill", "1") {
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::OPNOTSUPP)) => {
                self.kill_each()
            }
            Err(error) if error.is_gone() => Ok(()),
            other => other,
        }
    }

    /// The same of a cgroup that stays. Without cgroup.kill: a kernel that counts its uses (seen with Linux 6.18) compares the
    /// count of the cgroup that a child of clone3(2) is born into with that of its parent's own, and kills what is born into
    /// one that has ever been killed.
    ///
    /// # Errors
    /// As [`Cgroup::signal_all`]; or the cgroup cannot be thawed. That it is gone is no error.
    pub fn kill_all_of_kept(&self) -> Result<()> {
        self.kill_each()
    }

    fn kill_each(&self) -> Result<()> {
        match self.signal_all(Signal::KILL) {
            Err(error) if error.is_gone() => Ok(()),
            Err(error) => Err(error),
            // A cgroup that was paused stays frozen otherwise, and the version 2 freezer lets SIGKILL through,
            // but a ptraced task would hang there.
            Ok(()) => match self.dir().write("cgroup.freeze", "0") {
                Err(error) if !error.is_gone() => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Send `signal` to every process of this cgroup and below. Processes that are born meanwhile are covered as
    /// long as the cgroup can be frozen within two seconds; a cgroup that was frozen before stays so.
    ///
    /// # Errors
    /// The cgroup is gone or its processes cannot be listed, one of them must not be signalled
    /// (EPERM), or a cgroup that was frozen for this cannot be thawed.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        self.signal_all_raw(signal.as_raw())
    }

    /// The same for any signal number: a real-time signal, or 0, which only checks for permission.
    ///
    /// # Errors
    /// As [`Cgroup::signal_all`]; EINVAL for a number that is no signal, if there is a process.
    pub fn signal_all_raw(&self, signal: i32) -> Result<()> {
        let was_frozen = self.is_frozen()?;
        // Without the freeze (rootless, a process that cannot stop) a fork bomb may escape this round, no more.
        let frozen = !was_frozen && self.freeze(FREEZE_LIMIT).is_ok();
        let result = self.signal_each(signal);
        if frozen {
            self.dir().write("cgroup.freeze", "0")?;
        }
        result
    }

    fn signal_each(&self, signal: i32) -> Result<()> {
        self.procs(true)?.chunks(AT_A_TIME).try_for_each(|pids| self.signal_these(pids, signal))
    }

    fn signal_these(&self, pids: &[i32], signal: i32) -> Result<()> {
        let open = |pid: &i32| Ok(self.open_process(*pid)?.map(|fd| (*pid, fd)));
        let opened: Vec<Option<(i32, OwnedFd)>> = pids.iter().map(open).collect::<Result<_>>()?;
        // A number can be reused between the listing and the opening. What is still listed after the opening was
        // ours when it was opened, or is dead and gets ESRCH.
        let listed = self.procs(true)?;
        for (pid, fd) in opened.iter().flatten().filter(|(pid, _)| listed.contains(pid)) {
            match pidfd_signal(fd, signal).map_err(|error| error.errno()) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(errno) => {
                    let operation = format!("send signal {signal} to process {pid} of");
                    return Err(Error::io(operation, self.path(), errno));
                }
            }
        }
        Ok(())
    }

    /// `None`: it has ended, or the number is a thread's (EINVAL, newer kernels ENOENT): a threaded cgroup lists threads, and
    /// the process is reached by the one that leads it.
    fn open_process(&self, pid: i32) -> Result<Option<OwnedFd>> {
        match pidfd_open(pid).map_err(|error| error.errno()) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::SRCH | Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::io(format!("open process {pid} of"), self.path(), errno)),
        }
    }

    /// How many processes of this cgroup and below the OOM killer has killed (memory.events, `oom_kill`); zero
    /// where the memory controller is not enabled.
    ///
    /// # Errors
    /// memory.events is there and cannot be read.
    pub fn oom_kill_count(&self) -> Result<u64> {
        let events = self.dir().read_optional("memory.events")?;
        Ok(events.and_then(|text| keyed(&text, "oom_kill")).unwrap_or(0))
    }
}
