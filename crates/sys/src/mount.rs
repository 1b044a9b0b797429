//! The mount API by file descriptor: detached mounts are configured first and attached last.
//!
//! There is no wrapper of mount(2) here that takes a target path as a string: what needs that call mounts on the working directory.

use crate::error::{check, Context, Error, Result};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::path::Path;

/// MOUNT_ATTR_* bits (mount_setattr(2)).
pub mod attr {
    /// Mount read-only.
    pub const RDONLY: u64 = 0x1;
    /// Ignore set-user-ID bits and file capabilities.
    pub const NOSUID: u64 = 0x2;
    /// No access to device nodes.
    pub const NODEV: u64 = 0x4;
    /// No program execution.
    pub const NOEXEC: u64 = 0x8;
    /// Mask of the access-time mode.
    pub const ATIME_MASK: u64 = 0x70;
    /// Never update access times.
    pub const NOATIME: u64 = 0x10;
    /// Always update access times.
    pub const STRICTATIME: u64 = 0x20;
    /// Never update access times of directories.
    pub const NODIRATIME: u64 = 0x80;
    /// Map ids through a user namespace.
    pub const IDMAP: u64 = 0x0010_0000;
    /// Do not follow symbolic links.
    pub const NOSYMFOLLOW: u64 = 0x0020_0000;
}

/// Propagation types for [`set_attr`] (mount(2)).
pub mod propagation {
    /// Events stay here.
    pub const PRIVATE: u64 = libc::MS_PRIVATE;
    /// Events come in, none go out.
    pub const SLAVE: u64 = libc::MS_SLAVE;
    /// Events go both ways.
    pub const SHARED: u64 = libc::MS_SHARED;
    /// Private and not bindable.
    pub const UNBINDABLE: u64 = libc::MS_UNBINDABLE;
}

const OPEN_TREE_CLONE: libc::c_uint = 1;
const OPEN_TREE_CLOEXEC: libc::c_uint = libc::O_CLOEXEC as libc::c_uint;
const AT_RECURSIVE: libc::c_uint = 0x8000;
const AT_EMPTY_PATH: libc::c_uint = 0x1000;

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct MountAttr {
    attr_set: u64,
    attr_clr: u64,
    propagation: u64,
    userns_fd: u64,
}

/// A change of mount attributes.
#[derive(Clone, Copy, Debug, Default)]
pub struct AttrChange<'fd> {
    /// Bits of [`attr`] to set.
    pub set: u64,
    /// Bits of [`attr`] to clear.
    pub clear: u64,
    /// One of [`propagation`], or 0 to leave it.
    pub propagation: u64,
    /// The user namespace for [`attr::IDMAP`].
    pub userns: Option<BorrowedFd<'fd>>,
}

fn cstring(path: &Path) -> CString {
    use std::os::unix::ffi::OsStrExt;
    // A NUL cannot get here: plans are checked; an embedded one would only shorten the path.
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// Cut short at a NUL, an option would be another one.
fn text(text: &str) -> Result<CString> {
    let call = || Error::new(format!("fsconfig({text:?}): contains a NUL byte"), Errno::INVAL);
    CString::new(text).map_err(|_| call())
}

fn owned(ret: libc::c_long) -> OwnedFd {
    // SAFETY: the kernel just returned this descriptor to us and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(ret as libc::c_int) }
}

fn raw_open_tree(
    dir: libc::c_int,
    path: &CStr,
    flags: libc::c_uint,
) -> rustix::io::Result<OwnedFd> {
    // SAFETY: path is a NUL-terminated string that outlives the call; the kernel only reads it.
    check(unsafe { libc::syscall(libc::SYS_open_tree, dir, path.as_ptr(), flags) }).map(owned)
}

/// A detached copy of the mount (and, if `recursive`, of what is mounted below) that `fd` stands on.
/// open_tree(2) with OPEN_TREE_CLONE; needs CAP_SYS_ADMIN over the mount namespace.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace of the mount namespace; EINVAL: a mount of
/// another mount namespace, an unbindable one, or, if not `recursive`, one that would show what
/// locked mounts below it hide.
pub fn clone_tree(fd: impl AsFd, recursive: bool) -> Result<OwnedFd> {
    let mut flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    raw_open_tree(fd.as_fd().as_raw_fd(), c"", flags)
        .call(|| format!("open_tree({}, OPEN_TREE_CLONE)", crate::fd::label(&fd)))
}

/// Change attributes of the mount at `fd` (a mount's root), detached or attached. mount_setattr(2), Linux 5.12.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN, or for clearing what is locked; EBUSY: read-only, with files open
/// for writing; EINVAL: no root of a mount, a mount of another mount namespace, or one that cannot
/// be mapped; ENOSYS before Linux 5.12.
pub fn set_attr(fd: impl AsFd, change: AttrChange<'_>, recursive: bool) -> Result<()> {
    let arg = MountAttr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: change.userns.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let mut flags = AT_EMPTY_PATH;
    if recursive {
        flags |= AT_RECURSIVE;
    }
    // SAFETY: arg is a properly sized struct mount_attr that the kernel only reads.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const arg,
            std::mem::size_of::<MountAttr>(),
        )
    })
    .map(drop)
    .call(|| {
        format!(
            "mount_setattr({}, set {:#x}, clear {:#x}, propagation {:#x}{})",
            crate::fd::label(&fd),
            change.set,
            change.clear,
            change.propagation,
            if recursive { ", recursive" } else { "" }
        )
    })
}

