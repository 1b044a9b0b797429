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
