//! A process that shares this one's memory and makes namespaces inside a user namespace.
//!
//! A namespace belongs to the user namespace of the process that makes it, so somebody has to be in there. A copy of this
//! process would do, but copying is most of what such a short life costs: the page tables, and then a copy of each page that
//! either side writes, a hundred of them. posix_spawn(3) avoids that in the same way.
//!
//! Sharing memory with a process that runs at the same time is only sound for code that touches nothing but its own stack: so
//! the companion's code is here, complete, and makes bare system calls through rustix (which knows neither errno nor locks). It
//! allocates nothing, and uses nothing of the C library's. What it found is told by a word that both sides can see. A rustix that
//! goes by way of the C library does not compile, below; that no dependency asks for one is tested (architecture.rs).
//!
//! Sharing the memory gains 2.7 % of a run (docs/TUNING.md). Switch: `--cfg casemate_without="shared-memory"`.

#[cfg(any(rustix_use_libc, rustix_no_linux_raw, miri))]
compile_error!("the companion shares our memory: rustix has to make bare system calls (linux_raw)");
#[cfg(not(any(
    all(target_arch = "x86_64", target_pointer_width = "64"),
    all(target_arch = "aarch64", target_pointer_width = "64"),
    target_arch = "riscv64",
)))]
compile_error!("the companion: rustix is not known to make bare system calls on this architecture");

use crate::error::{check, Context, Error, Result};
use crate::maker::Maker;
use crate::ns::{self, flag};
use crate::process;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicU64, Ordering};

/// What a companion has to do.
#[derive(Debug)]
pub struct Order<'a> {
    /// Bits of [`crate::ns::flag`]: what it makes.
    pub kinds: u64,
    /// The user namespace to enter; `None`: a new one, whose maps the caller writes.
    pub join: Option<BorrowedFd<'a>>,
    /// Effective uid and gid that make a new user namespace, for whom the kernel counts what is used up in it; `None`: those
    /// of the caller. Takes CAP_SETUID, CAP_SETGID and CAP_SETPCAP.
    pub maker: Option<(u32, u32)>,
    /// A procfs, below which the kernel parameters lie.
    pub proc: BorrowedFd<'a>,
    /// Kernel parameters: path below the procfs, and value.
    pub writes: Vec<(CString, Vec<u8>)>,
}

/// What failed in a companion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Enter the user namespace.
    Enter,
    /// Wait for the word of the caller.
    Await,
    /// Become root there: the group.
    Group,
    /// And the user.
    User,
    /// Make the namespaces.
    Make,
    /// Open a kernel parameter, by its number in the order.
    Open(usize),
    /// Write it.
    Write(usize),
    /// Read it back.
    Compare(usize),
    /// Say that all is done.
    Answer,
}

/// The companion. It ends with this object.
#[derive(Debug)]
pub struct Companion {
    pid: i32,
    pidfd: OwnedFd,
    channel: OwnedFd,
    /// Whether this process counted as dumpable before.
    dumpable: bool,
    // Both are used by the process as long as it lives: they come last, so that they go last.
    shared: Box<Shared>,
    _stack: Stack,
}

/// What both processes see.
#[derive(Debug)]
struct Shared {
    kinds: UnshareFlags,
    join: Option<RawFd>,
    proc: RawFd,
    writes: Vec<(CString, Vec<u8>)>,
    /// The companion's end of the channel, and ours, which it closes: the end of ours must be the end of the channel.
    theirs: RawFd,
    ours: RawFd,
    failed: Word,
}

/// What failed, in one store: it may be killed at any instruction, and what takes more than one (a lock, a `OnceLock`) would be
/// left half done, in memory that stays. 0: nothing yet.
#[derive(Debug, Default)]
struct Word(AtomicU64);

