//! Reading and writing single files of a cgroup directory, by directory descriptor.
//!
//! Each file is opened afresh relative to the directory, never through a symbolic link; cgroupfs has none, so
//! meeting one means that this is not cgroupfs. Parsing of the two text shapes that the kernel uses (flat keyed,
//! nested keyed) lives here too; what keys mean does not.

use crate::error::{Error, Result};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// A directory with the path it was opened by, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dir<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) path: &'a Path,
}

const FILE_FLAGS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW);
const DIRECTORY_FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(FILE_FLAGS);

/// Open a directory by path.
pub(crate) fn open_directory(path: &Path) -> Result<OwnedFd> {
    rustix::fs::open(path, DIRECTORY_FLAGS, Mode::empty())
        .map_err(|errno| Error::io("open", path, errno))
}

impl Dir<'_> {
    /// Write `value` to the file `name` in one write(2), as cgroup files want it.
    pub(crate) fn write(&self, name: &str, value: &str) -> Result<()> {
        let fail = |errno| Error::io(format!("write {value:?} to"), self.path.join(name), errno);
        let file = self.open(name, OFlags::WRONLY).map_err(fail)?;
        rustix::io::retry_on_intr(|| rustix::io::write(&file, value.as_bytes()))
            .map(drop)
            .map_err(fail)
    }

    /// Read the whole file `name`.
    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let fail = |errno| Error::io("read", self.path.join(name), errno);
        let file = self.open(name, OFlags::RDONLY).map_err(fail)?;
        read_all(&file).map_err(fail)
    }

    /// The same; a file that does not exist (its controller is not enabled, the kernel is older) gives `None`.
    pub(crate) fn read_optional(&self, name: &str) -> Result<Option<String>> {
        match self.read(name) {
            Ok(text) => Ok(Some(text)),
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::OPNOTSUPP)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the file `name` exists.
    pub(crate) fn has(&self, name: &str) -> Result<bool> {
        let (exists, flags) = (rustix::fs::Access::EXISTS, rustix::fs::AtFlags::empty());
        match rustix::fs::accessat(self.fd, name, exists, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(Error::io("access", self.path.join(name), errno)),
        }
    }

    /// Open the file `name`, close-on-exec.
    pub(crate) fn open(&self, name: &str, access: OFlags) -> rustix::io::Result<OwnedFd> {
        rustix::io::retry_on_intr(|| {
            rustix::fs::openat(self.fd, name, access | FILE_FLAGS, Mode::empty())
        })
    }

    /// Open the child directory `name`.
    pub(crate) fn open_child(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        rustix::fs::openat(self.fd, name, DIRECTORY_FLAGS, Mode::empty())
    }

    /// Names of the child cgroups.
    pub(crate) fn children(&self) -> Result<Vec<String>> {
        let fail = |errno| Error::io("list", self.path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            if entry.file_type() == rustix::fs::FileType::Directory && !is_dots(name.to_bytes()) {
                names.push(name.to_string_lossy().into_owned());
            }
        }
        Ok(names)
    }

    /// The middle parts of the names of files that begin with `prefix` and end with `suffix`.
    pub(crate) fn names_between(&self, prefix: &str, suffix: &str) -> Result<Vec<String>> {
        let fail = |errno| Error::io("list", self.path, errno);
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(self.fd).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let middle = name.strip_prefix(prefix).and_then(|rest| rest.strip_suffix(suffix));
            names.extend(middle.map(str::to_owned));
        }
        Ok(names)
    }
}

fn is_dots(name: &[u8]) -> bool {
    name == b"." || name == b".."
}

/// Read from the start of `file` to its end; cgroup files are small.
pub(crate) fn read_all(file: impl AsFd) -> rustix::io::Result<String> {
    let mut text = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        let offset = text.len() as u64;
        match rustix::io::pread(&file, &mut buffer, offset) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// The number after `key` in a flat keyed file (`key value` lines); `None` without such a line, or without a number in it.
pub(crate) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == key).then(|| value.trim().parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::keyed;

    #[test]
    fn keyed_values_are_found_by_whole_key() {
        let text = "oom 3\noom_kill 2\noom_group_kill 0\n";
        assert_eq!(keyed(text, "oom"), Some(3));
        assert_eq!(keyed(text, "oom_kill"), Some(2));
        assert_eq!(keyed(text, "kill"), None);
    }
}
