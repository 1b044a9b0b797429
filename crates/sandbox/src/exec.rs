//! The program: working directory, lookup, descriptors, execve; and the entry for a process that joins a running
//! container, which shares everything from the drop of privilege on.

use crate::confine::{self, Cwd, FilterCount, FilterSlot, Filters};
use crate::failure::Step;
use crate::launch::first_that_takes;
use crate::plan::{ExecPlan, ProcessPlan};
use crate::proto::{self, FromParent};
use crate::{identity, rootfs, Failure, StepResult};
use casemate_sys::ns::{self, flag};
use casemate_sys::path::{open_in_root, Links};
use casemate_sys::process::{self, Cloned, ExecVectors};
use casemate_sys::{errno_text, signals, Context};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::path::Path;

/// A process that only has to pass the gate.
#[derive(Debug)]
pub struct ReadyProcess {
    /// `None`: the container has no process, and must not be started.
    path: Option<CString>,
    vectors: ExecVectors,
    filters: Filters,
}

/// Run an exec'd process; returns only what went wrong.
pub(crate) fn run_exec(plan: ExecPlan, channel: &OwnedFd) -> Failure {
    join_and_exec(plan, channel).unwrap_or_else(|failure| failure)
}

fn join_and_exec(plan: ExecPlan, channel: &OwnedFd) -> StepResult<Failure> {
    before_joining(&plan)?;
    // All in one call: with the user namespace among them the kernel checks the others against its privilege.
    // The pid namespace was joined by our parent.
    let join = plan.join & !flag::PID;
    if join != 0 {
        ns::setns(&plan.init, join).step("namespaces", || "join the container")?;
    }
    if plan.join & flag::USER != 0 {
        become_root()?;
    }
    inside(plan, channel)
}

fn before_joining(plan: &ExecPlan) -> StepResult<()> {
    identity::apply_early(&plan.early, &plan.host_proc)?;
    identity::limit_descriptors(&plan.early)?;
    if plan.terminal.is_none() {
        identity::own_stdio(plan.early.stdio_owner)?;
    }
    // Not before the score is written, and before the first foreign process can see us (CVE-2016-9962).
    process::set_dumpable(false).step("dumpable", || "exec")
}

fn become_root() -> StepResult<()> {
    process::set_res_gid(0, 0, 0).step("namespaces", || "join the container")?;
    process::set_res_uid(0, 0, 0).step("namespaces", || "join the container")
}

