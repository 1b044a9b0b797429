//! Calls that open large parts of the kernel: namespaces, mounts, and what is otherwise root's.

use crate::sys::{c, call, check, reach};
use crate::Entry;
use std::io::Result;

const NONE: [i64; 5] = [0; 5];
/// A descriptor that is open in no process.
const NO_FD: i64 = 1 << 20;

fn unshare(flags: i32) -> Result<()> {
    call(libc::SYS_unshare, [flags.into(), 0, 0, 0, 0]).map(drop)
}

/// clone(2) with a namespace flag: the child ends at once.
fn clone(flags: i32) -> Result<()> {
    let flags = i64::from(flags | libc::SIGCHLD);
    match call(libc::SYS_clone, [flags, 0, 0, 0, 0])? {
        // SAFETY: the child of a clone without shared memory.
        0 => unsafe { libc::_exit(0) },
        _ => Ok(()),
    }
}

/// Namespaces of one's own.
pub fn namespaces() -> Vec<Entry> {
    vec![
        ("unshare user", || unshare(libc::CLONE_NEWUSER)),
        ("unshare mount", || unshare(libc::CLONE_NEWNS)),
        ("unshare net", || unshare(libc::CLONE_NEWNET)),
        ("unshare pid", || unshare(libc::CLONE_NEWPID)),
        ("unshare ipc", || unshare(libc::CLONE_NEWIPC)),
        ("unshare uts", || unshare(libc::CLONE_NEWUTS)),
        ("unshare cgroup", || unshare(libc::CLONE_NEWCGROUP)),
        ("unshare time", || unshare(0x80)),
        ("unshare user and net", || unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNET)),
        ("clone user", || clone(libc::CLONE_NEWUSER)),
        ("clone net", || clone(libc::CLONE_NEWNET)),
        ("clone3", || reach(libc::SYS_clone3, NONE)),
        ("setns", || reach(libc::SYS_setns, [NO_FD, 0, 0, 0, 0])),
        ("set the host name", || {
            let name = c("attacked");
            call(libc::SYS_sethostname, [name.as_ptr() as i64, 8, 0, 0, 0]).map(drop)
        }),
        ("set the domain name", || {
            let name = c("attacked");
            call(libc::SYS_setdomainname, [name.as_ptr() as i64, 8, 0, 0, 0]).map(drop)
        }),
    ]
}

fn mount(source: &str, target: &str, fstype: &str, flags: u64) -> Result<()> {
    let (source, target, fstype) = (c(source), c(target), c(fstype));
    // SAFETY: C strings that live through the call.
    check(
        unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), fstype.as_ptr(), flags, std::ptr::null())
        }
        .into(),
    )
    .map(drop)
}

/// Mounting, by the old calls and the new.
pub fn mounts() -> Vec<Entry> {
    vec![
        ("mount tmpfs", || mount("none", "/tmp", "tmpfs", 0)),
        ("mount proc", || mount("none", "/tmp", "proc", 0)),
        ("mount sysfs", || mount("none", "/tmp", "sysfs", 0)),
        ("mount cgroup2", || mount("none", "/tmp", "cgroup2", 0)),
        ("mount cgroup v1", || mount("none", "/tmp", "cgroup", 0)),
        ("mount debugfs", || mount("none", "/tmp", "debugfs", 0)),
        ("bind", || mount("/proc", "/tmp", "none", libc::MS_BIND)),
        ("remount / writable", || mount("none", "/", "none", libc::MS_REMOUNT | libc::MS_BIND)),
        ("make / shared", || mount("none", "/", "none", libc::MS_SHARED)),
        ("umount /proc", || {
            let path = c("/proc");
            // SAFETY: a C string.
            check(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
        }),
        ("pivot_root", || {
            let path = c("/tmp");
            call(libc::SYS_pivot_root, [path.as_ptr() as i64, path.as_ptr() as i64, 0, 0, 0])
                .map(drop)
        }),
        ("chroot", || {
            let path = c("/tmp");
            call(libc::SYS_chroot, [path.as_ptr() as i64, 0, 0, 0, 0]).map(drop)
        }),
        ("fsopen", || {
            let name = c("tmpfs");
            call(libc::SYS_fsopen, [name.as_ptr() as i64, 0, 0, 0, 0]).map(drop)
        }),
        ("fspick", || reach(libc::SYS_fspick, [NO_FD, 0, 0, 0, 0])),
        ("fsconfig", || reach(libc::SYS_fsconfig, [NO_FD, 0, 0, 0, 0])),
        ("fsmount", || reach(libc::SYS_fsmount, [NO_FD, 0, 0, 0, 0])),
        ("open_tree with a copy", || {
            let path = c("/");
            call(libc::SYS_open_tree, [libc::AT_FDCWD.into(), path.as_ptr() as i64, 1, 0, 0])
                .map(drop)
        }),
        ("move_mount", || reach(libc::SYS_move_mount, [NO_FD, 0, NO_FD, 0, 0])),
        ("mount_setattr", || reach(libc::SYS_mount_setattr, [NO_FD, 0, 0, 0, 0])),
    ]
}

/// A key of the process's own keyring: an anonymous one that goes with it.
fn new_keyring() -> Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: i64 = 1;
    call(libc::SYS_keyctl, [KEYCTL_JOIN_SESSION_KEYRING, 0, 0, 0, 0]).map(drop)
}