/// Attach the detached mount `from` on top of what `to` refers to. move_mount(2) by descriptors only.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN in the user namespace of the mount namespace; EINVAL: only one of
/// the two is a directory, or `to` is of another mount namespace; ENOENT: `to` was removed; ENOSPC:
/// the limit of mounts (fs.mount-max).
pub fn attach(from: impl AsFd, to: impl AsFd) -> Result<()> {
    // MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    const FLAGS: libc::c_uint = 0x4 | 0x40;
    // SAFETY: both paths are static empty strings; descriptors are borrowed for the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            from.as_fd().as_raw_fd(),
            c"".as_ptr(),
            to.as_fd().as_raw_fd(),
            c"".as_ptr(),
            FLAGS,
        )
    })
    .map(drop)
    .call(|| format!("move_mount({}, {})", crate::fd::label(&from), crate::fd::label(&to)))
}

/// A file system being configured: fsopen(2).
#[derive(Debug)]
pub struct FsContext {
    fd: OwnedFd,
    name: String,
}

impl FsContext {
    /// Start configuring a file system of this type.
    ///
    /// # Errors
    /// ENODEV: no such type; EPERM without CAP_SYS_ADMIN in the user namespace of the mount
    /// namespace; EINVAL: a NUL in the name.
    pub fn open(fstype: &str) -> Result<Self> {
        let name = text(fstype)?;
        // FSOPEN_CLOEXEC = 1
        // SAFETY: name is NUL-terminated and only read.
        let fd = check(unsafe { libc::syscall(libc::SYS_fsopen, name.as_ptr(), 1) })
            .map(owned)
            .call(|| format!("fsopen(\"{fstype}\")"))?;
        Ok(Self { fd, name: fstype.to_owned() })
    }

    fn config(
        &self,
        cmd: u32,
        key: Option<&CStr>,
        value: Option<&CStr>,
        aux: i32,
    ) -> rustix::io::Result<()> {
        let key_ptr = key.map_or(std::ptr::null(), CStr::as_ptr);
        let value_ptr = value.map_or(std::ptr::null(), CStr::as_ptr);
        // SAFETY: key and value are NUL-terminated or null, and only read.
        check(unsafe {
            libc::syscall(libc::SYS_fsconfig, self.fd.as_raw_fd(), cmd, key_ptr, value_ptr, aux)
        })
        .map(drop)
    }

    /// Set `key` to `value` (FSCONFIG_SET_STRING).
    ///
    /// # Errors
    /// EINVAL: the file system does not know `key` or does not take `value`, a NUL, or more than
    /// 255 bytes. Its own words on it are part of the error.
    pub fn set(&self, key: &str, value: &str) -> Result<()> {
        let (k, v) = (text(key)?, text(value)?);
        self.config(1, Some(&k), Some(&v), 0).call(|| {
            self.explain(format!("fsconfig({}, SET_STRING, \"{key}\", \"{value}\")", self.name))
        })
    }

    /// Set the flag `key` (FSCONFIG_SET_FLAG).
    ///
    /// # Errors
    /// EINVAL: the file system does not know `key` as a flag, or a NUL.
    pub fn set_flag(&self, key: &str) -> Result<()> {
        let k = text(key)?;
        self.config(0, Some(&k), None, 0)
            .call(|| self.explain(format!("fsconfig({}, SET_FLAG, \"{key}\")", self.name)))
    }

