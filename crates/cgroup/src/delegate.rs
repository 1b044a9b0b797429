//! Handing a cgroup to the container that runs in it.
//!
//! For a writable cgroup mount in a private cgroup namespace: the directory and just those files that the kernel
//! calls safe to delegate change owner (cgroups(7), "Cgroup delegation"). The limits' own files do not, or the
//! container could lift its limits.

use crate::error::{Error, Result};
use crate::handle::Cgroup;
use crate::hierarchy::io_error;
use rustix::fs::{AtFlags, Uid};
use rustix::io::Errno;

const DELEGATE_LIST: &str = "/sys/kernel/cgroup/delegate";
/// What every kernel with cgroup v2 delegates, for one that has no list (before 4.15).
const DEFAULT_FILES: &str = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";

impl Cgroup {
    /// Give the directory and its delegatable files to the host user `uid`; the group stays.
    ///
    /// # Errors
    /// A `chown` is refused, or the kernel's list of files to delegate cannot be read.
    pub fn delegate(&self, uid: u32) -> Result<()> {
        let owner = Some(Uid::from_raw(uid));
        let dir = self.dir();
        rustix::fs::fchown(self, owner, None)
            .map_err(|errno| Error::io(format!("chown to {uid}"), self.path(), errno))?;
        let list = match std::fs::read_to_string(DELEGATE_LIST) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => DEFAULT_FILES.to_owned(),
            other => other.map_err(|error| io_error("read", DELEGATE_LIST, &error))?,
        };
        // A name with a slash would leave the directory; the kernel has none.
        for file in list.lines().filter(|file| !file.is_empty() && !file.contains('/')) {
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            match rustix::fs::chownat(dir.fd, file, owner, None, flags) {
                // The list names files of controllers that are not enabled here.
                Ok(()) | Err(Errno::NOENT) => {}
                Err(errno) => {
                    let path = self.path().join(file);
                    return Err(Error::io(format!("chown to {uid}"), path, errno));
                }
            }
        }
        Ok(())
    }
}