fn perf_event() -> Result<()> {
    // struct perf_event_attr: a counter of page faults in software, of this process.
    let mut attr = [0u32; 32];
    (attr[0], attr[1], attr[2]) = (1, 128, 2);
    call(libc::SYS_perf_event_open, [attr.as_ptr() as i64, 0, -1, -1, 0]).map(drop)
}

fn bpf_map() -> Result<()> {
    // BPF_MAP_CREATE of an array with one element.
    let attr = [2u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    call(libc::SYS_bpf, [0, attr.as_ptr() as i64, 64, 0, 0]).map(drop)
}

fn io_uring() -> Result<()> {
    let params = [0u64; 15];
    call(libc::SYS_io_uring_setup, [1, params.as_ptr() as i64, 0, 0, 0]).map(drop)
}

fn file_handle() -> Result<()> {
    // struct file_handle with room for 128 bytes.
    let (mut handle, mut mount) = ([0u32; 34], 0i32);
    handle[0] = 128;
    let path = c("/");
    call(
        libc::SYS_name_to_handle_at,
        [
            libc::AT_FDCWD.into(),
            path.as_ptr() as i64,
            handle.as_mut_ptr() as i64,
            &raw mut mount as i64,
            0,
        ],
    )
    .map(drop)
}

/// An ioctl that pushes a byte into a terminal, on a new pty; `request` may carry bits that the kernel does not look at.
fn push(request: i64) -> Result<()> {
    let path = c("/dev/ptmx");
    // SAFETY: a C string.
    let fd = check(unsafe { libc::open(path.as_ptr(), libc::O_RDWR | libc::O_NOCTTY) }.into())?;
    let byte = 0u8;
    call(libc::SYS_ioctl, [fd, request, &raw const byte as i64, 0, 0]).map(drop)
}

fn trace_me() -> Result<()> {
    call(libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0, 0]).map(drop)
}

fn randomless() -> Result<()> {
    const ADDR_NO_RANDOMIZE: i64 = 0x0004_0000;
    call(libc::SYS_personality, [ADDR_NO_RANDOMIZE, 0, 0, 0, 0]).map(drop)
}

#[cfg(target_arch = "x86_64")]
fn only_on_x86() -> Vec<Entry> {
    vec![
        ("iopl", || call(libc::SYS_iopl, [3, 0, 0, 0, 0]).map(drop)),
        ("ioperm", || call(libc::SYS_ioperm, [0x80, 1, 1, 0, 0]).map(drop)),
        ("modify_ldt", || reach(libc::SYS_modify_ldt, NONE)),
        ("the x32 entry", || {
            const X32: i64 = 0x4000_0000;
            call(X32 + libc::SYS_getpid, NONE).map(drop)
        }),
        ("the 32-bit entry", || {
            let result: i64;
            // SAFETY: getpid (20) by int 0x80 takes nothing and changes no memory.
            unsafe {
                std::arch::asm!("int 0x80", inlateout("rax") 20i64 => result,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _);
            }
            if result > 0 {
                Ok(())
            } else {
                Err(std::io::Error::from_raw_os_error(-(result as i32)))
            }
        }),
        ("lookup_dcookie", || reach(libc::SYS_lookup_dcookie, NONE)),
        ("uselib", || reach(libc::SYS_uselib, NONE)),
    ]
}