    /// Set `key` to a descriptor (FSCONFIG_SET_FD).
    ///
    /// # Errors
    /// EINVAL: the file system does not take a descriptor for `key`, or a NUL; EBADF for an O_PATH
    /// descriptor, on older kernels.
    pub fn set_fd(&self, key: &str, fd: impl AsFd) -> Result<()> {
        let k = text(key)?;
        self.config(5, Some(&k), None, fd.as_fd().as_raw_fd())
            .call(|| self.explain(format!("fsconfig({}, SET_FD, \"{key}\")", self.name)))
    }

    /// Create the superblock and a detached mount of it with these [`attr`] bits: fsmount(2).
    ///
    /// # Errors
    /// EPERM: this user namespace may not mount the type, or a new proc or sysfs would show what is
    /// covered on those that are mounted; EINVAL: options that do not go together; else what the
    /// file system says.
    pub fn mount(self, attrs: u64) -> Result<OwnedFd> {
        self.config(6, None, None, 0)
            .call(|| self.explain(format!("fsconfig({}, CMD_CREATE)", self.name)))?;
        // FSMOUNT_CLOEXEC = 1
        // SAFETY: plain integers.
        check(unsafe {
            libc::syscall(libc::SYS_fsmount, self.fd.as_raw_fd(), 1, attrs as libc::c_uint)
        })
        .map(owned)
        .call(|| format!("fsmount({}, {attrs:#x})", self.name))
    }

    /// The call, with the kernel's own words on what was wrong (they wait in the context's log).
    fn explain(&self, call: String) -> String {
        let mut buf = [0u8; 512];
        match rustix::io::read(&self.fd, &mut buf) {
            Ok(n) if n > 2 => format!("{call} ({})", String::from_utf8_lossy(&buf[2..n]).trim()),
            _ => call,
        }
    }
}

/// Options are read by fsconfig(2) up to this many bytes.
const VALUE_MAX: usize = 255;

/// Options that mount(2) wants as flags.
const FLAGS: [(&str, libc::c_ulong); 4] = [
    ("sync", libc::MS_SYNCHRONOUS),
    ("mand", libc::MS_MANDLOCK),
    ("dirsync", libc::MS_DIRSYNC),
    ("lazytime", libc::MS_LAZYTIME),
];

/// Options of security modules, whose values may be quoted.
const LABELS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// A parameter of a file system: key, value (none: a flag).
pub type FsOption = (String, Option<String>);

/// A file system that fsconfig(2) cannot make.
#[must_use]
pub fn needs_one_string(source: Option<&str>, options: &[FsOption]) -> bool {
    let values = options.iter().filter_map(|(_, value)| value.as_deref());
    values.chain(source).any(|text| text.len() > VALUE_MAX)
}

/// A new file system with these [`attr`] bits, detached, from options in one string, which may have a page: mount(2). It is
/// mounted on `place` for a moment, so that is taken as the working directory, and left so.
///
/// # Errors
/// EINVAL: a comma in an option, a NUL, or what the file system refuses; EPERM without
/// CAP_SYS_ADMIN; ENODEV: no such type; ENOTDIR: `place` is no directory. When a step after
/// mount(2) fails, the file system may still be mounted on `place`.
pub fn from_one_string(
    place: &OwnedFd,
    (fstype, source): (&str, Option<&str>),
    options: &[FsOption],
    attrs: u64,
) -> Result<OwnedFd> {
    let about = || format!("mount({fstype})");
    let (flags, data) = one_string(fstype, options)?;
    let (name, data) = (text(fstype)?, text(&data)?);
    let source = text(source.unwrap_or(fstype))?;
    rustix::process::fchdir(place).call(|| "fchdir(mount point)")?;
    // SAFETY: all strings are NUL-terminated, outlive the call and are only read.
    let made = unsafe {
        libc::mount(source.as_ptr(), c".".as_ptr(), name.as_ptr(), flags, data.as_ptr().cast())
    };
    check(libc::c_long::from(made)).call(about)?;
    // A root's ".." is the root itself, with what is mounted on it: the new mount, without the name of the place, which may
    // have become another one's.
    let resolve = rustix::fs::ResolveFlags::IN_ROOT;
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let top = rustix::fs::openat2(place, "..", flags, rustix::fs::Mode::empty(), resolve)
        .call(|| "openat2(new mount)")?;
    let detached = clone_tree(&top, false)?;
    rustix::process::fchdir(&top).call(|| "fchdir(new mount)")?;
    detach_here()?;
    rustix::process::fchdir(place).call(|| "fchdir(mount point)")?;
    set_attr(&detached, AttrChange { set: attrs, ..AttrChange::default() }, false)?;
    Ok(detached)
}

