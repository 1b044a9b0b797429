//! What the kernel says about a process: each file of its /proc directory is read once.

use crate::procfs;
use anyhow::{Context as _, Result};
use casemate_kernel::id_map::IdRange;
use casemate_kernel::status::Status;
use casemate_kernel::{id_map, status, ParseError};
use casemate_sys::ns::flag;
use rustix::fd::OwnedFd;

/// The kinds, and their files in /proc/PID/ns. A time namespace that was made is its maker's only after execve
/// (time_namespaces(7)).
pub(super) const KINDS: [(u64, &str); 8] = [
    (flag::MNT, "mnt"),
    (flag::NET, "net"),
    (flag::PID, "pid"),
    (flag::IPC, "ipc"),
    (flag::UTS, "uts"),
    (flag::CGROUP, "cgroup"),
    (flag::USER, "user"),
    (flag::TIME, "time_for_children"),
];

/// Resource limits in the kernel's order (asm-generic/resource.h), as /proc/PID/limits calls them.
const LIMITS: [&str; 16] = [
    "Max cpu time",
    "Max file size",
    "Max data size",
    "Max stack size",
    "Max core file size",
    "Max resident set",
    "Max processes",
    "Max open files",
    "Max locked memory",
    "Max address space",
    "Max file locks",
    "Max pending signals",
    "Max msgqueue size",
    "Max nice priority",
    "Max realtime priority",
    "Max realtime timeout",
];

pub(super) fn status(proc: &OwnedFd, pid: i32) -> Result<Status> {
    let text = procfs::read(proc, &format!("{pid}/status"))?;
    status::parse(&text).with_context(|| format!("process {pid}"))
}

pub(super) fn id_map(proc: &OwnedFd, pid: i32, file: &str) -> Result<Vec<IdRange>> {
    let text = procfs::read(proc, &format!("{pid}/{file}"))?;
    id_map::parse(&text).with_context(|| format!("process {pid}"))
}

/// Soft and hard limit by number, from the text of /proc/PID/limits; `u64::MAX`: none.
pub(super) fn limit(text: &str, number: u32) -> Result<(u64, u64), ParseError> {
    let name = LIMITS.get(number as usize).copied().unwrap_or("no such limit");
    let error = || ParseError::new("/proc/PID/limits", name.as_bytes());
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(error)?;
    let value = |word: Option<&str>| match word {
        Some("unlimited") => Ok(u64::MAX),
        Some(number) => number.parse().map_err(|_| error()),
        None => Err(error()),
    };
    let mut words = line.split_ascii_whitespace();
    Ok((value(words.next())?, value(words.next())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_by_number_and_a_missing_one_is_an_error() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max core file size        0                    unlimited            bytes     \n\
                    Max open files            1024                 4096                 files     \n\
                    Max nice priority         0                    0                    \n";
        assert_eq!(limit(text, 4), Ok((0, u64::MAX)));
        assert_eq!(limit(text, 7), Ok((1024, 4096)));
        assert_eq!(limit(text, 13), Ok((0, 0)));
        for number in [0, 16] {
            assert!(limit(text, number).is_err());
        }
        assert!(limit("Max open files            many                 4096", 7).is_err());
    }

    #[test]
    fn all_limits_of_this_kernel_have_their_names() {
        let proc = procfs::open().unwrap();
        let text = procfs::read(&proc, "self/limits").unwrap();
        for number in 0..16 {
            assert!(limit(&text, number).is_ok(), "{number}: {text}");
        }
    }
}
