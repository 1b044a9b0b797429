//! The container's terminal: a pty of its own devpts, verified, opened without paths.

use crate::{Failure, StepResult};
use casemate_sys::mount;
use casemate_sys::path::{ensure_file, open_in_root, Links};
use casemate_sys::tty::{self, Size};
use casemate_sys::Context;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags};
use std::path::Path;

/// Both sides of the pty.
pub(crate) struct Console {
    /// For whoever watches the container.
    pub(crate) master: OwnedFd,
    /// For the container.
    pub(crate) peer: OwnedFd,
}

/// Open a pty of the devpts below `root`.
pub(crate) fn open_console(root: &OwnedFd, size: Size) -> StepResult<Console> {
    // No links: /dev/ptmx may be one, the devpts' own node is not (CVE-2025-52565).
    let master = open_in_root(
        root,
        Path::new("/dev/pts/ptmx"),
        OFlags::RDWR,
        Mode::empty(),
        Links::Refused,
    )?;
    tty::verify_ptmx(&master)?;
    let peer = tty::open_peer(&master)?;
    let st = rustix::fs::fstat(&peer).call(|| "fstat(pty)")?;
    let is_pty = FileType::from_raw_mode(st.st_mode) == FileType::CharacterDevice
        && (136..144).contains(&rustix::fs::major(st.st_rdev));
    if !is_pty {
        return Err(Failure::new("console", "the opened terminal is not a pty"));
    }
    if size != Size::default() {
        tty::set_size(&master, size)?;
    }
    Ok(Console { master, peer })
}

impl Console {
    /// The container's side once more, by its name: an open file stays on the mount that it was opened through, and when the
    /// mounts have been copied that one is no longer in sight, so that ttyname(3) would not find a name. Where the name leads
    /// to anything else, what is open already.
    pub(crate) fn in_copied_mounts(self) -> StepResult<OwnedFd> {
        let same = |a: &OwnedFd, b: &OwnedFd| -> casemate_sys::Result<bool> {
            let stat = |fd: &OwnedFd| rustix::fs::fstat(fd).call(|| "fstat(pty)");
            let (a, b) = (stat(a)?, stat(b)?);
            Ok((a.st_dev, a.st_ino, a.st_rdev) == (b.st_dev, b.st_ino, b.st_rdev))
        };
        let root = mount::open_path(Path::new("/"), false)?;
        let name = format!("/dev/pts/{}", tty::number(&self.master)?);
        // Looked at before it is opened: opening a device alone can have effects.
        let (flags, open) = (OFlags::RDWR | OFlags::NOCTTY, |flags| {
            open_in_root(&root, Path::new(&name), flags, Mode::empty(), Links::Refused)
        });
        match open(OFlags::PATH) {
            Ok(place) if same(&place, &self.peer)? => {}
            _ => return Ok(self.peer),
        }
        match open(flags) {
            Ok(again) if same(&again, &self.peer)? => Ok(again),
            _ => Ok(self.peer),
        }
    }

    /// Put the container's side on /dev/console.
    pub(crate) fn bind(&self, root: &OwnedFd) -> StepResult<()> {
        let place = ensure_file(
            root,
            Path::new("/dev/console"),
            Mode::from_raw_mode(0o600),
            Links::Refused,
        )?;
        let clone = mount::clone_tree(&self.peer, false)?;
        mount::attach(&clone, &place)?;
        Ok(())
    }
}
