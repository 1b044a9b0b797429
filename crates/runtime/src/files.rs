//! Reading files that others name, up to a size, and the words for what fails.

use anyhow::{bail, Context as _, Result};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// Largest configuration that is read: the biggest real ones are below 1 MiB.
const MAX_CONFIG: u64 = 16 << 20;

/// Read a file that was put there by whoever asks for a container or a program in it, up to the
/// cap. What is no regular file is refused without waiting for a writer: open(2) of a FIFO would.
///
/// # Errors
/// It is missing, unreadable, no regular file, or larger than the cap.
pub fn read_regular(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    // Looked at first: to open a device can do something. What cannot be looked at cannot be opened either, and is told then.
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        bail!("{shown}: is not a regular file");
    }
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|e| io_error_text(&e)).with_context(|| format!("open {shown}"))?;
    let kind =
        file.metadata().map_err(|e| io_error_text(&e)).with_context(|| format!("stat {shown}"))?;
    if !kind.is_file() {
        bail!("{shown}: is not a regular file");
    }
    read_file(file, path)
}

/// As [`read_regular`], and a pipe that is one of our own descriptors (`--process <(jq ...)`): the caller has opened it, so
/// whoever writes to it is the caller's business.
///
/// # Errors
/// As [`read_regular`], but for the kind of one of our own descriptors.
pub fn read_given(path: &Path) -> Result<Vec<u8>> {
    let own = ["/dev/fd", "/proc/self/fd"].iter().any(|dir| path.parent() == Some(Path::new(dir)));
    if !own {
        return read_regular(path);
    }
    let shown = path.display();
    // Without waiting for a writer: one that has gone leaves what it wrote.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let opened = File::options().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|e| io_error_text(&e)).with_context(|| format!("open {shown}"))?;
    rustix::fs::fcntl_setfl(&file, rustix::fs::OFlags::empty())
        .map_err(|e| anyhow::anyhow!(casemate_sys::errno_text(e)))
        .with_context(|| format!("fcntl {shown}"))?;
    read_file(file, path)
}

/// Read a file that an administrator names, who may wait for a pipe, up to the cap.
///
/// # Errors
/// It is missing, unreadable, or larger than the cap.
pub fn read_capped(path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let file =
        File::open(path).map_err(|e| io_error_text(&e)).with_context(|| format!("open {shown}"))?;
    read_file(file, path)
}

fn read_file(file: File, path: &Path) -> Result<Vec<u8>> {
    let shown = path.display();
    let size = file
        .metadata()
        .map_err(|e| io_error_text(&e))
        .with_context(|| format!("stat {shown}"))?
        .len();
    let mut bytes = Vec::with_capacity(size.min(MAX_CONFIG) as usize + 1);
    let read = file.take(MAX_CONFIG + 1).read_to_end(&mut bytes).map_err(|e| io_error_text(&e));
    read.with_context(|| format!("read {shown}"))?;
    if bytes.len() as u64 > MAX_CONFIG {
        bail!("{shown}: larger than {} MiB", MAX_CONFIG >> 20);
    }
    Ok(bytes)
}

/// An I/O error in the words that engines match: lower case, no number.
pub fn io_error_text(error: &std::io::Error) -> anyhow::Error {
    match error.raw_os_error() {
        Some(raw) => {
            anyhow::anyhow!(casemate_sys::errno_text(rustix::io::Errno::from_raw_os_error(raw)))
        }
        None => anyhow::anyhow!(error.to_string()),
    }
}
