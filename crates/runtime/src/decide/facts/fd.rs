//! What an open file is called, and on which mount it lies.

use anyhow::{anyhow, Result};
use casemate_sys::errno_text;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::Errno;
use std::path::Path;

pub(super) fn mount_id(fd: &OwnedFd) -> Result<u64, String> {
    let st = rustix::fs::statx(fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID);
    Ok(st.map_err(errno_text)?.stx_mnt_id)
}

/// The path that the kernel knows an open file by.
pub(super) fn name(fd: &OwnedFd, proc: &OwnedFd) -> Result<String, String> {
    let link = format!("self/fd/{}", fd.as_raw_fd());
    let path = rustix::fs::readlinkat(proc, link, Vec::new()).map_err(errno_text)?;
    Ok(path.to_string_lossy().into_owned())
}

/// The path without links; as it is written where nothing is there, so that nothing can be bound from there either.
pub(crate) fn real(path: &Path, proc: &OwnedFd) -> Result<String> {
    match casemate_sys::mount::open_path(path, false) {
        Ok(fd) => name(&fd, proc).map_err(|why| anyhow!("{}: {why}", path.display())),
        Err(error) if error.errno() == Errno::NOENT => Ok(path.to_string_lossy().into_owned()),
        Err(error) => Err(error.into()),
    }
}
