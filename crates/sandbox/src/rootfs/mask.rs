//! Hidden and read-only paths.
//!
//! A hidden path is covered by an empty read-only file or directory of a tmpfs that we make ourselves and that is
//! attached nowhere else: never by the container's own /dev/null, which an image can replace (CVE-2025-31133).

use crate::failure::Step;
use crate::StepResult;
use casemate_sys::mount::{self, attr, AttrChange, FsContext};
use casemate_sys::path::{find_in_root, Links};
use casemate_sys::{Context, Error};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags};
use std::path::{Path, PathBuf};

/// The covers: an empty file and an empty directory.
struct Covers {
    top: OwnedFd,
    file: OwnedFd,
    dir: OwnedFd,
}

impl Covers {
    fn make() -> casemate_sys::Result<Self> {
        let fs = FsContext::open("tmpfs")?;
        fs.set("source", "casemate-mask")?;
        fs.set("mode", "555")?;
        fs.set("nr_inodes", "4")?;
        let top = fs.mount(attr::NOSUID | attr::NODEV | attr::NOEXEC)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&top, "file", flags, Mode::from_raw_mode(0o444))
            .call(|| "openat(mask, \"file\", O_CREAT)")?;
        rustix::fs::mkdirat(&top, "dir", Mode::from_raw_mode(0o555))
            .call(|| "mkdirat(mask, \"dir\")")?;
        let dir = rustix::fs::openat(
            &top,
            "dir",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .call(|| "openat(mask, \"dir\")")?;
        // Read-only from here on; every clone below inherits it.
        mount::set_attr(&top, AttrChange { set: attr::RDONLY, ..AttrChange::default() }, false)?;
        Ok(Self { top, file, dir })
    }
}

/// Cover every path that exists.
pub(super) fn hide(root: &OwnedFd, paths: &[PathBuf]) -> StepResult<()> {
    let mut places = Vec::with_capacity(paths.len());
    for path in paths {
        let about = || format!("linux.maskedPaths {}", path.display());
        let Some(place) = existing(root, path).step("mask", about)? else { continue };
        let st = rustix::fs::fstat(&place).call(|| "fstat(masked path)").step("mask", about)?;
        places.push((path, place, FileType::from_raw_mode(st.st_mode) == FileType::Directory));
    }
    if places.is_empty() {
        return Ok(());
    }
    let covers = Covers::make().step("mask", || "linux.maskedPaths")?;
    // What is attached nowhere cannot be cloned before Linux 6.15, and waits for all processors when it is closed: so the
    // covers' own mount goes below one of its clones, where nobody sees it.
    let below = places.iter().find(|(_, _, is_dir)| *is_dir).map_or(root, |(_, place, _)| place);
    mount::attach(&covers.top, below).step("mask", || "linux.maskedPaths")?;
    for (path, place, is_dir) in &places {
        let about = || format!("linux.maskedPaths {}", path.display());
        let cover = if *is_dir { &covers.dir } else { &covers.file };
        let clone = mount::clone_tree(cover, false).step("mask", about)?;
        mount::attach(&clone, place).step("mask", about)?;
    }
    if std::ptr::eq(below, root) {
        // No directory among them: it lies on the root, and has to go.
        rustix::process::fchdir(&covers.top)
            .call(|| "fchdir(masks)")
            .step("mask", || "linux.maskedPaths")?;
        mount::detach_here().step("mask", || "linux.maskedPaths")?;
    }
    Ok(())
}

/// Make every path that exists read-only, with all that is mounted below it.
pub(super) fn make_readonly(root: &OwnedFd, paths: &[PathBuf]) -> StepResult<()> {
    for path in paths {
        let about = || format!("linux.readonlyPaths {}", path.display());
        let Some(place) = existing(root, path).step("readonly-path", about)? else { continue };
        let clone = mount::clone_tree(place.as_fd(), true).step("readonly-path", about)?;
        let change = AttrChange { set: attr::RDONLY, ..AttrChange::default() };
        mount::set_attr(&clone, change, true).step("readonly-path", about)?;
        mount::attach(&clone, &place).step("readonly-path", about)?;
    }
    Ok(())
}

/// A handle of the path, `None` when there is no such thing. A link in the place of a kernel file is no such thing
/// either way: below /proc and /sys links are refused, elsewhere they stay inside the root.
fn existing(root: &OwnedFd, path: &Path) -> Result<Option<OwnedFd>, Error> {
    let kernel = path.starts_with("/proc") || path.starts_with("/sys");
    find_in_root(root, path, if kernel { Links::Refused } else { Links::InRoot })
}
