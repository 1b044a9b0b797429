//! What a payload tries and busybox cannot: one system call, or one kind of attack, per invocation. Prints `ok` or the
//! name of the errno.

// Nothing of the tests runs beside it.
#![allow(clippy::disallowed_methods)]

#[path = "../payload.rs"]
mod payload;

use std::ffi::CString;
use std::io::{Error, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match attempt(&words) {
        Ok(()) => println!("ok"),
        Err(e) => println!("{}", name(&e)),
    }
}

fn attempt(words: &[&str]) -> Result<()> {
    match words {
        ["umount", path] => umount(path),
        ["mount", fstype, path] => mount(fstype, path, fstype, 0),
        ["bind", from, to] => mount(from, to, "none", libc::MS_BIND),
        ["remount-rw", path] => mount("none", path, "none", libc::MS_BIND | libc::MS_REMOUNT),
        ["clear", path, attributes] => clear_attributes(path, attributes),
        ["open", mode, path] => open(mode, path),
        ["unshare", kinds] => unshare(kinds),
        ["socket", family] => socket(number(family)),
        ["socket32", family] => socket_of_the_other_abi(number(family)),
        ["listen", port] => {
            std::net::TcpListener::bind(("127.0.0.1", number(port) as u16)).map(drop)
        }
        ["hostname", text] => hostname(text),
        ["mknod", path] => mknod(path),
        ["pivot", path] => pivot(path),
        ["ioctl", request] => ioctl(number(request)),
        ["call", which] => call(which),
        ["sleep-as", seconds] => sleep_as(number(seconds)),
        ["grab", stop] => grab(Path::new(stop)),
        ["overwrite", stop] => overwrite(Path::new(stop)),
        ["fds"] => fds(),
        other => payload::attempt(other),
    }
}

fn number(text: &str) -> i64 {
    let (text, radix) = text.strip_prefix("0x").map_or((text, 10), |hex| (hex, 16));
    i64::from_str_radix(text, radix).unwrap_or_else(|e| panic!("probe: {text}: {e}"))
}

fn name(error: &Error) -> String {
    const NAMES: [(i32, &str); 24] = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::ESRCH, "ESRCH"),
        (libc::ENXIO, "ENXIO"),
        (libc::EBADF, "EBADF"),
        (libc::EACCES, "EACCES"),
        (libc::EFAULT, "EFAULT"),
        (libc::EBUSY, "EBUSY"),
        (libc::EEXIST, "EEXIST"),
        (libc::EXDEV, "EXDEV"),
        (libc::ENODEV, "ENODEV"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EISDIR, "EISDIR"),
        (libc::EINVAL, "EINVAL"),
        (libc::ENOTTY, "ENOTTY"),
        (libc::ETXTBSY, "ETXTBSY"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::EROFS, "EROFS"),
        (libc::ELOOP, "ELOOP"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::EOPNOTSUPP, "EOPNOTSUPP"),
        (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
        (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT"),
        (libc::EUSERS, "EUSERS"),
    ];
    let raw = error.raw_os_error().unwrap_or(0);
    NAMES
        .iter()
        .find(|(n, _)| *n == raw)
        .map_or_else(|| error.to_string(), |(_, s)| (*s).to_owned())
}

fn c(text: &str) -> CString {
    CString::new(text).expect("an argument has no NUL")
}

fn check(result: i64) -> Result<()> {
    if result < 0 {
        Err(Error::last_os_error())
    } else {
        Ok(())
    }
}

fn umount(path: &str) -> Result<()> {
    // SAFETY: a C string that lives through the call; the same below.
    check(unsafe { libc::umount2(c(path).as_ptr(), libc::MNT_DETACH) }.into())
}

fn mount(source: &str, target: &str, fstype: &str, flags: u64) -> Result<()> {
    let (source, target, fstype) = (c(source), c(target), c(fstype));
    // SAFETY: as above.
    let result = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), fstype.as_ptr(), flags, std::ptr::null())
    };
    check(result.into())
}

