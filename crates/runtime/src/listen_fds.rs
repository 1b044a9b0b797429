//! Socket activation (sd_listen_fds(3)): descriptors that the service manager passed to us and means for the payload.

use casemate_policy::HardenedSpec;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType};
use rustix::io::Errno;

/// From here on descriptors are handed over.
const FIRST: u32 = 3;

/// O_PATH in fdinfo (proc_pid_fdinfo(5)), on all architectures but alpha, parisc and sparc.
const PATH_ONLY: u32 = 0o10_000_000;

/// Whether the `count` descriptors that the payload is to have are what the container's profile lets through. A number that is
/// not open is for the launch to complain of; one of which the kind cannot be told counts as a directory.
///
/// # Errors
/// A refusal.
pub fn check(proc: &OwnedFd, count: u32, spec: &HardenedSpec) -> anyhow::Result<()> {
    for number in FIRST..FIRST.saturating_add(count) {
        let file = format!("self/fd/{number}");
        let is_directory = match rustix::fs::statat(proc, &file, AtFlags::empty()) {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
            Err(Errno::NOENT) => continue,
            // A FUSE file system that is not the caller's, NFS that is gone.
            Err(_) => true,
        };
        if is_directory || is_path_only(proc, number) {
            let path = rustix::fs::readlinkat(proc, &file, Vec::new());
            // For the message, which names the number as well.
            spec.check_directory(number, &path.unwrap_or_default().to_string_lossy())?;
        }
    }
    Ok(())
}

/// What cannot be told counts as one: the rule must not be passed by an error.
fn is_path_only(proc: &OwnedFd, number: u32) -> bool {
    let text = crate::procfs::read(proc, &format!("self/fdinfo/{number}")).unwrap_or_default();
    let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|octal| u32::from_str_radix(octal.trim(), 8).ok());
    flags.is_none_or(|flags| flags & PATH_ONLY != 0)
}

/// How many descriptors from 3 on were passed to this very process.
pub fn count() -> u32 {
    // Without numbers in them the variables name no descriptors (sd_listen_fds(3)).
    let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
    // Without the pid check a forgotten variable would widen what the payload inherits.
    match (number("LISTEN_PID"), number("LISTEN_FDS")) {
        (Some(pid), Some(count)) if pid == std::process::id() => count,
        _ => 0,
    }
}

/// What the payload is told; it is process 1 of its namespace.
pub fn environment() -> Vec<String> {
    match count() {
        0 => Vec::new(),
        n => vec![format!("LISTEN_FDS={n}"), "LISTEN_PID=1".to_owned()],
    }
}
