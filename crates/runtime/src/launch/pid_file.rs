//! `--pid-file`: the file by which an engine learns the pid.

use crate::files::io_error_text;
use crate::hinted::hinted;
use anyhow::{anyhow, Context as _, Result};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;

/// Whether the file can be written later: its directory is there, and it is absent or a regular file. Anything else, a link or
/// a device, is not the runtime's to replace.
///
/// # Errors
/// What is in the way.
pub(crate) fn check(path: Option<&Path>) -> Result<()> {
    path.map_or(Ok(()), |path| Place::open(path).map(drop))
}

/// Decimal, no newline, renamed over what was there. The directory may be one that others write to: the new file's name cannot
/// be guessed, and is not followed when it is a link.
///
/// # Errors
/// As for [`check`]; the file cannot be made.
pub(crate) fn write(path: &Path, pid: i32) -> Result<()> {
    let about = || format!("--pid-file {}", path.display());
    let place = Place::open(path)?;
    let temporary = temporary().with_context(about)?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&place.dir, &temporary, flags, Mode::from_raw_mode(0o666))
        .call(|| format!("openat(\"{temporary}\", O_CREAT|O_EXCL)"))
        .with_context(about)?;
    let written =
        File::from(file).write_all(pid.to_string().as_bytes()).map_err(|e| io_error_text(&e));
    let placed = written.and_then(|()| {
        rustix::fs::renameat(&place.dir, &temporary, &place.dir, place.name)
            .call(|| format!("renameat(\"{temporary}\")"))
            .map_err(Into::into)
    });
    if placed.is_err() {
        // What went wrong is told already.
        rustix::fs::unlinkat(&place.dir, &temporary, AtFlags::empty()).ok();
    }
    placed.with_context(about)
}

fn temporary() -> Result<String> {
    let mut random = [0u8; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())
        .call(|| "getrandom()")?;
    Ok(format!(".pid.{:016x}", u64::from_ne_bytes(random)))
}

/// Where a pid file goes.
struct Place<'p> {
    dir: OwnedFd,
    name: &'p OsStr,
}

impl<'p> Place<'p> {
    fn open(path: &'p Path) -> Result<Self> {
        let about = || format!("--pid-file {}", path.display());
        let name = path.file_name().ok_or_else(|| anyhow!("names no file")).with_context(about)?;
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let dir = rustix::fs::open(parent.unwrap_or(Path::new(".")), flags, Mode::empty())
            .call(|| "open(its directory)")
            .with_context(about)?;
        match rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {}
            Ok(st) if FileType::from_raw_mode(st.st_mode) == FileType::RegularFile => {}
            Ok(_) => {
                let message = format!("{}: is there, and is not a regular file", about());
                return Err(hinted(message, "remove it"));
            }
            Err(e) => return Err(e).call(|| "fstatat()").with_context(about),
        }
        Ok(Self { dir, name })
    }
}
