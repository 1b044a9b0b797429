//! Readiness for a service manager (sd_notify(3), systemd.service(5) `Type=notify`).
//!
//! When `create` or `run` finds NOTIFY_SOCKET, the container gets a directory with a socket of ours in its place. Of what
//! the payload sends there only its readiness goes on to the manager: the container does not choose a main pid, store
//! descriptors or reset watchdogs of the service.

use crate::files::io_error_text;
use crate::state::{Container, StateDir};
use anyhow::{Context, Result};
use casemate_sandbox::plan::{ContainerPlan, MountPlan, MountSource};
use casemate_sys::mount::attr;
use casemate_sys::path::Links;
use casemate_sys::{socket, Context as _};
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};

/// Of the state directory.
const DIR: &str = "notify";
const SOCKET: &str = "notify.sock";
/// In the container.
const INSIDE: &str = "/run/notify";
const VARIABLE: &[u8] = b"NOTIFY_SOCKET=";
/// How long the manager may take to read what we sent.
const BARRIER_SECONDS: i64 = 30;

/// The manager's socket as our environment names it: a path, or `@name` for an abstract one.
pub(crate) fn host_socket() -> Option<PathBuf> {
    let value = std::env::var_os("NOTIFY_SOCKET")?;
    matches!(value.as_bytes().first(), Some(b'/' | b'@')).then(|| PathBuf::from(value))
}

/// Make the directory and put it, and its name, into the plan.
pub(crate) fn prepare(state: &StateDir, plan: &mut ContainerPlan) -> Result<()> {
    let about = || format!("notify socket of {}", state.id);
    rustix::fs::mkdirat(state.dir(), DIR, Mode::from_raw_mode(0o755))
        .call(|| "mkdirat(notify)")
        .with_context(about)?;
    let dir = open_dir(state).with_context(about)?;
    // Whatever our umask is: the payload's user has to get through.
    rustix::fs::fchmod(&dir, Mode::from_raw_mode(0o755))
        .call(|| "fchmod(notify)")
        .with_context(about)?;
    plan.root.mounts.push(MountPlan {
        label: format!("mount {INSIDE}"),
        destination: PathBuf::from(INSIDE),
        links: Links::InRoot,
        source: MountSource::Bind {
            path: state.path().join(DIR),
            recursive: false,
            nofollow: true,
            identity: None,
            copy_symlink: false,
            idmap: None,
            prepared: None,
        },
        set: attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC,
        clear: 0,
        recursive_set: 0,
        recursive_clear: 0,
        propagation: Vec::new(),
    });
    let env = &mut plan.process.env;
    env.retain(|entry| !entry.as_bytes().starts_with(VARIABLE));
    let value = [VARIABLE, INSIDE.as_bytes(), b"/", SOCKET.as_bytes()].concat();
    env.extend(std::ffi::CString::new(value));
    Ok(())
}

fn open_dir(state: &StateDir) -> casemate_sys::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(state.dir(), DIR, flags, Mode::empty()).call(|| "openat(notify)")
}

/// The socket that the payload writes to, and where its readiness goes.
#[derive(Debug)]
pub(crate) struct Relay {
    inside: UnixDatagram,
    manager: PathBuf,
}

impl Relay {
    /// The socket of a container, bound now, if a service manager waits for its readiness.
    ///
    /// # Errors
    /// As [`Relay::bind`].
    pub(crate) fn of(container: &Container) -> Result<Option<Self>> {
        let manager = container.record.notify_socket.as_ref();
        manager.map(|manager| Self::bind(&container.state, manager)).transpose()
    }

    /// Bind the socket in the directory that [`prepare`] made. Before the payload runs.
    pub(crate) fn bind(state: &StateDir, manager: &Path) -> Result<Self> {
        let about = || format!("notify socket of {}", state.id);
        let dir = open_dir(state).with_context(about)?;
        // Through the descriptor: a socket's path may have 107 bytes, and a state root more.
        let path = format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd());
        let inside =
            UnixDatagram::bind(&path).map_err(|e| io_error_text(&e)).with_context(about)?;
        rustix::fs::chmodat(&dir, SOCKET, Mode::from_raw_mode(0o777), rustix::fs::AtFlags::empty())
            .call(|| "fchmodat(notify.sock)")
            .with_context(about)?;
        Ok(Self { inside, manager: manager.to_owned() })
    }

    /// Read one message and pass readiness on; true when it was that.
    pub(crate) fn take(&self, main_pid: Option<i32>) -> Result<bool> {
        let mut buffer = [0u8; 4096];
        let n = match self.inside.recv(&mut buffer) {
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => return Ok(false),
            Err(e) => return Err(io_error_text(&e)).context("notify socket"),
        };
        let Some(ready) =
            buffer[..n].split(|b| *b == b'\n').find(|line| line.starts_with(b"READY="))
        else {
            return Ok(false);
        };
        self.pass_on(ready, main_pid)
            .with_context(|| format!("NOTIFY_SOCKET {}", self.manager.display()))?;
        Ok(true)
    }

    /// Wait until the payload is ready or gone; then the manager may be told who it is.
    pub(crate) fn await_ready(&self, pidfd: &OwnedFd, pid: i32) -> Result<()> {
        loop {
            let mut fds =
                [PollFd::new(&self.inside, PollFlags::IN), PollFd::new(pidfd, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut fds, None)).call(|| "poll(notify socket)")?;
            let [message, ended] = fds.map(|fd| !fd.revents().is_empty());
            if message && self.take(Some(pid))? || ended && !message {
                return Ok(());
            }
        }
    }

    fn pass_on(&self, ready: &[u8], main_pid: Option<i32>) -> Result<()> {
        let socket = UnixDatagram::unbound().map_err(|e| io_error_text(&e))?;
        socket.connect_addr(&address(&self.manager)?).map_err(|e| io_error_text(&e))?;
        socket.send(ready).map_err(|e| io_error_text(&e))?;
        let Some(pid) = main_pid else { return Ok(()) };
        socket.send(format!("MAINPID={pid}").as_bytes()).map_err(|e| io_error_text(&e))?;
        barrier(&socket)
    }
}

fn address(path: &Path) -> Result<SocketAddr> {
    let bytes = path.as_os_str().to_owned().into_vec();
    let address = match bytes.split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(path),
    };
    address.map_err(|e| io_error_text(&e))
}

/// We are about to end, and the manager tells messages apart by their sender's pid: stay until it has closed its copy of
/// a pipe, which it does when it has read everything before it (sd_notify_barrier(3)).
fn barrier(socket: &UnixDatagram) -> Result<()> {
    let (read, write) =
        rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).call(|| "pipe2()")?;
    socket::send(socket, b"BARRIER=1", &[write.as_fd()])?;
    drop(write);
    let limit = Timespec { tv_sec: BARRIER_SECONDS, tv_nsec: 0 };
    // A manager that does not know barriers closes it at once; one that hangs is not our failure.
    rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(&read, PollFlags::IN)], Some(&limit)))
        .call(|| "poll(barrier)")?;
    Ok(())
}

impl AsFd for Relay {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inside.as_fd()
    }
}