#[cfg(not(target_arch = "x86_64"))]
fn only_on_x86() -> Vec<Entry> {
    Vec::new()
}

/// What else is for the host's root, or has been the way to it.
pub fn kernel() -> Vec<Entry> {
    let mut all: Vec<Entry> = vec![
        ("io_uring_setup", io_uring),
        ("userfaultfd", || call(libc::SYS_userfaultfd, [1, 0, 0, 0, 0]).map(drop)),
        ("bpf", bpf_map),
        ("perf_event_open", perf_event),
        ("keyctl", new_keyring),
        ("add_key", || reach(libc::SYS_add_key, NONE)),
        ("request_key", || reach(libc::SYS_request_key, NONE)),
        ("kexec_load", || reach(libc::SYS_kexec_load, [0, 0, 0, -1, 0])),
        ("init_module", || reach(libc::SYS_init_module, NONE)),
        ("finit_module", || reach(libc::SYS_finit_module, [NO_FD, 0, 0, 0, 0])),
        ("delete_module", || reach(libc::SYS_delete_module, NONE)),
        ("reboot", || reach(libc::SYS_reboot, NONE)),
        ("swapon", || reach(libc::SYS_swapon, NONE)),
        ("acct", || reach(libc::SYS_acct, [1, 0, 0, 0, 0])),
        ("quotactl", || reach(libc::SYS_quotactl, [0x0080_0007 << 8, 0, 0, 0, 0])),
        ("syslog", || call(libc::SYS_syslog, [10, 0, 0, 0, 0]).map(drop)),
        ("settimeofday", || {
            call(libc::SYS_settimeofday, [0, [0i32; 2].as_ptr() as i64, 0, 0, 0]).map(drop)
        }),
        ("clock_settime", || reach(libc::SYS_clock_settime, [0, 0, 0, 0, 0])),
        ("name_to_handle_at", file_handle),
        ("open_by_handle_at", || reach(libc::SYS_open_by_handle_at, [NO_FD, 0, 0, 0, 0])),
        ("fanotify_init", || call(libc::SYS_fanotify_init, [0x200, 0, 0, 0, 0]).map(drop)),
        ("kcmp", || reach(libc::SYS_kcmp, [1, 1, 99, 0, 0])),
        ("pidfd_getfd", || reach(libc::SYS_pidfd_getfd, [NO_FD, 0, 0, 0, 0])),
        ("process_madvise", || reach(libc::SYS_process_madvise, [NO_FD, 0, 0, 0, 0])),
        ("process_vm_readv of itself", || {
            call(libc::SYS_process_vm_readv, [std::process::id().into(), 0, 0, 0, 0]).map(drop)
        }),
        ("ptrace", trace_me),
        ("personality without randomization", randomless),
        ("vmsplice", || reach(libc::SYS_vmsplice, [NO_FD, 0, 0, 0, 0])),
        ("move_pages", || reach(libc::SYS_move_pages, [0, 1, 0, 0, 1 << 30])),
        ("mbind", || reach(libc::SYS_mbind, [0, 0, 99, 0, 0])),
        ("set_mempolicy", || call(libc::SYS_set_mempolicy, [0, 0, 0, 0, 0]).map(drop)),
        ("vhangup", || reach(libc::SYS_vhangup, NONE)),
        ("TIOCSTI", || push(0x5412)),
        ("TIOCSTI with upper bits", || push(0x1_0000_5412)),
        ("TIOCLINUX", || push(0x541c)),
        ("sandboxing by seccomp", || reach(libc::SYS_seccomp, [1, 0, 0, 0, 0])),
        ("sandboxing by landlock", || {
            call(libc::SYS_landlock_create_ruleset, [0, 0, 1, 0, 0]).map(drop)
        }),
    ];
    all.extend(only_on_x86());
    all
}