/// Flags and data of mount(2). A comma would begin another option, which nobody has judged.
fn one_string(fstype: &str, options: &[FsOption]) -> Result<(libc::c_ulong, String)> {
    let (mut flags, mut parts) = (0, Vec::new());
    for (key, value) in options {
        let known = FLAGS.iter().find(|(name, _)| name == key && value.is_none());
        let part = match (known, value) {
            (Some((_, flag)), _) => {
                flags |= flag;
                continue;
            }
            (None, None) => key.clone(),
            (None, Some(value)) if LABELS.contains(&key.as_str()) && !value.contains('"') => {
                parts.push(format!("{key}=\"{value}\""));
                continue;
            }
            (None, Some(value)) => format!("{key}={value}"),
        };
        if part.contains(',') {
            let call = format!("mount({fstype}): option {key:?} has a comma");
            return Err(Error::new(call, Errno::INVAL));
        }
        parts.push(part);
    }
    Ok((flags, parts.join(",")))
}

/// pivot_root(".", "."): the working directory becomes `/`, the old root is stacked on top of it.
///
/// # Errors
/// EINVAL: the working directory is not a mount point, its mount, its parent or that of the root is
/// shared, or the root is an initramfs; EBUSY: it is the root already; EPERM without CAP_SYS_ADMIN.
pub fn pivot_root_here() -> Result<()> {
    rustix::process::pivot_root(".", ".").call(|| "pivot_root(\".\", \".\")")
}

/// Detach what is mounted on the working directory: umount2(".", MNT_DETACH).
///
/// # Errors
/// EINVAL: no mount point, or a mount that is locked; EPERM without CAP_SYS_ADMIN.
pub fn detach_here() -> Result<()> {
    rustix::mount::unmount(".", rustix::mount::UnmountFlags::DETACH)
        .call(|| "umount2(\".\", MNT_DETACH)")
}

/// Move the mount at the working directory onto `/` and make it the root: the way without pivot_root(2), for
/// callers that live in an initramfs (`--no-pivot`).
///
/// # Errors
/// EINVAL: the working directory is not a mount point, is locked, or its parent is shared; EPERM
/// without CAP_SYS_ADMIN or, for chroot(2), CAP_SYS_CHROOT: it is moved then.
pub fn move_root_here() -> Result<()> {
    // SAFETY: static NUL-terminated strings, no data.
    check(unsafe {
        libc::mount(c".".as_ptr(), c"/".as_ptr(), std::ptr::null(), libc::MS_MOVE, std::ptr::null())
    } as libc::c_long)
    .call(|| "mount(\".\", \"/\", MS_MOVE)")?;
    rustix::process::chroot(".").call(|| "chroot(\".\")")?;
    rustix::process::chdir("/").call(|| "chdir(\"/\")")
}

/// Open a path for use as a mount source or target, following symbolic links: O_PATH.
///
/// # Errors
/// ENOENT, also for a path with a NUL; ENOTDIR; EACCES: a directory that may not be searched;
/// ELOOP: too many links.
pub fn open_path(path: &Path, nofollow: bool) -> Result<OwnedFd> {
    let c = cstring(path);
    let mut flags = libc::O_PATH | libc::O_CLOEXEC;
    if nofollow {
        flags |= libc::O_NOFOLLOW;
    }
    // SAFETY: c is NUL-terminated and only read.
    check(unsafe { libc::open(c.as_ptr(), flags) } as libc::c_long)
        .map(owned)
        .call(|| format!("open(\"{}\", O_PATH)", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_option_becomes_two_in_one_string() {
        let option = |key: &str, value: Option<&str>| (key.to_owned(), value.map(str::to_owned));
        let given = [
            option("size", Some("1m")),
            option("sync", None),
            option("noswap", None),
            option("context", Some("u:r:t:s0:c1,c2")),
        ];
        let (flags, data) = one_string("tmpfs", &given).unwrap();
        assert_eq!(flags, libc::MS_SYNCHRONOUS);
        assert_eq!(data, "size=1m,noswap,context=\"u:r:t:s0:c1,c2\"");
        let hidden = [
            option("a", Some("b,lowerdir=/etc")),
            option("a,suid", None),
            option("context", Some("x\",lowerdir=/etc")),
        ];
        for hidden in hidden {
            assert!(one_string("overlay", &[hidden]).is_err());
        }
    }

    #[test]
    fn an_option_is_not_cut_short_at_a_nul() {
        assert_eq!(text("a\0b").unwrap_err().errno(), Errno::INVAL);
        assert_eq!(text("ro").unwrap().as_c_str(), c"ro");
    }
}