/// The go-between's side; returns only what went wrong. `moved`: it waits for the parent to have it moved.
pub(crate) fn run_go_between(
    plan: ExecPlan,
    cgroups: &[BorrowedFd<'_>],
    moved: bool,
    channel: &OwnedFd,
) -> Failure {
    let wait = if moved { proto::await_parent(channel, FromParent::Moved) } else { Ok(()) };
    wait.and_then(|()| go_between(plan, cgroups, channel)).unwrap_or_else(|failure| failure)
}

/// First the user namespace, which gives the right to the pid namespace, which counts for children only: so one more
/// process is made here, and ends up where a privileged caller's would have been born.
fn go_between(
    plan: ExecPlan,
    cgroups: &[BorrowedFd<'_>],
    channel: &OwnedFd,
) -> StepResult<Failure> {
    before_joining(&plan)?;
    let about = || "join the container";
    if plan.join & flag::USER != 0 {
        ns::setns(&plan.init, flag::USER).step("namespaces", about)?;
        become_root()?;
    }
    if plan.join & flag::PID != 0 {
        ns::setns(&plan.init, flag::PID).step("namespaces", about)?;
    }
    let cloned =
        first_that_takes(cgroups.iter().copied(), |cgroup| process::clone_sibling(0, cgroup));
    match cloned.step("namespaces", about)? {
        Cloned::Parent { pid, pidfd } => {
            proto::send_process(channel, pid, pidfd)?;
            process::exit_now(0)
        }
        Cloned::Child => {
            proto::await_parent(channel, FromParent::Known)?;
            rustix::process::setsid().call(|| "setsid()").step("session", || "exec")?;
            let rest = plan.join & !(flag::USER | flag::PID);
            if rest != 0 {
                ns::setns(&plan.init, rest).step("namespaces", about)?;
            }
            inside(plan, channel)
        }
    }
}

/// In all of the container's namespaces.
fn inside(plan: ExecPlan, channel: &OwnedFd) -> StepResult<Failure> {
    let ExecPlan { host_proc, init, terminal, process, .. } = plan;
    drop(init);
    if let Some(size) = terminal {
        let root = casemate_sys::mount::open_path(Path::new("/"), false)?;
        let console = rootfs::open_console(&root, size).step("console", || "process.terminal")?;
        proto::send_console(channel, &console.master)?;
        identity::take_terminal(&console.peer, process.uid)?;
    }
    let count = FilterCount::open(&process.seccomp, &host_proc)?;
    let cwd = confine::drop_privilege(&process, &host_proc)?;
    drop(host_proc);
    let ready = prepare(process, cwd, count, &[channel.as_raw_fd()])?;
    confine::load_filters(ready.filters(), FilterSlot::BeforeReady, channel)?;
    proto::send_ready(channel)?;
    proto::await_parent(channel, FromParent::Start)?;
    Ok(ready.exec(channel))
}

/// Look everything up that can fail, so that it fails while `create` still listens, and close what the payload must not
/// have. `ours`: descriptors of the protocol, close-on-exec, needed until then.
pub(crate) fn prepare(
    plan: ProcessPlan,
    cwd: Cwd,
    count: Option<FilterCount>,
    ours: &[i32],
) -> StepResult<ReadyProcess> {
    if cwd == Cwd::ClosedToRoot {
        enter_cwd(&plan.cwd)?;
    }
    verify_cwd(&plan.cwd)?;
    let ProcessPlan { args, mut env, uid, keep_fds, no_new_privs, seccomp, caps, .. } = plan;
    add_home(&mut env, uid);
    let path = if args.is_empty() { None } else { Some(find_program(&args, &env)?) };
    signals::reset()?;
    let ours: Vec<i32> =
        ours.iter().copied().chain(count.as_ref().map(FilterCount::descriptor)).collect();
    close_all_but(3 + keep_fds, &ours)?;
    Ok(ReadyProcess {
        path,
        vectors: ExecVectors::new(args, env),
        filters: Filters::new(no_new_privs, caps.permitted, seccomp, count),
    })
}

impl ReadyProcess {
    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// As [`Filters::count_by`].
    pub(crate) fn count_by(&mut self, status: Option<OwnedFd>) {
        self.filters.count_by(status);
    }

    /// Load what filters are left and execute; returns only what went wrong.
    pub(crate) fn exec(&self, channel: &OwnedFd) -> Failure {
        if let Err(failure) = confine::load_filters(&self.filters, FilterSlot::BeforeExec, channel)
        {
            return failure;
        }
        let Some(path) = &self.path else {
            return Failure::new("exec", "process: is not set, so there is nothing to start");
        };
        let errno = process::execve(path, &self.vectors);
        let message = format!("exec {}: {}", path.to_string_lossy(), errno_text(errno));
        Failure { step: "exec".into(), message, hint: None, errno: errno.raw_os_error() }
    }
}

/// Close every descriptor from `first` on but `ours` (which are close-on-exec). For real, not by flag: what is closed
/// cannot be reached through /proc/self/fd while we wait at the gate (CVE-2024-21626).
fn close_all_but(first: u32, ours: &[i32]) -> StepResult<()> {
    // A negative number is no descriptor.
    let mut keep: Vec<u32> =
        ours.iter().filter_map(|fd| u32::try_from(*fd).ok()).filter(|fd| *fd >= first).collect();
    keep.sort_unstable();
    let mut next = first;
    for fd in keep {
        if fd > next {
            casemate_sys::fd::close_between(next, fd - 1).step("fds", || "close")?;
        }
        next = fd + 1;
    }
    casemate_sys::fd::close_between(next, u32::MAX).step("fds", || "close")
}

/// Whether a failure is "permission denied": for the two tries of entering the working directory.
pub(crate) fn is_permission(failure: &Failure) -> bool {
    [Errno::ACCESS, Errno::PERM].iter().any(|errno| failure.errno == errno.raw_os_error())
}

/// Enter the working directory. Resolved inside the root and without magic links, so that /proc/self/fd/N cannot lead
/// out (CVE-2024-21626).
pub(crate) fn enter_cwd(cwd: &Path) -> StepResult<()> {
    let about = || format!("process.cwd {}", cwd.display());
    let root = casemate_sys::mount::open_path(Path::new("/"), false).step("cwd", about)?;
    let dir =
        open_in_root(&root, cwd, OFlags::PATH | OFlags::DIRECTORY, Mode::empty(), Links::InRoot)
            .step("cwd", about)?;
    rustix::process::fchdir(dir)
        .call(|| format!("chdir to cwd ({:?})", cwd.display().to_string()))
        .step("cwd", about)
}

/// The kernel's own word on where we are: a directory outside of the root is "(unreachable)" (CVE-2024-21626).
fn verify_cwd(cwd: &Path) -> StepResult<()> {
    let now = rustix::process::getcwd(Vec::new())
        .call(|| "getcwd()")
        .step("cwd", || format!("process.cwd {}", cwd.display()))?;
    if now.as_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(Failure::new(
            "cwd",
            format!(
                "process.cwd {}: the working directory is outside of the container's root",
                cwd.display()
            ),
        ))
    }
}

fn lookup<'e>(env: &'e [CString], key: &str) -> Option<&'e [u8]> {
    env.iter().find_map(|entry| entry.as_bytes().strip_prefix(key.as_bytes())?.strip_prefix(b"="))
}

