//! Looking at all processes: what any of them uses is not free, whatever the files say.

use super::entries::READ_DIR;
use anyhow::Result;
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode};
use rustix::io::Errno;

/// The processes that there are. One that ends meanwhile is for the caller to notice.
pub(super) fn processes(proc: &OwnedFd) -> Result<Vec<i32>> {
    let dir = rustix::fs::openat(proc, ".", READ_DIR, Mode::empty()).call(|| "openat(/proc)")?;
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir).call(|| "opendir(/proc)")? {
        let entry = entry.call(|| "readdir(/proc)")?;
        // Names that are no numbers are no processes.
        found.extend(entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(found)
}

/// A file of a process; `None`: the process is gone.
pub(super) fn of_process(proc: &OwnedFd, pid: i32, file: &str) -> Result<Option<String>> {
    match crate::procfs::read(proc, &format!("{pid}/{file}")) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH) => Ok(None),
        // The kernel says so of the maps of a process that ends while they are opened (proc_id_map_open()).
        Err(error) if error.errno() == Errno::INVAL && is_gone(proc, pid) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

pub(super) fn is_gone(proc: &OwnedFd, pid: i32) -> bool {
    let found = rustix::fs::statat(proc, pid.to_string(), AtFlags::SYMLINK_NOFOLLOW);
    matches!(found, Err(Errno::NOENT | Errno::SRCH))
}