impl Word {
    /// The step in the low byte, then the errno, then the number of the parameter.
    fn set(&self, (step, errno): (Step, Errno)) {
        let (step, number) = match step {
            Step::Enter => (1, 0),
            Step::Await => (2, 0),
            Step::Group => (3, 0),
            Step::User => (4, 0),
            Step::Make => (5, 0),
            Step::Open(number) => (6, number),
            Step::Write(number) => (7, number),
            Step::Answer => (8, 0),
            Step::Compare(number) => (9, number),
        };
        let errno = u64::from(errno.raw_os_error() as u16);
        self.0.store(step | errno << 8 | (number as u64) << 24, Ordering::Release);
    }

    fn get(&self) -> Option<(Step, Errno)> {
        let word = self.0.load(Ordering::Acquire);
        let number = (word >> 24) as usize;
        let step = match word & 0xff {
            1 => Step::Enter,
            2 => Step::Await,
            3 => Step::Group,
            4 => Step::User,
            5 => Step::Make,
            6 => Step::Open(number),
            7 => Step::Write(number),
            8 => Step::Answer,
            9 => Step::Compare(number),
            _ => return None,
        };
        Some((step, Errno::from_raw_os_error((word >> 8 & 0xffff) as i32)))
    }
}

impl Companion {
    /// Start it. It waits for [`Companion::release`] before it does what takes privilege in a user namespace.
    ///
    /// As long as it lives, this process is not dumpable. The kernel keeps that with the memory, and the companion shows
    /// this memory to a user namespace in which somebody else may have the right to look into processes (CVE-2016-9962).
    ///
    /// # Errors
    /// EMFILE, ENOMEM; of the maker EPERM without its three capabilities and EINVAL for ids without
    /// a map; of clone(2) EPERM where the caller may not make user namespaces, ENOSPC: their limit,
    /// EAGAIN: the limit of processes. When the maker's ids could not be given up again, the caller
    /// is not to go on.
    pub fn start(order: Order<'_>) -> Result<Self> {
        let (ours, theirs) = crate::socket::pair()?;
        let shared = Box::new(Shared {
            kinds: UnshareFlags::from_bits_retain(order.kinds as u32),
            join: order.join.map(|fd| fd.as_raw_fd()),
            proc: order.proc.as_raw_fd(),
            writes: order.writes,
            theirs: theirs.as_raw_fd(),
            ours: ours.as_raw_fd(),
            failed: Word::default(),
        });
        let stack = Stack::map()?;
        let dumpable = process::is_dumpable();
        process::set_dumpable(false)?;
        let kinds = if order.join.is_some() { 0 } else { flag::USER };
        let maker = order.maker.filter(|_| kinds != 0).map(Maker::become_it).transpose();
        let maker = maker.inspect_err(|_| restore_dumpable(dumpable))?;
        let mut pidfd: libc::c_int = -1;
        let memory = if cfg!(casemate_without = "shared-memory") { 0 } else { libc::CLONE_VM };
        let flags = memory | libc::CLONE_PIDFD | libc::SIGCHLD | kinds as libc::c_int;
        // SAFETY: the stack is a mapping of its own, and it and `shared` are kept until the process has ended (`drop`). `run`
        // shares nothing else with this process that is not constant: see there.
        let ret = unsafe {
            libc::clone(
                run,
                stack.top(),
                flags,
                (&raw const *shared).cast_mut().cast(),
                &raw mut pidfd,
            )
        };
        let made = check(libc::c_long::from(ret)).call(|| format!("clone({})", ns::names(kinds)));
        let ourselves = maker.map_or(Ok(()), Maker::done);
        let pid = made.inspect_err(|_| restore_dumpable(dumpable))?;
        // SAFETY: CLONE_PIDFD stored a new descriptor that is ours.
        let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
        let companion =
            Self { pid: pid as i32, pidfd, channel: ours, dumpable, shared, _stack: stack };
        ourselves.map(|()| companion)
    }

    /// Its pid: whose maps are to be written.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The maps are written: go on.
    ///
    /// # Errors
    /// EPIPE or ECONNRESET: it has ended; [`Companion::wait`] tells why.
    pub fn release(&self) -> Result<()> {
        crate::socket::send(&self.channel, &[GO], &[])
    }

