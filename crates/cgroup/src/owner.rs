//! Whose a cgroup is: a mark on its directory, which goes with it.
//!
//! A cgroup below another container's is frozen and killed with that one, and no file of it says that it is one's. The mark
//! is an extended attribute, so that to ask takes one call for each directory on the way and no list of containers.

use crate::error::{Error, Result};
use crate::handle::Cgroup;
use crate::hierarchy::Hierarchy;
use rustix::fs::XattrFlags;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The longest mark: a path.
const LONGEST: usize = 4096;

/// Who writes marks, and whose are believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marks {
    /// Root of the host: `trusted.` takes CAP_SYS_ADMIN in the initial user namespace (xattr(7)), which no payload has.
    Roots,
    /// Anybody else: `user.`, which cgroup2 has since Linux 5.7.
    Users,
}

impl Marks {
    const fn name(self) -> &'static str {
        match self {
            Self::Roots => "trusted.casemate",
            Self::Users => "user.casemate",
        }
    }

    /// Write down whose a cgroup is, in place of what stood there.
    ///
    /// # Errors
    /// [`Error::Io`]: the cgroup belongs to somebody else ([`Error::is_permission`]), is gone, or
    /// the kernel has no such attributes there (EOPNOTSUPP).
    pub fn write(self, cgroup: &Cgroup, owner: &Path) -> Result<()> {
        let text = owner.as_os_str().as_encoded_bytes();
        rustix::fs::fsetxattr(cgroup, self.name(), text, XattrFlags::empty())
            .map_err(|errno| Error::io("setxattr", cgroup.path(), errno))
    }

    /// Take the marks away from the cgroup at a file system path, for who made it and has it back. It may be gone already.
    ///
    /// # Errors
    /// [`Error::Io`]: the caller may not remove a mark, or the kernel has no such attributes there
    /// (EOPNOTSUPP).
    pub fn remove(path: &Path) -> Result<()> {
        for marks in [Self::Roots, Self::Users] {
            match rustix::fs::removexattr(path, marks.name()) {
                Ok(()) | Err(Errno::NODATA | Errno::NOENT) => {}
                // Who may not has not written it either.
                Err(Errno::PERM) if marks == Self::Roots => {}
                Err(errno) => return Err(Error::io("removexattr", path, errno)),
            }
        }
        Ok(())
    }

    /// The cgroups from the root of `hierarchy` down to `path` that are marked, each with whose it is.
    ///
    /// # Errors
    /// [`Error::Io`]: a directory that cannot be asked.
    pub fn on_the_way(self, hierarchy: &Hierarchy, path: &Path) -> Result<Vec<(PathBuf, PathBuf)>> {
        let Ok(below) = path.strip_prefix(hierarchy.mount_point()) else { return Ok(Vec::new()) };
        let (mut at, mut found) = (hierarchy.mount_point().to_owned(), Vec::new());
        for part in below.components() {
            at.push(part);
            match self.read(&at)? {
                Asked::Gone => break,
                Asked::Nobodys => {}
                Asked::Of(owner) => found.push((at.clone(), owner)),
            }
        }
        Ok(found)
    }

    fn read(self, path: &Path) -> Result<Asked> {
        let mut text = [0; LONGEST];
        match rustix::fs::getxattr(path, self.name(), &mut text) {
            Ok(length) => {
                let bytes = text.get(..length).unwrap_or(&text).to_vec();
                use std::os::unix::ffi::OsStringExt as _;
                Ok(Asked::Of(PathBuf::from(std::ffi::OsString::from_vec(bytes))))
            }
            Err(Errno::NOENT) => Ok(Asked::Gone),
            Err(Errno::NODATA) => Ok(Asked::Nobodys),
            Err(errno) => Err(Error::io("getxattr", path, errno)),
        }
    }
}

/// What a directory said.
enum Asked {
    /// It is not there, nor what is below it.
    Gone,
    /// Nobody has marked it.
    Nobodys,
    /// It is this one's.
    Of(PathBuf),
}
