//! `tmpcopyup`: a new tmpfs starts with what the image has in its place.

use casemate_sys::{Context, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use std::ffi::CStr;

/// Deepest directory that is copied: a hostile image must not run us out of stack.
const MAX_DEPTH: usize = 64;

/// What is copied without a second thought: a handful of directories and small files, as images have them in /run. Copying
/// that much costs less than an overlay.
const SMALL_ENTRIES: usize = 24;
const SMALL_BYTES: u64 = 64 << 10;

/// Whether there is so little below directory `dir` that a copy is the cheapest.
pub(super) fn is_small(dir: &OwnedFd) -> Result<bool> {
    let mut left = (SMALL_ENTRIES, SMALL_BYTES);
    take(dir, &mut left)
}

/// False as soon as there is more below `dir` than what is `left`: entries, bytes.
fn take(dir: &OwnedFd, left: &mut (usize, u64)) -> Result<bool> {
    for entry in Dir::read_from(dir).call(|| "opendir(tmpcopyup)")? {
        let entry = entry.call(|| "readdir(tmpcopyup)")?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let st = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).call(|| "fstatat()")?;
        let kind = FileType::from_raw_mode(st.st_mode);
        let bytes = if kind == FileType::RegularFile { st.st_size as u64 } else { 0 };
        let (Some(entries), Some(rest)) = (left.0.checked_sub(1), left.1.checked_sub(bytes)) else {
            return Ok(false);
        };
        *left = (entries, rest);
        if kind == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let below =
                rustix::fs::openat(dir, name, flags, Mode::empty()).call(|| "openat(directory)")?;
            if !take(&below, left)? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Copy the content of directory `from` into directory `to` (a detached mount): directories, files, links, with
/// owners, modes, times. Device nodes and sockets are left out.
pub(super) fn copy(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    copy_dir(from, to, 0)
}

fn copy_dir(from: &OwnedFd, to: &OwnedFd, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        return Err(casemate_sys::Error::new(
            "tmpcopyup: directories nested too deeply",
            rustix::io::Errno::LOOP,
        ));
    }
    let dir = Dir::read_from(from).call(|| "opendir(tmpcopyup)")?;
    for entry in dir {
        let entry = entry.call(|| "readdir(tmpcopyup)")?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        copy_entry(from, to, name, depth).map_err(|e| {
            casemate_sys::Error::new(
                format!("tmpcopyup {}: {e}", name.to_string_lossy()),
                e.errno(),
            )
        })?;
    }
    Ok(())
}

fn copy_entry(from: &OwnedFd, to: &OwnedFd, name: &CStr, depth: usize) -> Result<()> {
    let st = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW).call(|| "fstatat()")?;
    let mode = Mode::from_raw_mode(st.st_mode & 0o7777);
    let nofollow = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(st.st_mode) {
        FileType::Directory => {
            rustix::fs::mkdirat(to, name, mode).call(|| "mkdirat()")?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | nofollow;
            let source = rustix::fs::openat(from, name, flags, Mode::empty())
                .call(|| "openat(directory)")?;
            let target =
                rustix::fs::openat(to, name, flags, Mode::empty()).call(|| "openat(directory)")?;
            copy_dir(&source, &target, depth + 1)?;
        }
        FileType::RegularFile => {
            let source = rustix::fs::openat(from, name, OFlags::RDONLY | nofollow, Mode::empty())
                .call(|| "openat(file)")?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | nofollow;
            let target = rustix::fs::openat(to, name, flags, mode).call(|| "openat(new file)")?;
            while rustix::fs::sendfile(&target, &source, None, 1 << 20).call(|| "sendfile()")? > 0 {
            }
        }
        FileType::Symlink => {
            let link = rustix::fs::readlinkat(from, name, Vec::new()).call(|| "readlinkat()")?;
            rustix::fs::symlinkat(&link, to, name).call(|| "symlinkat()")?;
        }
        FileType::Fifo => {
            rustix::fs::mknodat(to, name, FileType::Fifo, mode, 0).call(|| "mknodat(fifo)")?;
        }
        _ => return Ok(()),
    }
    keep_metadata(to, name, &st)
}

fn keep_metadata(to: &OwnedFd, name: &CStr, st: &Stat) -> Result<()> {
    let nofollow = AtFlags::SYMLINK_NOFOLLOW;
    let (uid, gid) = (Uid::from_raw(st.st_uid), Gid::from_raw(st.st_gid));
    rustix::fs::chownat(to, name, Some(uid), Some(gid), nofollow).call(|| "fchownat()")?;
    if FileType::from_raw_mode(st.st_mode) != FileType::Symlink {
        rustix::fs::chmodat(to, name, Mode::from_raw_mode(st.st_mode & 0o7777), AtFlags::empty())
            .call(|| "fchmodat()")?;
    }
    let time = |sec: i64, nsec: u64| Timespec { tv_sec: sec, tv_nsec: nsec as _ };
    let times = Timestamps {
        last_access: time(st.st_atime, st.st_atime_nsec),
        last_modification: time(st.st_mtime, st.st_mtime_nsec),
    };
    rustix::fs::utimensat(to.as_fd(), name, &times, nofollow).call(|| "utimensat()")
}
