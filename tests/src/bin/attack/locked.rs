//! What root of the container, with CAP_SYS_ADMIN over its own namespaces, can undo of the mounts it was given: take a
//! mask off, make a read-only mount writable, clear nosuid or nodev, or look at what lies below by binding the directory above.

use crate::isolated;
use crate::sys::{c, check};
use std::collections::BTreeMap;
use std::io::{Error, Result};

/// A mount, from /proc/self/mountinfo.
struct Mount {
    point: String,
    options: String,
}

fn mounts() -> Vec<Mount> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let parse = |line: &str| {
        let mut fields = line.split(' ').skip(4);
        Some(Mount { point: fields.next()?.to_owned(), options: fields.next()?.to_owned() })
    };
    text.lines().filter_map(parse).collect()
}

impl Mount {
    fn has(&self, option: &str) -> bool {
        self.options.split(',').any(|o| o == option)
    }

    /// A cover of a path of the kernel's.
    fn is_mask(&self) -> bool {
        let below = |dir: &str| self.point.starts_with(dir);
        (below("/proc/") || below("/sys/"))
            && !below("/sys/fs/cgroup")
            && !self.point.ends_with("/sys")
    }
}

fn clear(point: &str, bits: u64) -> Result<()> {
    let attr = libc::mount_attr { attr_set: 0, attr_clr: bits, propagation: 0, userns_fd: 0 };
    let path = c(point);
    // SAFETY: path and structure live through the call, and the size is the structure's.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            &raw const attr,
            std::mem::size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

fn umount(point: &str) -> Result<()> {
    let path = c(point);
    // SAFETY: a C string.
    check(unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

/// The directory above, without what is mounted in it, somewhere else.
fn peek(point: &str) -> Result<()> {
    let parent = point.rsplit_once('/').map_or("/", |(parent, _)| parent);
    let (from, to) = (c(if parent.is_empty() { "/" } else { parent }), c("/tmp"));
    let none = c("none");
    // SAFETY: C strings.
    check(
        unsafe {
            libc::mount(from.as_ptr(), to.as_ptr(), none.as_ptr(), libc::MS_BIND, std::ptr::null())
        }
        .into(),
    )
    .map(drop)
}

/// Of each kind: how many could be undone, of how many.
pub fn try_all() -> Vec<(String, String)> {
    let mut found: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut count = |kind: &'static str, result: &str| {
        let (done, all) = found.entry(kind).or_default();
        *all += 1;
        *done += usize::from(result == "ok");
    };
    for mount in mounts() {
        let point = &mount.point;
        if mount.is_mask() {
            count("unmount a mask", &isolated(|| umount(point)));
            count("look below a mask", &isolated(|| peek(point)));
        }
        let bits = [
            ("ro", "make a read-only mount writable", libc::MOUNT_ATTR_RDONLY),
            ("nosuid", "clear nosuid", libc::MOUNT_ATTR_NOSUID),
            ("nodev", "clear nodev", libc::MOUNT_ATTR_NODEV),
            ("noexec", "clear noexec", libc::MOUNT_ATTR_NOEXEC),
        ];
        for (option, kind, bit) in bits {
            if mount.has(option) {
                count(kind, &isolated(|| clear(point, bit)));
            }
        }
    }
    let unable = isolated(|| match own_tmpfs() {
        Err(e) if e.raw_os_error() == Some(libc::EPERM) => Err(e),
        _ => Ok(()),
    });
    let mut all = vec![("may mount at all".to_owned(), unable)];
    all.extend(
        found.into_iter().map(|(kind, (done, n))| (kind.to_owned(), format!("{done} of {n}"))),
    );
    all
}

/// A tmpfs of one's own: without CAP_SYS_ADMIN the rest shows nothing.
fn own_tmpfs() -> Result<()> {
    let (kind, to) = (c("tmpfs"), c("/tmp"));
    // SAFETY: C strings.
    let result =
        unsafe { libc::mount(kind.as_ptr(), to.as_ptr(), kind.as_ptr(), 0, std::ptr::null()) };
    if result == 0 {
        Ok(())
    } else {
        Err(Error::last_os_error())
    }
}