/// mount_setattr(2) with attributes to clear: ro, nosuid, nodev, noexec.
fn clear_attributes(path: &str, attributes: &str) -> Result<()> {
    let bits = attributes.split(',').map(|word| match word {
        "ro" => libc::MOUNT_ATTR_RDONLY,
        "nosuid" => libc::MOUNT_ATTR_NOSUID,
        "nodev" => libc::MOUNT_ATTR_NODEV,
        "noexec" => libc::MOUNT_ATTR_NOEXEC,
        other => panic!("probe: attribute {other}"),
    });
    let attr = libc::mount_attr { attr_set: 0, attr_clr: bits.sum(), propagation: 0, userns_fd: 0 };
    let path = c(path);
    // SAFETY: path and structure live through the call, and the size is the structure's.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            &raw const attr,
            std::mem::size_of::<libc::mount_attr>(),
        )
    })
}

fn open(mode: &str, path: &str) -> Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options
        .read(mode.contains('r'))
        .write(mode.contains('w'))
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path).map(drop)
}

fn unshare(kinds: &str) -> Result<()> {
    let bits = kinds.split(',').map(|kind| match kind {
        "user" => libc::CLONE_NEWUSER,
        "mnt" => libc::CLONE_NEWNS,
        "net" => libc::CLONE_NEWNET,
        "cgroup" => libc::CLONE_NEWCGROUP,
        "pid" => libc::CLONE_NEWPID,
        other => panic!("probe: namespace {other}"),
    });
    // SAFETY: touches no memory.
    check(unsafe { libc::unshare(bits.fold(0, |a, b| a | b)) }.into())
}

fn socket(family: i64) -> Result<()> {
    let kind =
        if family == i64::from(libc::AF_ALG) { libc::SOCK_SEQPACKET } else { libc::SOCK_DGRAM };
    // SAFETY: touches no memory.
    check(unsafe { libc::socket(family as i32, kind, 0) }.into())
}

/// socket(2) through the 32-bit entry, which has its own numbers and is forgotten easily.
#[cfg(target_arch = "x86_64")]
fn socket_of_the_other_abi(family: i64) -> Result<()> {
    let result: i64;
    // SAFETY: int 0x80 with three integers; the registers that it may change are named.
    unsafe {
        std::arch::asm!(
            "push rbx", "mov rbx, {family}", "int 0x80", "pop rbx",
            family = in(reg) family,
            inlateout("rax") 359i64 => result,
            in("rcx") 5i64,
            in("rdx") 0i64,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if result < 0 {
        return Err(Error::from_raw_os_error(-(result as i32)));
    }
    Ok(())
}

#[cfg(not(target_arch = "x86_64"))]
fn socket_of_the_other_abi(_family: i64) -> Result<()> {
    Err(Error::from_raw_os_error(libc::ENOSYS))
}

fn hostname(text: &str) -> Result<()> {
    // SAFETY: pointer and length of one string.
    check(unsafe { libc::sethostname(text.as_ptr().cast(), text.len()) }.into())
}

fn mknod(path: &str) -> Result<()> {
    // SAFETY: a C string. 1:1 is /dev/mem.
    check(
        unsafe { libc::mknod(c(path).as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 1)) }.into(),
    )
}

fn pivot(path: &str) -> Result<()> {
    let path = c(path);
    // SAFETY: C strings.
    check(unsafe { libc::syscall(libc::SYS_pivot_root, path.as_ptr(), path.as_ptr()) })
}

/// An ioctl on standard input with a pointer to one byte.
fn ioctl(request: i64) -> Result<()> {
    let byte = 0u8;
    // SAFETY: the requests in question read one byte.
    check(unsafe { libc::syscall(libc::SYS_ioctl, 0, request, &raw const byte) })
}

/// System calls with arguments that the kernel itself would refuse, so that a filter's answer can be told apart.
fn call(which: &str) -> Result<()> {
    let nr = match which {
        "io_uring_setup" => libc::SYS_io_uring_setup,
        "bpf" => libc::SYS_bpf,
        "perf_event_open" => libc::SYS_perf_event_open,
        "userfaultfd" => libc::SYS_userfaultfd,
        "keyctl" => libc::SYS_keyctl,
        "add_key" => libc::SYS_add_key,
        "request_key" => libc::SYS_request_key,
        "fsopen" => libc::SYS_fsopen,
        "open_tree" => libc::SYS_open_tree,
        "move_mount" => libc::SYS_move_mount,
        "mount_setattr" => libc::SYS_mount_setattr,
        "clone3" => libc::SYS_clone3,
        "setns" => libc::SYS_setns,
        "kexec_load" => libc::SYS_kexec_load,
        "init_module" => libc::SYS_init_module,
        "open_by_handle_at" => libc::SYS_open_by_handle_at,
        "swapon" => libc::SYS_swapon,
        "reboot" => libc::SYS_reboot,
        other => panic!("probe: system call {other}"),
    };
    // SAFETY: null pointers and zeros: each of these fails, before it changes anything.
    check(unsafe { libc::syscall(nr, 0, 0, 0, 0, 0, 0) })
}

fn sleep_as(seconds: i64) -> Result<()> {
    println!("sleeping");
    std::thread::sleep(Duration::from_secs(seconds as u64));
    Ok(())
}

fn others() -> Vec<i32> {
    let me = std::process::id() as i32;
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().to_str().and_then(|n| n.parse().ok()));
    pids.filter(|pid| *pid != me && *pid != 1).collect()
}

