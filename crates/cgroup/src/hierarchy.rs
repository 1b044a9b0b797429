//! Finding the cgroup2 file system of this host and the place of a process in it.
//!
//! Pure version 2 hosts have it at /sys/fs/cgroup, hybrid ones (version 1 controllers beside it) elsewhere.
//! A host with version 1 only is a typed refusal. Nothing here changes anything.

use crate::error::{Error, Result};
use casemate_kernel::mountinfo;
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// CGROUP2_SUPER_MAGIC of linux/magic.h.
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const MOUNTINFO: &str = "/proc/self/mountinfo";

/// The cgroup2 file system of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    mount: PathBuf,
}

impl Hierarchy {
    /// Find the cgroup2 mount: /sys/fs/cgroup, /sys/fs/cgroup/unified, else what /proc/self/mountinfo names.
    ///
    /// # Errors
    /// [`Error::CgroupV1Only`], [`Error::NotMounted`]; /proc/self/mountinfo cannot be read or
    /// understood.
    pub fn discover() -> Result<Self> {
        // Two statfs(2) answer for nearly every host; mountinfo can have thousands of lines on a container host.
        for usual in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
            if is_cgroup2(Path::new(usual)) {
                return Ok(Self { mount: PathBuf::from(usual) });
            }
        }
        let table = std::fs::read(MOUNTINFO).map_err(|e| io_error("read", MOUNTINFO, &e))?;
        Self::from_mountinfo(&table)
    }

    fn from_mountinfo(table: &[u8]) -> Result<Self> {
        let unreadable = |_| Error::io("understand", MOUNTINFO, Errno::BADMSG);
        let mut v1 = false;
        for mount in mountinfo::parse(table).map_err(unreadable)? {
            match mount.fstype {
                "cgroup2" => return Ok(Self { mount: path(mount.point) }),
                "cgroup" => v1 = true,
                _ => {}
            }
        }
        Err(if v1 { Error::CgroupV1Only } else { Error::NotMounted })
    }

    /// Use a cgroup2 mount at a place that the caller knows.
    ///
    /// # Errors
    /// ENODEV: nothing is there, or something else than cgroup2.
    pub fn at(mount: &Path) -> Result<Self> {
        if is_cgroup2(mount) {
            Ok(Self { mount: mount.to_owned() })
        } else {
            Err(Error::io("find a cgroup2 file system at", mount, Errno::NODEV))
        }
    }

    /// Where it is mounted.
    pub fn mount_point(&self) -> &Path {
        &self.mount
    }

    /// Whether version 1 hierarchies stand beside it, so that controllers may be missing here.
    pub fn is_hybrid(&self) -> bool {
        self.mount != Path::new("/sys/fs/cgroup")
    }

    /// The controllers that exist in this hierarchy at all.
    ///
    /// # Errors
    /// cgroup.controllers of the root cannot be read.
    pub fn controllers(&self) -> Result<Vec<String>> {
        let file = self.mount.join("cgroup.controllers");
        let text = std::fs::read_to_string(&file).map_err(|e| io_error("read", &file, &e))?;
        Ok(text.split_whitespace().map(str::to_owned).collect())
    }

    /// The caller's own cgroup, absolute from the root of the hierarchy (proc(5), the `0::` line).
    ///
    /// # Errors
    /// /proc/self/cgroup cannot be read; [`Error::CgroupV1Only`] when it has no `0::` line; ENOENT
    /// when the cgroup was removed.
    pub fn own_path(&self) -> Result<PathBuf> {
        read_v2_path(Path::new("/proc/self/cgroup"))
    }

    /// The cgroup of another process, absolute from the root of the hierarchy.
    ///
    /// # Errors
    /// There is no such process, or its file cannot be read; otherwise as [`Hierarchy::own_path`].
    pub fn path_of(&self, pid: i32) -> Result<PathBuf> {
        read_v2_path(Path::new(&format!("/proc/{pid}/cgroup")))
    }

    /// The file system path of a path in the hierarchy.
    ///
    /// # Errors
    /// [`Error::BadPath`]: `inner` climbs (`..`), which a cgroup namespace shows for cgroups
    /// outside it.
    pub fn locate(&self, inner: &Path) -> Result<PathBuf> {
        if inner.components().any(|c| c == std::path::Component::ParentDir) {
            return Err(Error::BadPath {
                path: inner.to_string_lossy().into_owned(),
                why: "lies outside the caller's cgroup namespace",
            });
        }
        Ok(self.mount.join(inner.strip_prefix("/").unwrap_or(inner)))
    }
}

pub(crate) fn io_error(operation: &str, path: impl AsRef<Path>, error: &std::io::Error) -> Error {
    let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
    Error::io(operation, path, errno)
}

/// What cannot be looked at is none that could be used: then mountinfo decides, or who named the place is told.
fn is_cgroup2(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|stat| stat.f_type as u64 == CGROUP2_MAGIC)
}

fn read_v2_path(file: &Path) -> Result<PathBuf> {
    let text = std::fs::read_to_string(file).map_err(|e| io_error("read", file, &e))?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"));
    match path {
        Some(path) if path.ends_with(" (deleted)") => Err(Error::io("find", path, Errno::NOENT)),
        Some(path) => Ok(PathBuf::from(path)),
        None => Err(Error::CgroupV1Only),
    }
}

fn path(escaped: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(mountinfo::unescape(escaped).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &str =
        "31 23 0:27 / /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu\n";

    #[test]
    fn cgroup2_is_found_wherever_mountinfo_says() {
        let table =
            format!("{V1}32 23 0:28 / /my\\040mount rw shared:10 master:2 - cgroup2 c rw\n");
        let found = Hierarchy::from_mountinfo(table.as_bytes()).unwrap();
        assert_eq!(found.mount_point(), Path::new("/my mount"));
        assert!(found.is_hybrid());
    }

    #[test]
    fn a_v1_only_host_is_refused_as_such() {
        assert!(matches!(Hierarchy::from_mountinfo(V1.as_bytes()), Err(Error::CgroupV1Only)));
        assert!(matches!(Hierarchy::from_mountinfo(b""), Err(Error::NotMounted)));
        // What is not understood is not left out.
        assert!(matches!(Hierarchy::from_mountinfo(b"31 23"), Err(Error::Io { .. })));
    }

    #[test]
    fn paths_outside_the_cgroup_namespace_cannot_be_located() {
        let hierarchy = Hierarchy { mount: PathBuf::from("/sys/fs/cgroup") };
        assert!(hierarchy.locate(Path::new("/../x")).is_err());
        let inner = hierarchy.locate(Path::new("/a/b")).unwrap();
        assert_eq!(inner, Path::new("/sys/fs/cgroup/a/b"));
    }
}
