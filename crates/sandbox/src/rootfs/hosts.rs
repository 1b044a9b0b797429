//! The host's procfs and sysfs, which stay below a root that was moved on top of the host's (`--no-pivot`).
//!
//! Whoever may make a user namespace in the container gets a procfs of its own, without masks, as long as its mount namespace
//! has one that nothing covers (`mnt_already_visible` in fs/namespace.c), and the one below the root counts. runc takes them
//! away as well, before it moves the root.

use crate::failure::Step;
use crate::{Failure, StepResult};
use casemate_sys::mount::{self, propagation, AttrChange, FsContext};
use casemate_sys::Context;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{unmount, UnmountFlags};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Detach every procfs and sysfs of this mount namespace that is not below `rootfs`, with what is mounted below them; what
/// belongs to another user namespace and cannot be detached is covered.
pub(super) fn detach_kernel_file_systems(host_proc: &OwnedFd, rootfs: &Path) -> StepResult<()> {
    for place in places(host_proc, rootfs)? {
        // Gone with the one above it, or locked: the second look tells.
        match detach(&place) {
            Ok(()) | Err(Errno::INVAL | Errno::PERM | Errno::NOENT) => {}
            Err(errno) => return Err(failed(&place, errno)),
        }
    }
    places(host_proc, rootfs)?.iter().try_for_each(|place| {
        let about = || format!("--no-pivot: cover the host's {}", place.display());
        let top = mount::open_path(place, true).step("pivot", about)?;
        let empty = FsContext::open("tmpfs").and_then(|fs| fs.mount(mount::attr::RDONLY));
        mount::attach(empty.step("pivot", about)?, &top).step("pivot", about)
    })
}

fn failed(place: &Path, errno: Errno) -> Failure {
    let call = format!("umount2({}, MNT_DETACH)", place.display());
    let mut failure = Failure::from(casemate_sys::Error::new(call, errno)).about("--no-pivot");
    failure.step = "pivot".to_owned();
    failure
}

/// The host is not to see it go.
fn detach(place: &Path) -> Result<(), Errno> {
    let private = AttrChange { propagation: propagation::PRIVATE, ..AttrChange::default() };
    let errno = |error: casemate_sys::Error| error.errno();
    for (path, recursive) in [(place.parent(), false), (Some(place), true)] {
        let Some(path) = path else { continue };
        let top = mount::open_path(path, true).map_err(errno)?;
        match mount::set_attr(top.as_fd(), private, recursive) {
            // The directory above is usually no mount, and the mount that it lies on has been cut off by its own name.
            Err(error) if error.errno() == Errno::INVAL && !recursive => {}
            other => other.map_err(errno)?,
        }
    }
    unmount(place, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
}

/// Where procfs and sysfs are mounted outside of `rootfs`, outer ones first.
fn places(host_proc: &OwnedFd, rootfs: &Path) -> StepResult<Vec<PathBuf>> {
    use std::io::Read;
    let about = || "--no-pivot: /proc/self/mountinfo";
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(host_proc, "self/mountinfo", flags, Mode::empty())
        .call(|| "openat(/proc, \"self/mountinfo\")")
        .step("pivot", about)?;
    let mut text = Vec::new();
    std::fs::File::from(file)
        .read_to_end(&mut text)
        .map_err(|e| Failure::new("pivot", format!("{}: {e}", about())))?;
    let found = text.split(|byte| *byte == b'\n').filter_map(kernel_mount);
    Ok(found.filter(|place| !place.starts_with(rootfs)).collect())
}

/// The mount point of a line of mountinfo (proc_pid_mountinfo(5)) that is a procfs or a sysfs.
fn kernel_mount(line: &[u8]) -> Option<PathBuf> {
    let mut words = line.split(|byte| *byte == b' ');
    let place = words.by_ref().nth(4)?;
    let kind = words.skip_while(|word| *word != b"-").nth(1)?;
    matches!(kind, b"proc" | b"sysfs").then(|| unescape(place))
}

/// `\040` is a blank.
fn unescape(text: &[u8]) -> PathBuf {
    let mut path = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| *byte == b'\\');
        // What is no number is a backslash.
        let code = octal
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        path.push(code.unwrap_or(*byte));
        rest = if code.is_some() { &behind[3..] } else { behind };
    }
    PathBuf::from(OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_tells_place_and_kind() {
        let place = |line: &str| kernel_mount(line.as_bytes());
        let proc = "22 1 0:21 / /a\\040b rw,nosuid shared:5 master:1 - proc proc rw";
        assert_eq!(place(proc), Some(PathBuf::from("/a b")));
        assert_eq!(place("23 1 0:22 / /sys rw - sysfs sysfs rw"), Some(PathBuf::from("/sys")));
        assert_eq!(place("24 1 0:23 / /proc rw - tmpfs proc rw"), None);
        assert_eq!(place("25 1 0:24 /"), None);
    }
}