/// Look into every process that appears: attach to it, list and open its descriptors, its memory and its root. Prints
/// whatever was caught, unless it is plainly the container's own. Ends when `stop` exists.
fn grab(stop: &Path) -> Result<()> {
    println!("grabbing");
    let (mut looks, mut seen) = (0u64, std::collections::BTreeSet::new());
    while !stop.exists() {
        for pid in others() {
            looks += 1;
            if is_runtime(pid) {
                if seen.is_empty() {
                    println!("first={pid}");
                }
                seen.insert(pid);
                grab_one(pid);
            }
        }
    }
    println!("looks={looks} runtimes={}", seen.len());
    Ok(())
}

/// A process that is still the runtime, from the outside: its name is not that of a program of the container.
fn is_runtime(pid: i32) -> bool {
    let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    comm.trim() == "casemate"
}

fn grab_one(pid: i32) {
    // SAFETY: PTRACE_SEIZE takes no memory.
    let seized = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) } == 0;
    // What was caught counts only if it still is the runtime: it may have become the payload in between.
    if seized && is_runtime(pid) {
        println!("caught: ptrace {pid}");
    }
    if seized {
        // It became the payload: let go of it, which wants it stopped first.
        // SAFETY: as above; waitpid is given no place for the status.
        unsafe {
            libc::ptrace(libc::PTRACE_INTERRUPT, pid, 0, 0);
            libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL);
            libc::ptrace(libc::PTRACE_DETACH, pid, 0, 0);
        }
    }
    for path in [format!("/proc/{pid}/mem"), format!("/proc/{pid}/root/.")] {
        if open("rw", &path).is_ok() && is_runtime(pid) {
            println!("caught: {path}");
        }
    }
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        // The numbers can be listed by container's root; what is behind them must stay out of reach.
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        if is_runtime(pid) {
            println!("caught: {} -> {}", entry.path().display(), target.display());
        }
    }
}

/// Try to write to the binary of every process that appears, and to our own. Ends when `stop` exists.
fn overwrite(stop: &Path) -> Result<()> {
    println!("overwriting");
    let mut tries = 0u64;
    while !stop.exists() {
        for pid in others() {
            let path = format!("/proc/{pid}/exe");
            // Held open for reading until the process has let go of it, as the published exploits do.
            let Ok(held) = std::fs::File::open(&path) else { continue };
            if !is_runtime(pid) {
                continue;
            }
            if tries == 0 {
                println!("first={pid}");
            }
            tries += 1;
            let again = format!("/proc/self/fd/{}", held.as_raw_fd());
            for _ in 0..200 {
                match std::fs::OpenOptions::new().write(true).open(&again) {
                    Ok(_) => println!("caught: {path} is writable"),
                    Err(e) if e.raw_os_error() == Some(libc::ETXTBSY) => {
                        std::thread::sleep(Duration::from_millis(1));
                        continue;
                    }
                    Err(_) => {}
                }
                break;
            }
        }
    }
    println!("tries={tries}");
    Ok(())
}

fn fds() -> Result<()> {
    let mut lines: Vec<String> = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")?.flatten() {
        // The one that lists.
        if let Ok(target) = std::fs::read_link(entry.path()) {
            if !target.starts_with(format!("/proc/{}/fd", std::process::id())) {
                lines.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    lines.sort();
    println!("fds={}", lines.join(","));
    Ok(())
}
