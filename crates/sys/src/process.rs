//! Processes: clone3(2), pidfds, waiting, execve, and the attributes that protect a process from others.

use crate::error::{check, Context, Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::{CStr, CString};

/// `struct clone_args` of clone3(2), the size with the cgroup field.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Which side of [`clone_process`] this is.
#[derive(Debug)]
pub enum Cloned {
    /// The new process.
    Child,
    /// The caller.
    Parent {
        /// The child's pid in the caller's pid namespace.
        pid: i32,
        /// A descriptor that means this very process, whatever its number is used for later.
        pidfd: OwnedFd,
    },
}

/// Make a process with its own copy of this one's memory, in new namespaces (`kinds`: bits of [`crate::ns::flag`])
/// and, if given, directly inside a cgroup (CLONE_INTO_CGROUP, Linux 5.7): it never runs outside its limits.
///
/// The caller must be single-threaded, so that no lock is held by a thread that does not exist in the child; this is
/// checked.
///
/// # Errors
/// EDEADLK: several threads; EPERM without CAP_SYS_ADMIN for `kinds`; EAGAIN: the limit of
/// processes; ENOSPC: that of namespaces; EACCES, EBUSY, EOPNOTSUPP of the cgroup; EIO: a filter
/// answers.
pub fn clone_process(kinds: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    clone_with(kinds, libc::SIGCHLD as u64, cgroup)
}

/// As [`clone_process`], but the new process becomes a child of our parent, which has to wait for it (CLONE_PARENT).
///
/// # Errors
/// As [`clone_process`]; EINVAL: the caller is process 1 of its pid namespace.
pub fn clone_sibling(kinds: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    const CLONE_PARENT: u64 = 0x8000;
    // The signal at its end is that of ours, and the kernel wants 0 here.
    clone_with(kinds | CLONE_PARENT, 0, cgroup)
}

fn clone_with(kinds: u64, exit_signal: u64, cgroup: Option<BorrowedFd<'_>>) -> Result<Cloned> {
    const CLONE_PIDFD: u64 = 0x1000;
    const CLONE_CHILD_SETTID: u64 = 0x0100_0000;
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    assert_single_threaded()?;
    let mut pidfd: libc::c_int = -1;
    // Where a new process finds its id: one that finds none is not new.
    let mut tid: libc::pid_t = 0;
    let mut args = CloneArgs {
        flags: kinds | CLONE_PIDFD | CLONE_CHILD_SETTID,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: (&raw mut tid) as u64,
        exit_signal,
        ..CloneArgs::default()
    };
    if let Some(dir) = cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = dir.as_raw_fd() as u64;
    }
    // SAFETY: no stack and no CLONE_VM: the child continues on a copy of this stack, like after fork(2). The process
    // is single-threaded (checked above), so every lock and allocator state in the copy is consistent.
    let made = check(unsafe {
        libc::syscall(libc::SYS_clone3, &raw const args, std::mem::size_of::<CloneArgs>())
    });
    let made = match made {
        // A filter cannot see what clone3(2) is asked for, so the usual ones have it seem to be missing.
        Err(Errno::NOSYS | Errno::PERM) if kinds == 0 && cgroup.is_none() => {
            let flags = (CLONE_PIDFD | CLONE_CHILD_SETTID | exit_signal) as libc::c_ulong;
            clone_by_registers(flags, &raw mut pidfd, &raw mut tid)
        }
        other => other,
    };
    match made {
        // SAFETY: a variable of ours, which the kernel writes to behind the compiler's back.
        Ok(0) if unsafe { (&raw const tid).read_volatile() } == 0 => {
            // To go on as the child would be to do its work to ourselves (a filter around us).
            Err(Error::new(
                "clone3(): says that this is the new process, which it is not",
                Errno::IO,
            ))
        }
        Ok(0) => Ok(Cloned::Child),
        Ok(pid) => {
            // SAFETY: CLONE_PIDFD stored a new descriptor that is ours.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent { pid: pid as i32, pidfd })
        }
        Err(e) => Err(Error::new(
            format!(
                "clone3({}{})",
                crate::ns::names(kinds),
                cgroup.map_or(String::new(), |d| format!(", INTO_CGROUP {}", crate::fd::label(d)))
            ),
            e,
        )),
    }
}