    /// Come back when it has done everything. `None`: it was killed.
    ///
    /// # Errors
    /// The step that failed, with its errno; ETIMEDOUT at [`Step::Answer`] after two minutes.
    pub fn wait(&self) -> std::result::Result<(), Option<(Step, Errno)>> {
        let limit = std::time::Duration::from_secs(PATIENCE);
        if !crate::fd::readable(&self.channel, limit)
            .map_err(|e| Some((Step::Answer, e.errno())))?
        {
            return Err(Some((Step::Answer, Errno::TIMEDOUT)));
        }
        let mut word = [0];
        match rustix::io::retry_on_intr(|| rustix::io::read(&self.channel, &mut word)) {
            Ok(1) => Ok(()),
            _ => Err(self.shared.failed.get()),
        }
    }

    /// It has served. Its end takes a while, which the caller need not wait for before it drops this.
    pub fn dismiss(&self) {
        // It waits for our word, or is about to, and ends when there is none: by itself, if the signal does not reach it.
        drop(crate::socket::end(&self.channel));
        drop(process::pidfd_signal(&self.pidfd, libc::SIGKILL));
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        self.dismiss();
        // Our own child: there is nothing to fail but that somebody has waited for it already.
        drop(process::wait(self.pid, true));
        restore_dumpable(self.dumpable);
    }
}

fn restore_dumpable(dumpable: bool) {
    if dumpable {
        // With these arguments it cannot fail (prctl(2)).
        drop(process::set_dumpable(true));
    }
}

/// Longest time that a companion may take, in seconds: far above what a loaded machine needs.
const PATIENCE: u64 = 120;
const GO: u8 = b'g';
const DONE: u8 = b'd';

/// The companion's whole life.
///
/// The rule: nothing here may allocate, lock, or use the C library beyond system calls that do not fail; all of that is in
/// memory that the other process uses at the same time, the thread-local storage included.
extern "C" fn run(shared: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the argument of clone(2) above. The other side only reads it, too, but for `failed`, which is atomic.
    let shared = unsafe { &*shared.cast_const().cast::<Shared>() };
    // SAFETY: our own copy of the descriptor, of which no object in this process will make use.
    unsafe { rustix::io::close(shared.ours) };
    match shared.work() {
        // A word, an end or an error: it is over.
        Ok(()) => drop(read_word(borrowed(shared.theirs))),
        Err(failed) => shared.failed.set(failed),
    }
    0
}

impl Shared {
    fn work(&self) -> std::result::Result<(), (Step, Errno)> {
        let channel = borrowed(self.theirs);
        if let Some(user) = self.join {
            let kind = Some(LinkNameSpaceType::User);
            rustix::thread::move_into_link_name_space(borrowed(user), kind)
                .map_err(|e| (Step::Enter, e))?;
        }
        if read_word(channel) != Ok(1) {
            return Err((Step::Await, Errno::PIPE));
        }
        let (gid, uid) = (rustix::fs::Gid::ROOT, rustix::fs::Uid::ROOT);
        rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|e| (Step::Group, e))?;
        rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|e| (Step::User, e))?;
        // Not by clone(2): what a namespace brings along, such as the root of its mqueue, belongs to its maker, who is nobody
        // before the maps are written.
        if !self.kinds.is_empty() {
            // SAFETY: the descriptor table, which the function warns of, is not among what is asked for.
            unsafe { rustix::thread::unshare_unsafe(self.kinds) }.map_err(|e| (Step::Make, e))?;
        }
        for (number, (path, value)) in self.writes.iter().enumerate() {
            write_parameter(borrowed(self.proc), path, value).map_err(|not| match not {
                NotWritten::Opened(errno) => (Step::Open(number), errno),
                NotWritten::Accepted(errno) => (Step::Write(number), errno),
                NotWritten::Kept => (Step::Compare(number), Errno::INVAL),
            })?;
        }
        match rustix::io::write(channel, &[DONE]) {
            Ok(1) => Ok(()),
            Ok(_) => Err((Step::Answer, Errno::IO)),
            Err(errno) => Err((Step::Answer, errno)),
        }
    }
}

