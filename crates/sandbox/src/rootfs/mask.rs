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
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The covers, made when the first one is needed. The mount lives as long as `top` is open.
struct Covers {
    top: OwnedFd,
    file: OwnedFd,
    dir: OwnedFd,
    attached: bool,
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
        rustix::fs::mkdirat(&top, "dir", Mode::from_raw_mode(0o555)).call(|| "mkdirat(mask, \"dir\")")?;
        let dir = rustix::fs::openat(&top, "dir", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .call(|| "openat(mask, \"dir\")")?;
        // Read-only from here on; every clone below inherits it.
        mount::set_attr(&top, AttrChange { set: attr::RDONLY, ..AttrChange::default() }, false)?;
        Ok(Self { top, file, dir, attached: false })
    }

    /// A clone of one cover. Before Linux 6.15 only what is attached somewhere can be cloned: then the covers lie on top of
    /// the rootfs for a while, where nobody sees them, because everything is resolved from the descriptor below.
    fn clone(&mut self, root: &OwnedFd, dir: bool) -> casemate_sys::Result<OwnedFd> {
        let cover = if dir { &self.dir } else { &self.file };
        match mount::clone_tree(cover, false) {
            Err(e) if e.errno() == Errno::INVAL && !self.attached => {
                mount::attach(&self.top, root)?;
                self.attached = true;
                mount::clone_tree(cover, false)
            }
            other => other,
        }
    }

    fn detach(&self) -> casemate_sys::Result<()> {
        if self.attached {
            rustix::process::fchdir(&self.top).call(|| "fchdir(masks)")?;
            mount::detach_here()?;
        }
        Ok(())
    }
}

/// Cover every path that exists.
pub(super) fn hide(root: &OwnedFd, paths: &[PathBuf]) -> StepResult<()> {
    let mut covers: Option<Covers> = None;
    for path in paths {
        let about = || format!("linux.maskedPaths {}", path.display());
        let Some(place) = existing(root, path).step("mask", about)? else { continue };
        let covers = match &mut covers {
            Some(covers) => covers,
            None => covers.insert(Covers::make().step("mask", about)?),
        };
        let st = rustix::fs::fstat(&place).call(|| "fstat(masked path)").step("mask", about)?;
        let is_dir = FileType::from_raw_mode(st.st_mode) == FileType::Directory;
        let clone = covers.clone(root, is_dir).step("mask", about)?;
        mount::attach(&clone, &place).step("mask", about)?;
    }
    covers.map_or(Ok(()), |covers| covers.detach()).step("mask", || "linux.maskedPaths")
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
