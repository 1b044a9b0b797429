//! Namespaces that belong to the container's user namespace, made ahead of the container.
//!
//! The container's process enters its user namespace last, so whatever namespace it makes itself belongs to the host.
//! For the tree that is the point, but network, ipc and host name are for the container to administer, as far as its
//! capabilities go: a port below 1024 can only be bound with CAP_NET_BIND_SERVICE in the user namespace that
//! owns the network namespace. So a short-lived process enters the user namespace and makes these three there; the
//! descriptors are all that is kept of it.
//!
//! A network namespace takes the kernel half a millisecond. The runtime has other things to do in that time: it lets the
//! holder go ([`Holder::release`]) and asks for the namespaces only when it needs them ([`Holder::wait`]).

use crate::failure::Step;
use crate::plan::Sysctl;
use crate::proto::{self, FromChild, FromParent};
use crate::{sysctl, Failure, StepResult};
use casemate_sys::ns::{self, flag};
use casemate_sys::process::{self, clone_process, exit_now, Cloned};
use casemate_sys::{socket, Context};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The process that holds the namespaces; ends when this is dropped.
#[derive(Debug)]
pub struct Holder {
    pid: i32,
    pidfd: OwnedFd,
    channel: OwnedFd,
}

/// Make the holder. `join`: an existing user namespace, else a new one is made and the caller writes its maps to
/// [`Holder::pid`]. Then it calls [`Holder::release`]. `kinds`: which of network, ipc and uts are wanted.
pub fn hold(
    kinds: u64,
    join: Option<BorrowedFd<'_>>,
    host_proc: BorrowedFd<'_>,
    sysctls: &[Sysctl],
) -> StepResult<Holder> {
    let (channel, theirs) = socket::pair()?;
    let clone = if join.is_some() { 0 } else { flag::USER };
    let cloned = clone_process(clone, None).step("namespaces", || "linux.namespaces user");
    match cloned.map_err(explained)? {
        Cloned::Parent { pid, pidfd } => Ok(Holder { pid, pidfd, channel }),
        Cloned::Child => {
            drop(channel);
            let run = || -> StepResult<()> {
                if let Some(user) = join {
                    ns::setns(user, flag::USER).step("namespaces", || "linux.namespaces user")?;
                }
                proto::await_parent(&theirs, FromParent::Mapped)?;
                process::set_res_gid(0, 0, 0)
                    .step("namespaces", || "root of the user namespace")?;
                process::set_res_uid(0, 0, 0)
                    .step("namespaces", || "root of the user namespace")?;
                // Not by clone3: what a namespace brings along, such as the root of its mqueue, belongs to its maker, who is
                // nobody before the maps are written.
                if kinds != 0 {
                    ns::unshare(kinds).step("namespaces", || "linux.namespaces")?;
                }
                sysctl::write_all(host_proc, sysctls)?;
                proto::send_ready(&theirs)
            };
            if let Err(failure) = run() {
                proto::send_failure(&theirs, &failure);
                exit_now(crate::launch::FAILED);
            }
            // Hold until the parent has what it wants: it closes its end, or kills us.
            drop(proto::await_parent(&theirs, FromParent::Start));
            exit_now(0)
        }
    }
}

/// The kernel counts user namespaces, and its answer to one too many is about disks.
fn explained(mut failure: Failure) -> Failure {
    if failure.errno == Errno::NOSPC.raw_os_error() {
        failure.message.push_str(
            " (hint: no more user namespaces may be made: sysctl user.max_user_namespaces)",
        );
    }
    failure
}

impl Holder {
    /// Pid in the runtime's namespace: whose maps are to be written.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The maps are written: go on.
    pub fn release(&self) -> StepResult<()> {
        proto::tell_child(&self.channel, FromParent::Mapped)
    }

    /// Come back when the namespaces stand.
    pub fn wait(&self) -> StepResult<()> {
        match proto::receive(&self.channel)? {
            FromChild::Ready => Ok(()),
            FromChild::Failed(failure) => Err(failure),
            other => {
                Err(Failure::new("namespaces", format!("the namespace holder ended: {other:?}")))
            }
        }
    }

    /// A descriptor of one of its namespaces: `user`, `net`, `ipc`, `uts`.
    pub fn namespace(&self, host_proc: impl AsFd, name: &str) -> StepResult<OwnedFd> {
        let path = format!("{}/ns/{name}", self.pid);
        rustix::fs::openat(host_proc, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("openat(/proc, \"{path}\")"))
            .step("namespaces", || format!("linux.namespaces {name}"))
    }

    /// It has served. Its end takes a while, which the caller need not wait for before it drops this.
    pub fn dismiss(&self) {
        // Failing means that it is gone already, which is what is wanted.
        drop(process::pidfd_signal(&self.pidfd, 9));
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.dismiss();
        drop(process::wait(self.pid, true));
    }
}