/// clone(2) with the same result. `pidfd`, `tid`: where CLONE_PIDFD and CLONE_CHILD_SETTID store them.
fn clone_by_registers(
    flags: libc::c_ulong,
    pidfd: *mut libc::c_int,
    tid: *mut libc::pid_t,
) -> rustix::io::Result<libc::c_long> {
    let none = std::ptr::null::<()>();
    // SAFETY: as for clone3 in `clone_with`. The place for the id is the fourth argument or the fifth, as the architecture has it;
    // the other one is the thread-local storage, which no flag asks to be set.
    check(unsafe { libc::syscall(libc::SYS_clone, flags, none, pidfd, tid, tid) })
}

/// unshare(2) takes CLONE_SIGHAND from a process with one thread, for which it does nothing; from others it does not. Who may
/// not call it at all has no namespaces to make either.
fn assert_single_threaded() -> Result<()> {
    // SAFETY: plain integers; nothing is shared that could be unshared.
    match check(unsafe { libc::syscall(libc::SYS_unshare, libc::CLONE_SIGHAND) }) {
        Err(Errno::INVAL) => {
            Err(Error::new("clone3 from a process with several threads", Errno::DEADLK))
        }
        _ => Ok(()),
    }
}

/// Whether this process may execute `path`, with the capabilities that it has: faccessat2(2), because access(2) asks for the
/// real user without them, and an ambient CAP_DAC_OVERRIDE counts when the program is executed.
///
/// # Errors
/// EACCES: no right to, or a noexec mount; ENOENT; ENOTDIR; ELOOP: too many links.
pub fn may_execute(path: &CStr) -> rustix::io::Result<()> {
    let (dir, mode, flags) = (libc::AT_FDCWD, libc::X_OK, libc::AT_EACCESS);
    // SAFETY: a C string that lives during the call, and plain integers.
    let asked = unsafe { libc::syscall(libc::SYS_faccessat2, dir, path.as_ptr(), mode, flags) };
    match check(asked) {
        // Before Linux 5.8.
        Err(Errno::NOSYS) => rustix::fs::accessat(
            rustix::fs::CWD,
            path,
            rustix::fs::Access::EXEC_OK,
            rustix::fs::AtFlags::empty(),
        ),
        other => other.map(drop),
    }
}

/// A pidfd for `pid`.
///
/// # Errors
/// ESRCH: no such process; EINVAL: `pid` is not positive; EMFILE.
pub fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: plain integers; the returned descriptor is ours.
    check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
        // SAFETY: a new descriptor that nobody else owns.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
        .call(|| format!("pidfd_open({pid})"))
}

/// Send a signal to exactly the process of the pidfd; 0 only checks.
///
/// # Errors
/// ESRCH: it was reaped; EPERM: not the caller's to signal; EINVAL: no such signal.
pub fn pidfd_signal(pidfd: impl AsFd, signal: i32) -> Result<()> {
    // SAFETY: a null siginfo means the default one.
    check(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_fd().as_raw_fd(),
            signal,
            std::ptr::null::<()>(),
            0,
        )
    })
    .map(drop)
    .call(|| format!("pidfd_send_signal({signal})"))
}

/// Take a copy of descriptor `fd` of another process: pidfd_getfd(2), Linux 5.6.
///
/// # Errors
/// EBADF: not open there; ESRCH: it has ended; EPERM: not the caller's to ptrace(2); EMFILE.
pub fn pidfd_getfd(pidfd: impl AsFd, fd: i32) -> Result<OwnedFd> {
    // SAFETY: plain integers; the returned descriptor is ours.
    check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_fd().as_raw_fd(), fd, 0) })
        // SAFETY: a new descriptor that nobody else owns.
        .map(|fd| unsafe { OwnedFd::from_raw_fd(fd as i32) })
        .call(|| format!("pidfd_getfd({fd})"))
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// exit status 0 to 255.
    Code(i32),
    /// Killed by this signal.
    Signal(i32),
}

/// What a signal that ends a program says about it, signal(7); empty for one that says nothing.
const MEANINGS: [(i32, &str); 9] = [
    (libc::SIGQUIT, " (quit)"),
    (libc::SIGILL, " (illegal instruction)"),
    (libc::SIGABRT, " (aborted)"),
    (libc::SIGBUS, " (bus error)"),
    (libc::SIGFPE, " (arithmetic error)"),
    (libc::SIGKILL, " (killed)"),
    (libc::SIGSEGV, " (segmentation fault)"),
    (libc::SIGPIPE, " (broken pipe)"),
    (libc::SIGSYS, " (bad system call)"),
];

