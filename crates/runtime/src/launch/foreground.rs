//! Staying with a process in the foreground: its terminal, the signals that are meant for it, its end.

use crate::launch::notify::Relay;
use anyhow::Result;
use casemate_sys::process::{self, Exit};
use casemate_sys::{signals, tty, Context as _};
use rustix::event::{poll, PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;

const SIGCHLD: i32 = 17;
const SIGWINCH: i32 = 28;
const SIGURG: i32 = 23;

/// Signals of this process, blocked and waiting in a descriptor. To be made before the process is launched, so that none
/// is lost; the payload's own mask is reset before execve.
#[derive(Debug)]
pub(crate) struct Foreground {
    signals: OwnedFd,
}

/// A terminal between the host's and the container's.
struct Terminal {
    master: OwnedFd,
    saved: Option<tty::Saved>,
    /// Input that the container has not taken yet is not read on.
    stdin_open: bool,
}

/// What there is to do.
struct Ready {
    signal: bool,
    ended: bool,
    output: bool,
    input: bool,
    message: bool,
}

impl Foreground {
    /// Take over all signals. `subreaper`: orphans of the container become ours to reap.
    pub(crate) fn take_over(subreaper: bool) -> Result<Self> {
        if subreaper {
            process::set_subreaper()?;
        }
        Ok(Self { signals: signals::block_all_to_fd()? })
    }

    /// Copy terminal bytes, pass signals and (`relay`) readiness on until the process ends; answers how it ended.
    pub(crate) fn wait(
        &self,
        pid: i32,
        pidfd: &OwnedFd,
        master: Option<OwnedFd>,
        relay: Option<Relay>,
    ) -> Result<Exit> {
        let mut terminal = master.map(Terminal::open).transpose()?;
        let exit = self.serve(pid, pidfd, &mut terminal, relay);
        if let Some(terminal) = &mut terminal {
            terminal.drain();
            terminal.close()?;
        }
        exit
    }

    fn serve(
        &self,
        pid: i32,
        pidfd: &OwnedFd,
        terminal: &mut Option<Terminal>,
        mut relay: Option<Relay>,
    ) -> Result<Exit> {
        loop {
            let ready = self.await_event(pidfd, terminal.as_ref(), relay.as_ref())?;
            if let Some(terminal) = terminal.as_mut() {
                terminal.copy(ready.output, ready.input);
            }
            // Before the end is looked at: a payload may be ready and done in one breath. No main pid: we are it.
            if ready.message
                && relay.as_ref().is_some_and(|relay| !matches!(relay.take(None), Ok(false)))
            {
                relay = None;
            }
            if ready.signal {
                self.pass_on(pid, pidfd, terminal.as_ref())?;
            }
            if ready.ended {
                if let Some(exit) = process::wait(pid, false)? {
                    return Ok(exit);
                }
            }
        }
    }

    fn await_event(
        &self,
        pidfd: &OwnedFd,
        terminal: Option<&Terminal>,
        relay: Option<&Relay>,
    ) -> Result<Ready> {
        let stdin = rustix::stdio::stdin();
        let input = terminal.filter(|terminal| terminal.stdin_open).map(|_| stdin);
        let watched = [
            Some(self.signals.as_fd()),
            Some(pidfd.as_fd()),
            terminal.map(|terminal| terminal.master.as_fd()),
            input,
            relay.map(AsFd::as_fd),
        ];
        let mut fds: Vec<PollFd<'_>> = watched
            .iter()
            .flatten()
            .map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN))
            .collect();
        rustix::io::retry_on_intr(|| poll(&mut fds, None)).call(|| "poll(container)")?;
        let mut events = fds.iter().map(|fd| !fd.revents().is_empty());
        let mut next = |fd: &Option<BorrowedFd<'_>>| fd.is_some() && events.next() == Some(true);
        let [signal, ended, output, input, message] = [0, 1, 2, 3, 4].map(|i| next(&watched[i]));
        Ok(Ready { signal, ended, output, input, message })
    }

    fn pass_on(&self, pid: i32, pidfd: &OwnedFd, terminal: Option<&Terminal>) -> Result<()> {
        while let Some(signal) = signals::take(&self.signals)? {
            match signal {
                SIGCHLD => reap_orphans(pid),
                SIGWINCH => {
                    if let Some(terminal) = terminal {
                        terminal.take_size();
                    }
                }
                // Go programs send it to themselves; runc swallows it too.
                SIGURG => {}
                signal => match process::pidfd_signal(pidfd, signal) {
                    Err(e) if e.errno() != Errno::SRCH => return Err(e.into()),
                    _ => {}
                },
            }
        }
        Ok(())
    }
}

/// Children that are not the container's init: orphans that a subreaper gets. Init itself is left for `wait`.
fn reap_orphans(init: i32) {
    while let Some(pid) = process::peek_ended().filter(|pid| *pid != init) {
        // Somebody else has reaped it, or it is there at the next look.
        process::wait(pid, false).ok();
    }
}

impl Terminal {
    fn open(master: OwnedFd) -> Result<Self> {
        let stdin = rustix::stdio::stdin();
        let saved = match tty::size(stdin) {
            Some(size) => {
                tty::set_size(&master, size)?;
                Some(tty::make_raw(stdin)?)
            }
            None => None,
        };
        Ok(Self { master, saved, stdin_open: true })
    }

    fn take_size(&self) {
        if let Some(size) = tty::size(rustix::stdio::stdin()) {
            // The container may have closed its side: then there is nothing to resize.
            tty::set_size(&self.master, size).ok();
        }
    }

    fn copy(&mut self, output: bool, input: bool) {
        if output {
            pump(self.master.as_fd(), rustix::stdio::stdout());
        }
        if input && !pump(rustix::stdio::stdin(), self.master.as_fd()) {
            self.stdin_open = false;
            self.end_input();
        }
    }

    /// What is not a terminal has an end, which a terminal tells its readers by a byte: else a shell would wait for ever for
    /// more than a pipe, or /dev/null, held.
    fn end_input(&self) {
        let end = tty::end_of_input(&self.master).filter(|_| self.saved.is_none());
        if let Some(end) = end {
            // Nobody reads any more: then nobody waits either.
            rustix::io::write(&self.master, &[end]).ok();
        }
    }

    /// What the container wrote before it ended.
    fn drain(&mut self) {
        let zero = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        loop {
            let ready = poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&zero));
            if !matches!(ready, Ok(1)) || !pump(self.master.as_fd(), rustix::stdio::stdout()) {
                return;
            }
        }
    }

    fn close(&mut self) -> Result<()> {
        if let Some(saved) = self.saved.take() {
            tty::restore(rustix::stdio::stdin(), &saved)?;
        }
        Ok(())
    }
}

/// Copy what is there; false at the end of the input (a pty whose other side is closed answers EIO), and where an error is one:
/// the container runs on without its terminal.
fn pump(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> bool {
    let mut buf = [0u8; 8192];
    let n = match rustix::io::read(from, &mut buf) {
        Ok(0) => return false,
        Ok(n) => n,
        Err(Errno::INTR | Errno::AGAIN) => return true,
        Err(_) => return false,
    };
    let mut rest = &buf[..n];
    while !rest.is_empty() {
        match rustix::io::write(to, rest) {
            Ok(n) => rest = &rest[n..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                // The next write tells.
                poll(&mut [PollFd::new(&to, PollFlags::OUT)], None).ok();
            }
            Err(_) => return false,
        }
    }
    true
}