/// HOME from the container's own /etc/passwd, as every engine's users expect; `/` when it has none.
pub(crate) fn add_home(env: &mut Vec<CString>, uid: u32) {
    if lookup(env, "HOME").is_some_and(|home| !home.is_empty()) {
        return;
    }
    env.retain(|entry| !entry.as_bytes().starts_with(b"HOME="));
    let home = home_of(uid).unwrap_or_else(|| b"/".to_vec());
    env.extend(CString::new([b"HOME=".as_slice(), &home].concat()));
}

/// The home field of the line with this uid. The ids themselves never come from this file (CVE-2016-3697). Whatever is wrong
/// with it is the image's business: then it has no home.
fn home_of(uid: u32) -> Option<Vec<u8>> {
    let text = read_passwd(c"/etc/passwd")?;
    text.split(|b| *b == b'\n').find_map(|line| {
        let fields: Vec<_> = line.split(|b| *b == b':').collect();
        let number: u32 = std::str::from_utf8(fields.get(2)?).ok()?.parse().ok()?;
        let home = fields.get(5)?;
        (number == uid && home.starts_with(b"/") && !home.contains(&0)).then(|| home.to_vec())
    })
}

/// The image decides what lies at this path: a pipe that nobody writes to, an endless device, a file that is larger than our
/// memory. So only the beginning of a regular file is read, and nothing is waited for.
fn read_passwd(path: &CStr) -> Option<Vec<u8>> {
    use std::io::Read;
    const MOST: u64 = 1 << 20;
    let is_file =
        |st: &rustix::fs::Stat| FileType::from_raw_mode(st.st_mode) == FileType::RegularFile;
    // Looked at before it is opened: opening a device alone can have effects.
    let before = rustix::fs::stat(path).ok().filter(is_file)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let same = |st: &rustix::fs::Stat| (st.st_dev, st.st_ino) == (before.st_dev, before.st_ino);
    rustix::fs::fstat(&file).ok().filter(is_file).filter(same)?;
    let mut text = Vec::with_capacity(usize::try_from(before.st_size.clamp(0, 4096)).ok()? + 1);
    std::fs::File::from(file).take(MOST).read_to_end(&mut text).ok()?;
    Some(text)
}

