//! Ways to more privilege, to other processes, and out of limits; and what the process is to begin with.

use crate::sys::{call, check};
use crate::{absent, Entry};
use serde_json::{json, Value};
use std::io::{Error, Result};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Where the harness puts copies of this program: set-user-ID of root, and with cap_net_raw+ep.
const SUID: &str = "/bin/attack-suid";
const FILE_CAPS: &str = "/bin/attack-caps";

/// Printed by such a copy: effective uid, and whether it has a capability.
pub fn report() {
    // SAFETY: takes nothing.
    let uid = unsafe { libc::geteuid() };
    println!("{uid} {}", status("CapEff"));
}

fn status(field: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.unwrap_or_default().to_owned()
}

/// Run a copy as an ordinary user, and look at what it says of itself.
fn gained(program: &str, yes: fn(&str) -> bool) -> Result<()> {
    if !std::path::Path::new(program).exists() {
        return Err(absent());
    }
    let mut command = Command::new(program);
    // SAFETY: takes nothing.
    if unsafe { libc::geteuid() } == 0 {
        command.uid(1000).gid(1000);
    }
    let out = command.arg("--gained").output()?;
    match yes(&String::from_utf8_lossy(&out.stdout)) {
        true => Ok(()),
        false => Err(Error::from_raw_os_error(libc::EPERM)),
    }
}

fn setuid_root() -> Result<()> {
    // SAFETY: plain integers.
    unsafe {
        if libc::geteuid() == 0 {
            check(libc::setresgid(1000, 1000, 1000).into())?;
            check(libc::setresuid(1000, 1000, 1000).into())?;
        }
        check(libc::setuid(0).into()).map(drop)
    }
}

/// A capability that the process does not have.
fn add_capability() -> Result<()> {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    let header = [0x2008_0522u32, 0];
    let mut sets = [0u32; 6];
    call(libc::SYS_capget, [header.as_ptr() as i64, sets.as_mut_ptr() as i64, 0, 0, 0])?;
    if u64::from(sets[0]) & CAP_SYS_ADMIN != 0 {
        return Ok(());
    }
    (sets[0], sets[1]) = (sets[0] | CAP_SYS_ADMIN as u32, sets[1] | CAP_SYS_ADMIN as u32);
    call(libc::SYS_capset, [header.as_ptr() as i64, sets.as_ptr() as i64, 0, 0, 0]).map(drop)
}

fn realtime() -> Result<()> {
    // SAFETY: a structure that lives through the call.
    unsafe {
        let mut param: libc::sched_param = std::mem::zeroed();
        param.sched_priority = 1;
        check(libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param).into()).map(drop)
    }
}

fn raise_limit() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a structure that lives through both calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit).into())?;
        limit.rlim_max += 1;
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit).into()).map(drop)
    }
}

fn dump_core() -> Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: as above.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_CORE, &raw mut limit).into())?;
        limit.rlim_cur = 1 << 20;
        check(libc::setrlimit(libc::RLIMIT_CORE, &raw const limit).into()).map(drop)
    }
}

/// Processes until the limit says no; without a limit nothing is tried.
fn fork_bomb() -> Result<()> {
    let text = std::fs::read_to_string("/sys/fs/cgroup/pids.max").map_err(|_| absent())?;
    let limit: u32 = match text.trim().parse() {
        Ok(limit) if limit < 4096 => limit,
        _ => return Ok(()),
    };
    for _ in 0..limit + 64 {
        // SAFETY: the child sleeps and is ended with its parent.
        unsafe {
            match libc::fork() {
                0 => {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    libc::pause();
                    libc::_exit(0)
                }
                -1 => return Err(Error::last_os_error()),
                _ => {}
            }
        }
    }
    Ok(())
}

/// A process that is not in the container: the harness hands its pid over in the environment.
fn outside() -> Result<i32> {
    std::env::var("ATTACK_PID").ok().and_then(|pid| pid.parse().ok()).ok_or_else(absent)
}

fn abstract_socket() -> Result<()> {
    use std::os::linux::net::SocketAddrExt;
    let name = std::env::var("ATTACK_SOCKET").map_err(|_| absent())?;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    std::os::unix::net::UnixStream::connect_addr(&address).map(drop)
}

/// One line each.
pub fn all() -> Vec<Entry> {
    vec![
        ("become root by a set-user-ID file", || gained(SUID, |said| said.starts_with("0 "))),
        ("gain by file capabilities", || {
            gained(FILE_CAPS, |said| !said.trim().ends_with("0000000000000000"))
        }),
        ("setuid(0) as an ordinary user", setuid_root),
        ("add CAP_SYS_ADMIN", add_capability),
        ("signal a process of the host", || {
            call(libc::SYS_kill, [outside()?.into(), 0, 0, 0, 0]).map(drop)
        }),
        ("trace a process of the host", || {
            const SEIZE: i64 = 0x4206;
            call(libc::SYS_ptrace, [SEIZE, outside()?.into(), 0, 0, 0]).map(drop)
        }),
        ("connect to an abstract socket of the host", abstract_socket),
        ("real-time scheduling", realtime),
        ("a higher priority", || call(libc::SYS_setpriority, [0, 0, -20, 0, 0]).map(drop)),
        ("a higher hard limit", raise_limit),
        ("a core dump", dump_core),
        ("lock all memory", || call(libc::SYS_mlockall, [2, 0, 0, 0, 0]).map(drop)),
        ("more processes than the limit", fork_bomb),
    ]
}

/// What the kernel says about this process.
pub fn state() -> Value {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let first: Vec<&str> = map.split_whitespace().take(3).collect();
    let own_users = first != ["0", "0", "4294967295"];
    // SAFETY: takes nothing.
    let uid = unsafe { libc::geteuid() };
    let field = |name| Value::String(status(name));
    json!({
        "uid": uid,
        "own user namespace": own_users,
        "CapEff": field("CapEff"),
        "CapBnd": field("CapBnd"),
        "CapInh": field("CapInh"),
        "CapAmb": field("CapAmb"),
        "NoNewPrivs": field("NoNewPrivs"),
        "Seccomp": field("Seccomp"),
    })
}
