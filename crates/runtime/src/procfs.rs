//! The runtime's own /proc: opened once, checked to be procfs, used by descriptor.

use casemate_sys::{Context as _, Error};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// PROC_ROOT_INO (include/linux/proc_ns.h).
const PROC_ROOT_INO: u64 = 1;

/// Open /proc and make sure that it is one: a file system mounted over it would swallow security labels
/// (CVE-2019-16884, CVE-2025-52881).
///
/// # Errors
/// It cannot be opened; EPERM: it is no procfs, or not the root of one.
pub fn open() -> Result<OwnedFd, Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open("/proc", flags, Mode::empty()).call(|| "open(\"/proc\")")?;
    let magic = rustix::fs::fstatfs(&fd).call(|| "fstatfs(/proc)")?.f_type as u64;
    let inode = rustix::fs::fstat(&fd).call(|| "fstat(/proc)")?.st_ino;
    if magic == casemate_kernel::magic::PROC && inode == PROC_ROOT_INO {
        Ok(fd)
    } else {
        Err(Error::new("/proc is not the root of a procfs", Errno::PERM))
    }
}

/// Read a small file below /proc that holds text; what is none is replaced.
///
/// # Errors
/// As [`read_bytes`].
pub fn read(proc: impl AsFd, path: &str) -> Result<String, Error> {
    let text = read_bytes(proc, path)?;
    Ok(String::from_utf8(text)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
}

/// Read a file below /proc.
///
/// # Errors
/// ENOENT: no such file or process; ESRCH: the process ended between open and read; EACCES or
/// EPERM: it is not the caller's to read.
pub fn read_bytes(proc: impl AsFd, path: &str) -> Result<Vec<u8>, Error> {
    let file = rustix::fs::openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("openat(/proc, \"{path}\")"))?;
    // A page is what the kernel hands out at once. Most files are a few bytes: these take no more of the heap than that.
    let mut page = [0; 4096];
    let mut text = Vec::new();
    loop {
        match rustix::io::read(&file, &mut page) {
            Ok(0) => return Ok(text),
            Ok(count) => text.extend_from_slice(&page[..count]),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).call(|| format!("read(/proc/{path})")),
        }
    }
}

/// What /proc/PID/stat says about a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessStat {
    /// One letter: R, S, D, Z, X, ...
    pub state: char,
    /// Start time in clock ticks since boot: with the pid, an identity that is not used twice.
    pub start_time: u64,
}

/// Read /proc/PID/stat; `None` when there is no such process.
///
/// # Errors
/// It cannot be read, or understood: then nobody knows whether there is one.
pub fn stat(proc: impl AsFd, pid: i32) -> Result<Option<ProcessStat>, Error> {
    let path = format!("{pid}/stat");
    let text = match read(proc, &path) {
        // ESRCH: it ended between open and read.
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH) => return Ok(None),
        other => other?,
    };
    let unknown = || Error::new(format!("read(/proc/{path}): not as in proc(5)"), Errno::BADMSG);
    parse_stat(&text).map(Some).ok_or_else(unknown)
}

/// The text of /proc/PID/stat; `None`: it is not as in proc(5).
#[must_use]
pub fn parse_stat(text: &str) -> Option<ProcessStat> {
    // The command's name, in parentheses, may hold anything: count from behind it.
    let rest = text.get(text.rfind(')')? + 2..)?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.chars().next()?;
    // A number that is none makes the line one that is not understood.
    let start_time = fields.nth(18)?.parse().ok()?;
    Some(ProcessStat { state, start_time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_process_has_a_start_time_and_runs() {
        let proc = open().unwrap();
        let stat = stat(&proc, std::process::id() as i32).unwrap().unwrap();
        // The line is about the main thread, which may be waiting for this one.
        assert!(!matches!(stat.state, 'Z' | 'X'), "{stat:?}");
        assert!(stat.start_time > 0);
    }

    #[test]
    fn a_process_that_cannot_be_looked_at_is_not_one_that_is_gone() {
        assert_eq!(stat(open().unwrap(), i32::MAX).unwrap(), None);
        // In place of procfs: 1 is a directory, which cannot be read as a file; 2 is no line of the kernel's.
        let dir = std::env::temp_dir().join(format!("casemate-stat-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("1/stat")).unwrap();
        std::fs::create_dir_all(dir.join("2")).unwrap();
        std::fs::write(dir.join("2/stat"), "2 (sh) S 1\n").unwrap();
        let proc = OwnedFd::from(std::fs::File::open(&dir).unwrap());
        assert_eq!(stat(&proc, 1).unwrap_err().errno(), Errno::ISDIR);
        assert_eq!(stat(&proc, 2).unwrap_err().errno(), Errno::BADMSG);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
