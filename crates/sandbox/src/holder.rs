//! Namespaces that belong to the container's user namespace, made ahead of the container.
//!
//! The container's process enters its user namespace last, so whatever namespace it makes itself belongs to the host.
//! For the tree that is the point, but network, ipc and host name are for the container to administer, as far as its
//! capabilities go: a port below 1024 can only be bound with CAP_NET_BIND_SERVICE in the user namespace that
//! owns the network namespace. So a short-lived process enters the user namespace and makes these three there; the
//! descriptors are all that is kept of it. It shares our memory ([`companion`]), which is what makes it cheap.
//!
//! A network namespace takes the kernel half a millisecond. The runtime has other things to do in that time: it lets the
//! holder go ([`Holder::release`]) and asks for the namespaces only when it needs them ([`Holder::wait`]).

use crate::failure::Step as _;
use crate::plan::Sysctl;
use crate::{sysctl, Failure, StepResult};
use casemate_sys::companion::{Companion, Order, Step};
use casemate_sys::{ns, Context, Error};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// The process that holds the namespaces; ends when this is dropped.
#[derive(Debug)]
pub struct Holder {
    process: Companion,
    kinds: u64,
    sysctls: Vec<Sysctl>,
}

/// The user namespace that a holder is in.
#[derive(Clone, Copy, Debug)]
pub enum User<'a> {
    /// An existing one.
    Joined(BorrowedFd<'a>),
    /// A new one. The caller writes its maps to [`Holder::pid`], then it calls [`Holder::release`]. What is used up in it of
    /// the limits per user is counted for the effective uid that makes it: this one, with its gid, if given.
    New(Option<(u32, u32)>),
}

/// Make the holder. `kinds`: which of network, ipc and uts are wanted.
///
/// # Errors
/// No process or user namespace may be made (EAGAIN, EPERM; ENOSPC: the limit on user namespaces is
/// reached, with a hint), or a kernel parameter has a NUL in its name.
pub fn hold(
    kinds: u64,
    user: User<'_>,
    host_proc: BorrowedFd<'_>,
    sysctls: Vec<Sysctl>,
) -> StepResult<Holder> {
    let writes = sysctls.iter().map(sysctl::as_write).collect::<StepResult<_>>()?;
    let (join, maker) = match user {
        User::Joined(fd) => (Some(fd), None),
        User::New(maker) => (None, maker),
    };
    let order = Order { kinds, join, maker, proc: host_proc, writes };
    match Companion::start(order).step("namespaces", || "linux.namespaces user") {
        Ok(process) => Ok(Holder { process, kinds, sysctls }),
        Err(failure) => Err(explained(failure)),
    }
}

/// The kernel counts user namespaces, and its answer to one too many is about disks.
fn explained(failure: Failure) -> Failure {
    failure.with_hint_on(
        Errno::NOSPC,
        "no more user namespaces may be made: sysctl user.max_user_namespaces",
    )
}

impl Holder {
    /// Pid in the runtime's namespace: whose maps are to be written.
    pub fn pid(&self) -> i32 {
        self.process.pid()
    }

    /// The maps are written: go on.
    ///
    /// # Errors
    /// The holder is dead: nobody reads the channel any more.
    pub fn release(&self) -> StepResult<()> {
        Ok(self.process.release()?)
    }

    /// Come back when the namespaces stand.
    ///
    /// # Errors
    /// The step that failed in the holder: entering the user namespace, becoming its root, making
    /// the namespaces, setting a kernel parameter; it was killed, or does not answer in time.
    pub fn wait(&self) -> StepResult<()> {
        self.process.wait().map_err(|trouble| match trouble {
            Some((step, errno)) => self.failure(step, errno),
            None => Failure::new("namespaces", "the namespace holder was killed"),
        })
    }

    fn failure(&self, step: Step, errno: Errno) -> Failure {
        let (call, about) = match step {
            Step::Open(number) => return self.of_sysctl(number, |s| sysctl::open_failed(s, errno)),
            Step::Write(number) => {
                return self.of_sysctl(number, |s| sysctl::write_failed(s, errno));
            }
            Step::Compare(number) => return self.of_sysctl(number, sysctl::kept),
            Step::Enter => ("setns(user)".to_owned(), "linux.namespaces user"),
            Step::Make => (format!("unshare({})", ns::names(self.kinds)), "linux.namespaces"),
            Step::Group => ("setresgid(0, 0, 0)".to_owned(), "root of the user namespace"),
            Step::User => ("setresuid(0, 0, 0)".to_owned(), "root of the user namespace"),
            Step::Await => ("read(channel)".to_owned(), "the namespace holder"),
            Step::Answer => ("write(channel)".to_owned(), "the namespace holder"),
        };
        let mut failure = Failure::from(Error::new(call, errno)).about(about);
        failure.step = "namespaces".to_owned();
        failure
    }

    fn of_sysctl(&self, number: usize, failure: impl Fn(&Sysctl) -> Failure) -> Failure {
        let unknown = || Failure::new("sysctl", "a kernel parameter that nobody asked for");
        self.sysctls.get(number).map_or_else(unknown, failure)
    }

    /// A descriptor of one of its namespaces: `user`, `net`, `ipc`, `uts`.
    ///
    /// # Errors
    /// The holder is dead, `name` is no namespace, or the descriptor cannot be opened.
    pub fn namespace(&self, host_proc: impl AsFd, name: &str) -> StepResult<OwnedFd> {
        let path = format!("{}/ns/{name}", self.pid());
        rustix::fs::openat(host_proc, &path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("openat(/proc, \"{path}\")"))
            .step("namespaces", || format!("linux.namespaces {name}"))
    }

    /// It has served. Its end takes a while, which the caller need not wait for before it drops this.
    pub fn dismiss(&self) {
        self.process.dismiss();
    }
}
