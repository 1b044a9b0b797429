//! The way to the audit log: its directory, opened one name at a time. Nothing that somebody else could have put on that way leads
//! root to make or extend a file in another place.

use crate::decide::caller::Caller;
use crate::decide::policy_choice::overflow_uid;
use crate::hinted::hinted;
use anyhow::{anyhow, bail, Result};
use casemate_sys::errno_text;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, Stat, CWD};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// Links on one way, as the kernel counts them (path_resolution(7)).
const MAX_LINKS: usize = 40;

/// Whose directories and links are believed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trusted {
    euid: u32,
    /// Whom the host's root looks like in a user namespace.
    host_root: Option<u32>,
}

impl Trusted {
    /// Root, and the caller.
    ///
    /// # Errors
    /// Whom the host's root looks like cannot be read.
    pub(super) fn of(caller: &Caller) -> Result<Self> {
        let inside = !caller.initial_user_namespace;
        Ok(Self { euid: caller.euid, host_root: inside.then(overflow_uid).transpose()? })
    }

    fn has(self, uid: u32) -> bool {
        uid == 0 || uid == self.euid || self.host_root == Some(uid)
    }

    /// Who can write a directory can put another file in its place; in a sticky one only in the place of what belongs to that
    /// one. A group that may write /var/log, as that of syslog may, has only entries of its members to put there, and
    /// those do not belong to root.
    fn judge(self, found: &Stat, shown: &Path) -> Result<()> {
        let shown = shown.display();
        if !self.has(found.st_uid) {
            let message = format!("{shown}: belongs to uid {}", found.st_uid);
            return Err(hinted(message, format!("chown root {shown}")));
        }
        let sticky = found.st_mode & 0o1000 != 0;
        let is_link = FileType::from_raw_mode(found.st_mode) == FileType::Symlink;
        if found.st_mode & 0o002 != 0 && !sticky && !is_link {
            let message = format!("{shown}: everybody may write it");
            return Err(hinted(message, format!("chmod o-w {shown}")));
        }
        Ok(())
    }
}

/// Opens the directory of `path`, for calls that take one; and the name in it.
pub(super) fn open_dir(path: &Path, trusted: Trusted) -> Result<(OwnedFd, OsString)> {
    let mut rest = parts(path);
    let name = match rest.pop_back() {
        Some(name) if name != ".." => name,
        _ => bail!("{}: names no file", path.display()),
    };
    let (mut at, mut shown) = root(trusted)?;
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        let next = if part == ".." { parent(&shown) } else { shown.join(&part) };
        let fd = match open(&at, &part) {
            // Not in the kernel's words: podman takes those for a program that the image lacks (127).
            Err(Errno::NOENT) => {
                let (path, dir) = (path.display(), parent(path));
                let dir = dir.display();
                let message = format!("open {path}: its directory is missing");
                return Err(hinted(message, format!("install -d -m 0700 {dir}")));
            }
            other => other.map_err(|e| anyhow!("open {}: {}", next.display(), errno_text(e)))?,
        };
        let found = stat(&fd, &next)?;
        trusted.judge(&found, &next)?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => (at, shown) = (fd, next),
            FileType::Symlink if links < MAX_LINKS => {
                links += 1;
                let target = target(&fd, &next)?;
                if target.is_absolute() {
                    (at, shown) = root(trusted)?;
                }
                parts(&target).into_iter().rev().for_each(|part| rest.push_front(part));
            }
            FileType::Symlink => bail!("{}: too many symbolic links", next.display()),
            _ => bail!("{}: is no directory", next.display()),
        }
    }
    Ok((at, name))
}

fn root(trusted: Trusted) -> Result<(OwnedFd, PathBuf)> {
    let shown = PathBuf::from("/");
    let fd = open(CWD, OsStr::new("/")).map_err(|e| anyhow!("open /: {}", errno_text(e)))?;
    trusted.judge(&stat(&fd, &shown)?, &shown)?;
    Ok((fd, shown))
}

fn open(at: impl AsFd, name: &OsStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn stat(fd: &OwnedFd, shown: &Path) -> Result<Stat> {
    rustix::fs::fstat(fd).map_err(|e| anyhow!("stat {}: {}", shown.display(), errno_text(e)))
}

/// What an open link says.
fn target(link: &OwnedFd, shown: &Path) -> Result<PathBuf> {
    let text = rustix::fs::readlinkat(link, "", Vec::new())
        .map_err(|e| anyhow!("readlink {}: {}", shown.display(), errno_text(e)))?;
    Ok(PathBuf::from(OsStr::from_bytes(text.as_bytes())))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

/// The names of a path, without the root; `.` is none.
fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        _ => None,
    });
    parts.collect()
}
