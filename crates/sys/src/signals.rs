//! Signals as data: blocking them, taking them from a descriptor, restoring defaults.

use crate::error::{check, Context, Result};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Block every signal and return a descriptor that delivers them: sigprocmask(2), signalfd(2).
///
/// # Errors
/// EMFILE, ENFILE, ENOMEM of signalfd(2). The signals are blocked then.
pub fn block_all_to_fd() -> Result<OwnedFd> {
    // SAFETY: an all-zero sigset_t is valid storage for sigfillset, which initialises it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: set is a valid sigset_t.
    unsafe { libc::sigfillset(&mut set) };
    // SAFETY: set is initialised; the old mask is not asked for.
    check(libc::c_long::from(unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut())
    }))
    .call(|| "sigprocmask(SIG_SETMASK, all)")?;
    // SAFETY: set is initialised.
    check(libc::c_long::from(unsafe {
        libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    }))
    // SAFETY: signalfd returned a new descriptor that is ours.
    .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
    .call(|| "signalfd(all)")
}

/// Take one pending signal, `None` when there is none.
///
/// # Errors
/// None with the descriptor of [`block_all_to_fd`]; with others what read(2) answers.
pub fn take(fd: impl AsFd) -> Result<Option<i32>> {
    // SAFETY: signalfd_siginfo is plain data, all-zero is a valid value.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = std::mem::size_of::<libc::signalfd_siginfo>();
    // SAFETY: the kernel writes at most size bytes into info.
    let ret =
        check(unsafe { libc::read(fd.as_fd().as_raw_fd(), (&raw mut info).cast(), size) }
            as libc::c_long);
    match ret {
        Ok(_) => Ok(Some(info.ssi_signo as i32)),
        Err(rustix::io::Errno::AGAIN) => Ok(None),
        Err(e) => Err(e).call(|| "read(signalfd)"),
    }
}

/// Unblock everything and restore default actions, so that a payload starts with what execve promises.
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid the calls.
pub fn reset() -> Result<()> {
    // SAFETY: an all-zero sigset_t is valid storage for sigemptyset, which initialises it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: set is a valid sigset_t.
    unsafe { libc::sigemptyset(&mut set) };
    // SAFETY: set is initialised.
    check(libc::c_long::from(unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut())
    }))
    .call(|| "sigprocmask(SIG_SETMASK, none)")?;
    // Rust's start-up code ignores SIGPIPE, callers ignore what they like: an ignored signal would survive execve, and a
    // program that finds one ignored leaves it so (shells cannot even trap it).
    for signal in 1..=LAST {
        // Nobody can have changed these two.
        if !matches!(signal, libc::SIGKILL | libc::SIGSTOP) {
            set_default(signal)?;
        }
    }
    Ok(())
}

/// The signals that ask a process to end: signal(7).
const ENDING: [libc::c_int; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];

/// Have this process end when it is asked to, whatever the kernel does with the default action: process 1 of a pid namespace
/// gets nothing that it has no handler for (pid_namespaces(7)). execve(2) takes the handlers away again.
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid rt_sigaction(2).
pub fn end_when_asked() -> Result<()> {
    for signal in ENDING {
        // SAFETY: all-zero is a valid sigaction: an empty mask and no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = end as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: action is initialised and only read; the handler calls nothing that is not async-signal-safe.
        let set = unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) };
        check(libc::c_long::from(set))
            .map(drop)
            .call(|| format!("sigaction({signal}, handler)"))?;
    }
    Ok(())
}

/// Ends with the status that shells report for a process that died of the signal.
extern "C" fn end(signal: libc::c_int) {
    // SAFETY: _exit(2) is async-signal-safe and does not return.
    unsafe { libc::_exit(128 + signal) }
}

/// The number of the last real-time signal, as the kernel counts: signal(7).
const LAST: libc::c_int = 64;

/// Have the ends of children reported, whatever the caller does about its own: with SIGCHLD ignored, which execve(2) hands on,
/// the kernel would reap them before their status was asked for.
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid rt_sigaction(2).
pub fn watch_children() -> Result<()> {
    set_default(libc::SIGCHLD)
}

/// Restore the default action: rt_sigaction(2). Not by way of the C library, which keeps two real-time signals for itself.
fn set_default(signal: libc::c_int) -> Result<()> {
    // struct sigaction of the kernel: handler, flags, restorer, mask. SIG_DFL is 0.
    let action = [0u64; 4];
    let old = std::ptr::null_mut::<u64>();
    // SAFETY: action is as large as the kernel's structure and only read; no handler is involved, nothing is written to old.
    check(unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), old, 8usize) })
        .map(drop)
        .call(|| format!("rt_sigaction({signal}, SIG_DFL)"))
}
