//! Which faults there are: each call of a clean run, with each answer that the kernel may well give.

use super::trace::{Fault, Place};
use casemate_seccomp::Arch;

/// What can be struck where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) place: Place,
    pub(crate) fault: Fault,
    /// The C library and the language get the process ready, before the program's own first line.
    pub(crate) before_main: bool,
}

/// The name of a system call.
pub(crate) fn name(number: u32) -> String {
    Arch::native()
        .and_then(|arch| arch.syscall_name(number))
        .map_or_else(|| number.to_string(), str::to_owned)
}

/// Calls that do not answer, or that the kernel answers before there is a program that could say anything.
const NEVER: [&str; 8] = [
    "brk",
    "exit",
    "exit_group",
    "rt_sigreturn",
    "arch_prctl",
    "set_tid_address",
    "set_robust_list",
    "rseq",
];

/// What a call answers when there is too little of something.
fn shortage(name: &str) -> i32 {
    match name {
        "open" | "openat" | "openat2" | "pipe2" | "socket" | "socketpair" | "pidfd_open"
        | "epoll_create1" | "accept4" | "eventfd2" | "fsopen" | "open_tree" | "memfd_create"
        | "dup" | "dup3" => libc::EMFILE,
        "write" | "pwrite64" | "mkdirat" | "mkdir" | "symlinkat" | "renameat" | "renameat2"
        | "ftruncate" => libc::ENOSPC,
        "clone" | "clone3" | "fork" | "vfork" | "kill" => libc::EAGAIN,
        "mmap" | "mprotect" | "brk" | "mremap" | "mount" | "fsmount" | "move_mount" | "unshare" => {
            libc::ENOMEM
        }
        _ => libc::EIO,
    }
}

/// Where the language's start is over: it gives the main thread a stack for signals and handlers last.
fn main_begins(calls: &[u32]) -> usize {
    let names: Vec<String> = calls.iter().map(|number| name(*number)).collect();
    let of_start = |name: &String| {
        ["sigaltstack", "mmap", "mprotect", "rt_sigaction"].contains(&name.as_str())
    };
    let first = names.iter().position(|name| name == "sigaltstack").unwrap_or(0);
    first + names[first..].iter().take_while(|name| of_start(name)).count()
}

/// The answers that one call is given: too little of something, a filter around us, an older kernel, one that does not know
/// a flag. What the kernel never says of a call (brk(2) has no errno, getrandom(2) no shortage) nobody has to bear.
fn errnos(name: &str) -> Vec<i32> {
    match name {
        name if NEVER.contains(&name) => Vec::new(),
        "getrandom" => vec![libc::EPERM, libc::ENOSYS],
        _ => {
            let mut all = vec![shortage(name), libc::EPERM, libc::ENOSYS, libc::EINVAL];
            all.dedup();
            all
        }
    }
}

/// The faults at the calls of a clean run, which are given with their processes: in the first mode each call with each
/// errno, in the second the end of the process at each call.
pub(crate) fn of(calls: &[(usize, u32)], kill: bool) -> Vec<Point> {
    let of_command: Vec<u32> =
        calls.iter().filter(|(process, _)| *process == 0).map(|(_, number)| *number).collect();
    let begins = main_begins(&of_command);
    let mut counts = Vec::new();
    let mut points = Vec::new();
    for (process, number) in calls {
        counts.resize(counts.len().max(process + 1), 0);
        let place = Place { process: *process, call: counts[*process] };
        counts[*process] += 1;
        let before_main = *process == 0 && place.call < begins;
        let faults = match kill {
            true => vec![Fault::Kill],
            false => errnos(&name(*number)).into_iter().map(Fault::Errno).collect(),
        };
        points.extend(faults.into_iter().map(|fault| Point { place, fault, before_main }));
    }
    points
}
