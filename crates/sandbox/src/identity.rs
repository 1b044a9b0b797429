//! Attributes of the process that need the caller's privilege, and the ownership of its standard streams.

use crate::failure::Step;
use crate::lsm;
use crate::plan::Early;
use crate::{Failure, StepResult};
use casemate_sys::{keyring, process, sched, tty, Context};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Session, scheduling, limits, keyring: everything that later steps would take the right to away.
pub(crate) fn apply_early(early: &Early, host_proc: impl AsFd) -> StepResult<()> {
    // A session of its own: no signal from, and no ioctl on, the caller's terminal.
    match rustix::process::setsid() {
        Ok(_) | Err(Errno::PERM) => {}
        Err(e) => return Err(e).call(|| "setsid()").step("session", || "init"),
    }
    if let Some(score) = early.oom_score_adj {
        write_oom_score(host_proc.as_fd(), score)
            .step("oom-score", || format!("process.oomScoreAdj {score}"))?;
    }
    if let Some(attr) = early.scheduler {
        sched::set_scheduler(attr).step("scheduler", || "process.scheduler")?;
    }
    if let Some((class, level)) = early.io_priority {
        sched::set_io_priority(class, level).step("io-priority", || "process.ioPriority")?;
    }
    if let Some(mask) = &early.affinity {
        sched::set_affinity(0, mask).step("affinity", || "CPU affinity")?;
    }
    if let Some((mode, nodes)) = &early.mempolicy {
        sched::set_mempolicy(*mode, nodes).step("memory-policy", || "linux.memoryPolicy")?;
    }
    for limit in &early.rlimits {
        set_limit(early, *limit, limit.0 == RLIMIT_NOFILE)?;
    }
    join_keyring(early, host_proc)
}

/// RLIMIT_NOFILE is the program's: building the tree takes a descriptor for each bind mount, however few the program may have.
/// [`limit_descriptors`] sets what it is to be, which is less and takes no privilege.
const RLIMIT_NOFILE: u32 = 7;

/// The limit that [`apply_early`] has left high, once the tree stands.
pub(crate) fn limit_descriptors(early: &Early) -> StepResult<()> {
    let mut limits = early.rlimits.iter().filter(|limit| limit.0 == RLIMIT_NOFILE);
    limits.try_for_each(|limit| set_limit(early, *limit, false))
}

/// `roomy`: not less than there is.
fn set_limit(early: &Early, limit: (u32, u64, u64), roomy: bool) -> StepResult<()> {
    let (resource, soft, hard) = limit;
    let set = || {
        let (soft, hard) = match roomy {
            true => {
                let most = process::rlimit(resource)?.1.max(hard);
                (most, most)
            }
            false => (soft, hard),
        };
        process::set_rlimit(resource, soft, hard)
    };
    match set() {
        Err(e) if e.errno() == Errno::PERM && early.rlimits_may_shrink => {
            shrink(resource, soft, hard)
        }
        other => other,
    }
    .step("rlimits", || "process.rlimits")
}

/// As near to the limit as somebody comes who may not raise one (CAP_SYS_RESOURCE in the first user namespace, setrlimit(2)).
fn shrink(resource: u32, soft: u64, hard: u64) -> casemate_sys::Result<()> {
    let (_, most) = process::rlimit(resource)?;
    process::set_rlimit(resource, soft.min(most), hard.min(most))
}

/// Keys are counted by user: keyrings(7), `/proc/sys/kernel/keys`.
const KEY_QUOTA_HINT: &str =
    "raise kernel.keys.maxkeys, for root kernel.keys.root_maxkeys; --allow keyring.inherited with \
    --no-new-keyring, keyring = false of containers.conf, makes none";

fn join_keyring(early: &Early, host_proc: impl AsFd) -> StepResult<()> {
    let Some(name) = &early.keyring else { return Ok(()) };
    if let Some(label) = &early.keyring_label {
        lsm::selinux_on_key_creation(&host_proc, label)?;
    }
    let joined = if name.is_empty() { keyring::new_session() } else { keyring::join_session(name) };
    match joined {
        // A kernel without keyrings has none to protect.
        Err(e) if e.errno() == Errno::NOSYS => Ok(()),
        Err(e) if e.errno() == Errno::DQUOT => {
            let mut failure = Failure::from(e).about("session keyring");
            failure.step = "keyring".to_owned();
            Err(failure.with_hint(KEY_QUOTA_HINT))
        }
        Err(e) => Err(e).step("keyring", || "session keyring"),
        Ok(_) if name.is_empty() => Ok(()),
        Ok(serial) => keyring::let_owner_search(serial).step("keyring", || "session keyring"),
    }
}

fn write_oom_score(host_proc: BorrowedFd<'_>, score: i32) -> casemate_sys::Result<()> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let file = rustix::fs::openat2(
        host_proc,
        "self/oom_score_adj",
        OFlags::WRONLY | OFlags::CLOEXEC,
        Mode::empty(),
        resolve,
    )
    .call(|| "openat2(/proc, \"self/oom_score_adj\")")?;
    rustix::io::write(&file, score.to_string().as_bytes())
        .map(drop)
        .call(|| format!("write(/proc/self/oom_score_adj, {score})"))
}

/// Make `peer` the controlling terminal and standard streams.
pub(crate) fn take_terminal(peer: impl AsFd, owner: u32) -> StepResult<()> {
    tty::make_controlling(&peer).step("console", || "process.terminal")?;
    for target in 0..3 {
        casemate_sys::fd::place(&peer, target).step("console", || "process.terminal")?;
    }
    own_one(peer.as_fd(), owner).step("console", || "process.terminal")
}

/// Give pipes, sockets and terminals on the standard streams to the payload's user, so that it can open /dev/stdout
/// again. Files and /dev/null stay whose they are.
pub(crate) fn own_stdio(owner: u32) -> StepResult<()> {
    for raw in 0..3 {
        if let Some(fd) = casemate_sys::fd::borrow(raw) {
            own_one(fd, owner).step("stdio", || format!("standard stream {raw}"))?;
        }
    }
    Ok(())
}

fn own_one(fd: BorrowedFd<'_>, owner: u32) -> casemate_sys::Result<()> {
    let st = rustix::fs::fstat(fd).call(|| "fstat(stdio)")?;
    let kind = FileType::from_raw_mode(st.st_mode);
    // Major 136 to 143 are pty slaves; other character devices (null, the console) are shared with the host.
    let is_pty =
        kind == FileType::CharacterDevice && (136..144).contains(&rustix::fs::major(st.st_rdev));
    let ours = matches!(kind, FileType::Fifo | FileType::Socket) || is_pty;
    if !ours || st.st_uid == owner {
        return Ok(());
    }
    match rustix::fs::fchown(fd, Some(rustix::fs::Uid::from_raw(owner)), None) {
        // Not ours to give (rootless), or on a read-only or exotic file system: the payload can still use it as is.
        Ok(()) | Err(Errno::PERM | Errno::ROFS | Errno::INVAL | Errno::NOSYS) => Ok(()),
        Err(e) => Err(e).call(|| format!("fchown(stdio, {owner})")),
    }
}