fn read_word(channel: BorrowedFd<'_>) -> rustix::io::Result<usize> {
    rustix::io::retry_on_intr(|| rustix::io::read(channel, &mut [0u8]))
}

fn borrowed<'a>(raw: RawFd) -> BorrowedFd<'a> {
    // SAFETY: descriptors that the caller of `start` has open, so this process has a copy of each, until it ends.
    unsafe { BorrowedFd::borrow_raw(raw) }
}

/// Why a kernel parameter has not the value that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotWritten {
    /// It was not opened.
    Opened(Errno),
    /// The value was not accepted, or not all of it.
    Accepted(Errno),
    /// The kernel took the value and shows another one.
    Kept,
}

/// Write a kernel parameter: its path below a procfs. A plain number below `sys/user` is read back: these count namespaces of
/// the writer's user namespace, and cannot be seen from outside of it. Allocates nothing. BENEATH and NO_XDEV: whatever is mounted over a part of
/// /proc/sys, it is not what gets written (CVE-2025-52881).
///
/// # Errors
/// [`NotWritten`] says at what. To open: ENOENT: no such parameter, EXDEV: something is mounted
/// over it, ELOOP: a link, EACCES or EPERM; to write: EINVAL or ERANGE for the value, EPERM.
pub fn write_parameter(
    proc: BorrowedFd<'_>,
    path: &CStr,
    value: &[u8],
) -> std::result::Result<(), NotWritten> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_XDEV
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat2(proc, path, flags, Mode::empty(), resolve)
        .map_err(NotWritten::Opened)?;
    match rustix::io::write(&file, value) {
        Ok(written) if written == value.len() => {}
        Ok(_) => return Err(NotWritten::Accepted(Errno::IO)),
        Err(errno) => return Err(NotWritten::Accepted(errno)),
    }
    if !path.to_bytes().starts_with(b"sys/user/") || !is_plain_number(value) {
        return Ok(());
    }
    let file =
        rustix::fs::openat2(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty(), resolve)
            .map_err(NotWritten::Opened)?;
    let mut shown = [0_u8; 32];
    let read = rustix::io::read(&file, &mut shown).map_err(NotWritten::Accepted)?;
    match shown[..read].strip_suffix(b"\n") {
        Some(now) if now == value => Ok(()),
        _ => Err(NotWritten::Kept),
    }
}

/// Decimal, and as the kernel would print it.
fn is_plain_number(value: &[u8]) -> bool {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    digits && (value == b"0" || value[0] != b'0')
}

/// Memory for the companion's calls, with a page below it that nothing can be written to.
#[derive(Debug)]
struct Stack {
    bottom: *mut libc::c_void,
}

impl Stack {
    /// Only what is used costs memory.
    const SIZE: usize = 256 << 10;
    /// The largest page there is on a machine that this runs on.
    const GUARD: usize = 64 << 10;

    fn map() -> Result<Self> {
        let (kind, access) =
            (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK, libc::PROT_NONE);
        // SAFETY: a new mapping, wherever there is room.
        let bottom = unsafe { libc::mmap(std::ptr::null_mut(), Self::SIZE, access, kind, -1, 0) };
        if bottom == libc::MAP_FAILED {
            return Err(Error::last("mmap(stack)"));
        }
        let stack = Self { bottom };
        let (size, access) = (Self::SIZE - Self::GUARD, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: a part of the mapping above.
        check(libc::c_long::from(unsafe {
            libc::mprotect(bottom.byte_add(Self::GUARD), size, access)
        }))
        .call(|| "mprotect(stack)")?;
        Ok(stack)
    }

    /// Stacks grow downwards.
    fn top(&self) -> *mut libc::c_void {
        // SAFETY: one past the end of the mapping, a multiple of every alignment.
        unsafe { self.bottom.byte_add(Self::SIZE) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: made by `map`; nobody uses it any more: the companion's end was waited for.
        unsafe { libc::munmap(self.bottom, Self::SIZE) };
    }
}

#[cfg(test)]
mod tests;
