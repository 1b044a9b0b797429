//! Gives every file of a directory a label: what `chcon -R` does, without leaving the directory or its file system, and without
//! following a link that somebody puts there meanwhile.

use super::label::XATTR;
use anyhow::{bail, Context as _, Result};
use casemate_sys::{errno_text, Context as _};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Dir, FileType, Mode, OFlags, XattrFlags};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Deeper than any image, and shallower than the stack.
const DEEPEST: usize = 256;

const OPEN: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Label `root` and all that is in it.
///
/// # Errors
/// The first file that does not take the label.
pub(crate) fn relabel(root: &Path, label: &str) -> Result<()> {
    let about = || format!("selinux.assign: relabel {}", root.display());
    let fd = rustix::fs::open(root, OPEN, Mode::empty()).call(|| "open()").with_context(about)?;
    let device = rustix::fs::fstat(&fd).call(|| "fstat()").with_context(about)?.st_dev;
    let walk = Walk { label, device };
    walk.set(&fd, OsStr::new(".")).with_context(about)?;
    walk.directory(&fd, 0).with_context(about)
}

struct Walk<'a> {
    label: &'a str,
    device: u64,
}

impl Walk<'_> {
    /// Everything in a directory that is open.
    fn directory(&self, dir: &OwnedFd, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            bail!("more than {DEEPEST} directories in each other");
        }
        for entry in Dir::read_from(dir).call(|| "opendir()")? {
            let entry = entry.call(|| "readdir()")?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let kind = entry.file_type();
            if !matches!(kind, FileType::Directory | FileType::Unknown) {
                self.set(dir, name)?;
                continue;
            }
            match rustix::fs::openat(dir, name, OPEN, Mode::empty()) {
                Ok(below) => self.below(dir, name, &below, depth)?,
                Err(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => self.set(dir, name)?,
                Err(e) => return Err(e).call(|| format!("openat({})", name.to_string_lossy()))?,
            }
        }
        Ok(())
    }

    fn below(&self, dir: &OwnedFd, name: &OsStr, below: &OwnedFd, depth: usize) -> Result<()> {
        let st = rustix::fs::fstat(below).call(|| "fstat()")?;
        if st.st_dev != self.device {
            return Ok(());
        }
        self.set(dir, name)?;
        self.directory(below, depth + 1).with_context(|| name.to_string_lossy().into_owned())
    }

    /// The last part of the path is not followed, the directory is the one that is open.
    fn set(&self, dir: &OwnedFd, name: &OsStr) -> Result<()> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", dir.as_fd().as_raw_fd())).join(name);
        let set = rustix::fs::lsetxattr(&path, XATTR, self.label.as_bytes(), XattrFlags::empty());
        match set {
            Ok(()) => Ok(()),
            Err(e) => bail!("{}: {XATTR}: {}", name.to_string_lossy(), errno_text(e)),
        }
    }
}