/// A signal for messages: its number, and in words what it means where a program does not send it on purpose.
pub fn signal_text(signal: i32) -> String {
    let meaning = MEANINGS.iter().find(|(number, _)| *number == signal);
    format!("signal {signal}{}", meaning.map_or("", |(_, text)| text))
}

impl Exit {
    /// The shell's convention: the code, or 128 + signal.
    pub fn status(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// Reap the child `pid`; `None` when it still runs and `block` is false.
///
/// # Errors
/// ECHILD: no child of ours, or it was reaped (also by the kernel, with SIGCHLD ignored).
pub fn wait(pid: i32, block: bool) -> Result<Option<Exit>> {
    let mut status = 0;
    let options = if block { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: waitpid writes one int.
        match check(libc::c_long::from(unsafe {
            libc::waitpid(pid, &mut status, options | libc::__WALL)
        })) {
            Err(Errno::INTR) => {}
            Ok(0) => return Ok(None),
            Ok(_) if libc::WIFSIGNALED(status) => {
                return Ok(Some(Exit::Signal(libc::WTERMSIG(status))))
            }
            Ok(_) => return Ok(Some(Exit::Code(libc::WEXITSTATUS(status)))),
            Err(e) => return Err(Error::new(format!("waitpid({pid})"), e)),
        }
    }
}

/// The pid of a child that has ended and waits to be reaped; it is left as it is.
pub fn peek_ended() -> Option<i32> {
    // SAFETY: siginfo_t is plain data, all-zero is a valid value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: waitid writes one siginfo_t.
    let ret = unsafe {
        libc::waitid(libc::P_ALL, 0, &mut info, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)
    };
    // SAFETY: for a successful waitid the pid field of the union is the one that is set (zero: nobody).
    let pid = unsafe { info.si_pid() };
    (ret == 0 && pid > 0).then_some(pid)
}

/// Strings in the form that execve wants: pointers, then null.
fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain(std::iter::once(std::ptr::null())).collect()
}

/// Argument and environment vectors, prepared so that nothing is allocated between the seccomp filter and execve.
pub struct ExecVectors {
    _args: Vec<CString>,
    _env: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
}

impl std::fmt::Debug for ExecVectors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ExecVectors({} args, {} env)", self.argv.len() - 1, self.envp.len() - 1)
    }
}

impl ExecVectors {
    /// Keep the strings and the pointers to them together.
    pub fn new(args: Vec<CString>, env: Vec<CString>) -> Self {
        let (argv, envp) = (pointers(&args), pointers(&env));
        Self { _args: args, _env: env, argv, envp }
    }
}

/// Replace this process; returns only on failure.
pub fn execve(path: &CString, vectors: &ExecVectors) -> Errno {
    // SAFETY: path, argv and envp are NUL-terminated strings and null-terminated arrays kept alive by vectors.
    unsafe { libc::execve(path.as_ptr(), vectors.argv.as_ptr(), vectors.envp.as_ptr()) };
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// Replace this process by the program that `fd` refers to; returns only on failure. The arguments and environment
/// are this process's own.
pub fn reexec_fd(fd: impl AsFd, args: Vec<CString>, env: Vec<CString>) -> Errno {
    execveat(fd, &ExecVectors::new(args, env))
}

/// Replace this process by the program that `fd` refers to; returns only on failure. A script whose descriptor is close-on-exec
/// cannot be run so (ENOENT).
pub fn execveat(fd: impl AsFd, vectors: &ExecVectors) -> Errno {
    // SAFETY: as for execve; AT_EMPTY_PATH (0x1000) makes the kernel use fd itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            vectors.argv.as_ptr(),
            vectors.envp.as_ptr(),
            0x1000,
        )
    };
    Errno::from_raw_os_error(std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

/// End this process at once: no destructors, no flushing. For the child side of [`clone_process`].
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit ends the process.
    unsafe { libc::_exit(code) }
}

/// Whether other processes may look into this one (PR_SET_DUMPABLE). Off before a container's namespaces are joined:
/// a process in there must not ptrace us or open our /proc/PID files (CVE-2016-9962).
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid prctl(2).
pub fn set_dumpable(on: bool) -> Result<()> {
    // SAFETY: plain integers.
    check(libc::c_long::from(unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(on), 0, 0, 0)
    }))
    .map(drop)
    .call(|| "prctl(PR_SET_DUMPABLE)")
}

/// Whether other processes may look into this one: PR_GET_DUMPABLE.
pub fn is_dumpable() -> bool {
    // SAFETY: plain integers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 }
}

