//! The parent's half of the launch: answers what the plan announced, until the process is ready.

use crate::state::Record;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_policy::HardenedSpec;
use casemate_sandbox::launch::Spawned;
use casemate_sandbox::plan::{Hook, HookState};
use casemate_sandbox::proto::{self, Expected, FromChild, FromParent};
use casemate_sandbox::{hooks, Failure};
use casemate_sys::{process, socket, tty, Context as _};
use rustix::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the terminal's master goes.
#[derive(Debug)]
pub(crate) enum ConsoleSink {
    /// No terminal.
    None,
    /// To whoever listens on `--console-socket`.
    Socket(OwnedFd),
    /// Kept: we copy its bytes ourselves.
    Keep,
}

/// What the parent does for the child.
#[derive(Debug)]
pub(crate) struct Supervision<'a> {
    /// The terminal.
    pub console: ConsoleSink,
    /// prestart and createRuntime hooks, in order.
    pub hooks: Vec<Hook>,
    /// The state that they read.
    pub hook_state: &'a HookState,
    /// A filter notifies: socket and metadata of its agent.
    pub listener: Option<SeccompAgent<'a>>,
    /// How long each step of the child's may take ([`proto::limit`]).
    pub limit: Option<Duration>,
}

/// Whom notifications go to.
#[derive(Debug)]
pub(crate) struct SeccompAgent<'a> {
    /// Socket.
    pub path: &'a Path,
    /// Opaque text for the agent.
    pub metadata: &'a str,
    /// Status of the container in the message: creating, or running for exec.
    pub status: &'static str,
    /// Pid of init; `None`: it is the process itself.
    pub init_pid: Option<i32>,
    /// ociVersion, id, bundle and annotations come from here.
    pub record: &'a Record,
}

impl Supervision<'_> {
    /// Serve requests until the child is ready. The terminal's master comes back if it is to be kept.
    pub(crate) fn serve(self, child: &Spawned) -> Result<Option<OwnedFd>> {
        let mut expected = Expected {
            console: !matches!(self.console, ConsoleSink::None),
            tree_built: !self.hooks.is_empty(),
            listener: self.listener.is_some(),
        };
        let mut kept = None;
        loop {
            let frame = proto::receive_within(&child.channel, self.limit)?;
            expected.admit(&frame)?;
            match frame {
                FromChild::Console(master) => kept = self.deliver_console(master)?,
                FromChild::TreeBuilt => {
                    hooks::run_all(&self.hooks, &self.hook_state.render("created", child.pid))?;
                    proto::tell_child(&child.channel, FromParent::HooksDone)?;
                }
                FromChild::Listener(raw) => {
                    let listener =
                        process::pidfd_getfd(&child.pidfd, raw).context("linux.seccomp")?;
                    if let Some(agent) = &self.listener {
                        agent
                            .deliver(&listener, child.pid)
                            .context("linux.seccomp.listenerPath")?;
                    }
                    proto::tell_child(&child.channel, FromParent::Taken)?;
                }
                FromChild::Ready => return Ok(kept),
                FromChild::Failed(failure) => return Err(failure.into()),
                FromChild::Closed | FromChild::Process(..) => bail!("{}", died(child)),
            }
        }
    }

    fn deliver_console(&self, master: OwnedFd) -> Result<Option<OwnedFd>> {
        let ConsoleSink::Socket(socket) = &self.console else {
            // Before the program looks: what shows it has a size, whatever the configuration says.
            if let Some(size) = tty::size(rustix::stdio::stdin()) {
                tty::set_size(&master, size)?;
            }
            // The host's terminal adds carriage returns itself; without one nobody wants them.
            tty::clear_onlcr(&master)?;
            return Ok(Some(master));
        };
        let name = format!("/dev/pts/{}", tty::number(&master)?);
        socket::send(socket, name.as_bytes(), &[master.as_fd()]).context("console socket")?;
        Ok(None)
    }
}