/// args[0] to a path: as it is when it has a slash, else through the container's PATH. The messages are matched by
/// engines (exit status 126 or 127).
fn find_program(args: &[CString], env: &[CString]) -> StepResult<CString> {
    let Some(name) = args.first() else {
        return Err(Failure::new("exec", "process.args: nothing to execute"));
    };
    let shown = name.to_string_lossy().into_owned();
    let fail = |errno: Option<Errno>, reason: String| {
        let message = format!("exec: {shown:?}: {reason}");
        Err(Failure {
            step: "exec".into(),
            message,
            hint: None,
            errno: errno.map_or(0, Errno::raw_os_error),
        })
    };
    if name.as_bytes().contains(&b'/') {
        return match executable(name) {
            Ok(()) => Ok(name.clone()),
            Err(e @ (Errno::NOENT | Errno::NOTDIR)) => {
                fail(Some(e), format!("stat {shown}: {}", errno_text(e)))
            }
            // The same errno for a magic link and for links in a circle; only the first can be opened without the flag.
            Err(Errno::LOOP) if rustix::fs::stat(name.as_c_str()).is_ok() => {
                fail(Some(Errno::LOOP), "leads through a magic link of /proc (refused)".to_owned())
            }
            Err(e) => fail(Some(e), errno_text(e)),
        };
    }
    let mut denied = None;
    for dir in lookup(env, "PATH").unwrap_or_default().split(|b| *b == b':') {
        let dir = if dir.is_empty() { b".".as_slice() } else { dir };
        // All parts came as C strings.
        let Ok(path) = CString::new([dir, b"/", name.as_bytes()].concat()) else { continue };
        match executable(&path) {
            Ok(()) => return Ok(path),
            Err(Errno::ACCESS) => denied = Some(Errno::ACCESS),
            // As a shell does: a directory that is none, or cannot be searched, has no programs.
            Err(_) => {}
        }
    }
    match denied {
        Some(e) => fail(Some(e), errno_text(e)),
        None => fail(Some(Errno::NOENT), "executable file not found in $PATH".to_owned()),
    }
}

/// Whether this process may execute the file. No magic link on the way: /proc/self/exe is the runtime, and
/// /proc/self/fd/N whatever somebody left open (CVE-2019-5736, CVE-2024-21626).
fn executable(path: &CStr) -> rustix::io::Result<()> {
    use rustix::fs::ResolveFlags;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let file = match rustix::fs::openat2(
        rustix::fs::CWD,
        path,
        flags,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    ) {
        Ok(file) => file,
        Err(Errno::AGAIN) => rustix::fs::openat2(
            rustix::fs::CWD,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::NO_MAGICLINKS,
        )?,
        Err(e) => return Err(e),
    };
    match FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) {
        FileType::Directory => return Err(Errno::ISDIR),
        FileType::RegularFile => {}
        _ => return Err(Errno::ACCESS),
    }
    process::may_execute(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_slash_is_found_through_the_given_path_only() {
        let env = |path: &str| vec![CString::new(format!("PATH={path}")).unwrap()];
        let args = vec![CString::new("sh").unwrap()];
        assert_eq!(find_program(&args, &env("/nowhere:/bin")).unwrap().as_bytes(), b"/bin/sh");
        let missing = find_program(&args, &env("/nowhere")).unwrap_err();
        assert_eq!(missing.message, "exec: \"sh\": executable file not found in $PATH");
    }

    #[test]
    fn messages_of_a_missing_program_are_the_ones_engines_match() {
        let find =
            |name: &str| find_program(&[CString::new(name).unwrap()], &[]).unwrap_err().message;
        assert_eq!(
            find("/no/such"),
            "exec: \"/no/such\": stat /no/such: no such file or directory"
        );
        assert_eq!(find("/etc"), "exec: \"/etc\": is a directory");
        assert_eq!(find("/etc/passwd"), "exec: \"/etc/passwd\": permission denied");
    }

    #[test]
    fn cve_2019_5736_a_magic_link_is_not_executed() {
        let e = find_program(&[CString::new("/proc/self/exe").unwrap()], &[]).unwrap_err();
        assert!(e.message.contains("magic link"), "{}", e.message);
    }
}