/// Become the reaper of orphaned descendants.
///
/// # Errors
/// None of the kernel's; a seccomp filter may forbid prctl(2).
pub fn set_subreaper() -> Result<()> {
    // SAFETY: plain integers.
    check(libc::c_long::from(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }))
        .map(drop)
        .call(|| "prctl(PR_SET_CHILD_SUBREAPER)")
}

/// The name that ps shows (at most 15 bytes).
pub fn set_name(name: &std::ffi::CStr) {
    // SAFETY: PR_SET_NAME reads up to 16 bytes of a NUL-terminated string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Set one resource limit of the calling process. `resource` is an RLIMIT_* number.
///
/// # Errors
/// EPERM: `hard` is raised without CAP_SYS_RESOURCE in the initial user namespace, or RLIMIT_NOFILE
/// goes above fs.nr_open; EINVAL: `soft` is above `hard`, or no such resource.
pub fn set_rlimit(resource: u32, soft: u64, hard: u64) -> Result<()> {
    let limit = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    // SAFETY: prlimit reads one rlimit64; the old value is not asked for.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            &raw const limit,
            std::ptr::null::<libc::rlimit64>(),
        )
    })
    .map(drop)
    .call(|| format!("prlimit64({resource}, soft {soft}, hard {hard})"))
}

/// Soft and hard value of a resource limit (RLIMIT_*) of this process.
///
/// # Errors
/// EINVAL: no such resource.
pub fn rlimit(resource: u32) -> Result<(u64, u64)> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: prlimit writes one rlimit64; no new value is given.
    check(unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            std::ptr::null::<libc::rlimit64>(),
            &raw mut limit,
        )
    })
    .call(|| format!("prlimit64({resource})"))?;
    Ok((limit.rlim_cur, limit.rlim_max))
}

/// Set all three uids of the calling thread; `u32::MAX` leaves one alone.
///
/// # Errors
/// EPERM: another id without CAP_SETUID; EINVAL: an id without a map in the user namespace.
pub fn set_res_uid(real: u32, effective: u32, saved: u32) -> Result<()> {
    // SAFETY: plain integers; single-threaded by this program's design.
    check(unsafe { libc::syscall(libc::SYS_setresuid, real, effective, saved) })
        .map(drop)
        .call(|| format!("setresuid({real}, {effective}, {saved})"))
}

/// Set all three gids of the calling thread.
///
/// # Errors
/// EPERM: another id without CAP_SETGID; EINVAL: an id without a map in the user namespace.
pub fn set_res_gid(real: u32, effective: u32, saved: u32) -> Result<()> {
    // SAFETY: plain integers; single-threaded by this program's design.
    check(unsafe { libc::syscall(libc::SYS_setresgid, real, effective, saved) })
        .map(drop)
        .call(|| format!("setresgid({real}, {effective}, {saved})"))
}

/// Set the supplementary groups of the calling thread.
///
/// # Errors
/// EPERM without CAP_SETGID, without a gid map, or where `setgroups` of proc(5) says `deny`;
/// EINVAL: an id without a map, or more than 65536.
pub fn set_groups(groups: &[u32]) -> Result<()> {
    // SAFETY: the kernel reads groups.len() ids.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })
        .map(drop)
        .call(|| format!("setgroups({groups:?})"))
}

/// Set the ids used for file access only; files made from now on belong to them. Returns nothing to check: setfsuid(2)
/// reports no error, so the result is read back.
///
/// # Errors
/// EPERM: one was not taken, for want of CAP_SETUID or CAP_SETGID or of a map.
pub fn set_fs_ids(uid: u32, gid: u32) -> Result<()> {
    // SAFETY: plain integers; the second call of each pair only reads the current value back.
    let (got_gid, got_uid) = unsafe {
        libc::syscall(libc::SYS_setfsgid, gid);
        libc::syscall(libc::SYS_setfsuid, uid);
        (libc::syscall(libc::SYS_setfsgid, u32::MAX), libc::syscall(libc::SYS_setfsuid, u32::MAX))
    };
    if got_gid as u32 == gid && got_uid as u32 == uid {
        Ok(())
    } else {
        Err(Error::new(format!("setfsuid({uid}), setfsgid({gid})"), Errno::PERM))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_several_threads_is_not_copied() {
        let (end, wait) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || wait.recv());
        assert_eq!(clone_process(0, None).map(drop).map_err(|e| e.errno()), Err(Errno::DEADLK));
        drop(end);
        drop(other.join());
    }
}