/// How long a process may take to end that has let go of the channel.
const DYING: Duration = Duration::from_secs(2);

fn died(child: &Spawned) -> String {
    // Or is about to: nothing is left for it to do without the channel. First looked at, so that its own end is told.
    if !matches!(casemate_sys::fd::readable(&child.pidfd, DYING), Ok(true)) {
        child.dismiss();
    }
    match process::wait(child.pid, true) {
        Ok(Some(process::Exit::Signal(signal))) => {
            format!("container init was killed by {}", process::signal_text(signal))
        }
        Ok(Some(process::Exit::Code(code))) => format!("container init ended with status {code}"),
        _ => "container init ended".to_owned(),
    }
}

impl SeccompAgent<'_> {
    /// One connection, one message: the container process state with the descriptor (runtime-spec "The Container Process
    /// State").
    fn deliver(&self, listener: &OwnedFd, pid: i32) -> Result<()> {
        let state = serde_json::json!({
            "ociVersion": self.record.spec.oci_version,
            "id": self.record.id,
            "status": self.status,
            "pid": self.init_pid.unwrap_or(pid),
            "bundle": self.record.bundle,
            "annotations": self.record.spec.annotations,
        });
        let message = serde_json::json!({
            "ociVersion": self.record.spec.oci_version,
            "fds": ["seccompFd"],
            "pid": pid,
            "metadata": self.metadata,
            "state": state,
        });
        // runc's words, which its callers look for.
        let connection = socket::connect(self.path, socket::Kind::Stream)
            .context("failed to connect with seccomp agent")?;
        Ok(socket::send(&connection, message.to_string().as_bytes(), &[listener.as_fd()])?)
    }
}

/// Connect to the socket that is to receive the terminal, before anything is made. Who listens there is asked of the
/// kernel: a path says nothing about that.
pub(crate) fn console_sink(
    terminal: bool,
    detached: bool,
    socket: Option<&PathBuf>,
    spec: &HardenedSpec,
) -> Result<ConsoleSink> {
    match (terminal, socket) {
        (true, Some(path)) if detached => {
            let about = || format!("--console-socket {}", path.display());
            let connection = socket::connect(path, socket::Kind::Stream).with_context(about)?;
            let peer = rustix::net::sockopt::socket_peercred(&connection);
            let peer = peer.call(|| "getsockopt(SO_PEERCRED)").with_context(about)?.uid.as_raw();
            spec.check_console(peer, rustix::process::getuid().as_raw()).with_context(about)?;
            Ok(ConsoleSink::Socket(connection))
        }
        (true, None) if !detached => Ok(ConsoleSink::Keep),
        (true, None) => Err(anyhow!(
            "cannot allocate tty if casemate will detach without setting console socket"
        )),
        (_, Some(_)) => {
            Err(anyhow!("cannot use console socket if casemate will not detach or allocate tty"))
        }
        (false, None) => Ok(ConsoleSink::None),
    }
}

/// Hand a pidfd to `--pidfd-socket`: the payload says which kind of process it is.
pub(crate) fn deliver_pidfd(path: &Path, kind: &str, pidfd: &OwnedFd) -> Result<()> {
    let connection = socket::connect(path, socket::Kind::Stream).context("--pidfd-socket")?;
    socket::send(&connection, kind.as_bytes(), &[pidfd.as_fd()]).context("--pidfd-socket")
}

/// Wait until the program was executed, or learn why it was not. startContainer hooks come first: `limit` is theirs, too.
pub(crate) fn await_exec(channel: &OwnedFd, limit: Option<Duration>) -> Result<()> {
    match proto::receive_within(channel, limit)? {
        FromChild::Closed => Ok(()),
        FromChild::Failed(failure) => Err(failure.into()),
        other => {
            Err(Failure::new("protocol", format!("unexpected {other:?} behind the gate")).into())
        }
    }
}
