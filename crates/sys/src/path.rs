//! Paths under a root directory: openat2(2) with RESOLVE_IN_ROOT only, never string concatenation.
//!
//! A rootfs is hostile: any component may be a symbolic link, and may change between two calls
//! (CVE-2021-30465, CVE-2019-19921). So a path is resolved by the kernel against the root's descriptor, once, and the
//! descriptor is what is used from then on.

use crate::error::{Context, Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::path::{Component, Path};

/// How many renames of a racing attacker are sat out before giving up (openat2 answers EAGAIN).
const RETRIES: usize = 128;

/// What a path may consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// Symbolic links are followed, inside the root.
    InRoot,
    /// No component may be a symbolic link: /proc, /sys, /dev (CVE-2019-19921, CVE-2026-41579).
    Refused,
}

fn openat2_retrying(
    root: &impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
) -> rustix::io::Result<OwnedFd> {
    let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    if links == Links::Refused {
        resolve |= ResolveFlags::NO_SYMLINKS;
    }
    // openat2 takes nothing beside O_PATH that O_PATH would ignore.
    let safe = if flags.contains(OFlags::PATH) {
        OFlags::CLOEXEC
    } else {
        OFlags::CLOEXEC | OFlags::NOCTTY
    };
    let mut left = RETRIES;
    loop {
        match rustix::fs::openat2(root, path, flags | safe, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) if left > 0 => left -= 1,
            other => return other,
        }
    }
}

/// Open `path` below `root`; an absolute path and `..` stop at the root. `flags` get O_CLOEXEC | O_NOCTTY.
pub fn open_in_root(
    root: impl AsFd,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
) -> Result<OwnedFd> {
    openat2_retrying(&root, path, flags, mode, links)
        .call(|| format!("openat2({}, \"{}\", {flags:?})", crate::fd::label(&root), path.display()))
}

/// Open `path` below `root` as a handle (O_PATH); `None` when there is no such file. Cheaper than looking at the error of
/// [`handle_in_root`], which is made for people.
pub fn find_in_root(root: impl AsFd, path: &Path, links: Links) -> Result<Option<OwnedFd>> {
    match openat2_retrying(&root, path, OFlags::PATH, Mode::empty(), links) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        other => other.map(Some).call(|| {
            format!("openat2({}, \"{}\", O_PATH)", crate::fd::label(&root), path.display())
        }),
    }
}

/// Whether `path` below `root` is a directory that no link leads to, and that can be reached: for places in which something
/// more is to be put, not for what is to be hidden.
pub fn is_plain_dir(root: impl AsFd, path: &Path) -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    openat2_retrying(&root, path, flags, Mode::empty(), Links::Refused).is_ok()
}

/// Open `path` below `root` as a handle (O_PATH).
pub fn handle_in_root(root: impl AsFd, path: &Path, links: Links) -> Result<OwnedFd> {
    open_in_root(root, path, OFlags::PATH, Mode::empty(), links)
}

/// Open the directory `path` below `root`, making what is missing with `mode`. Each new component is made and
/// opened by descriptor without following links, so a racing symbolic link cannot move the work elsewhere
/// (CVE-2024-45310).
pub fn ensure_dir(root: impl AsFd, path: &Path, mode: Mode, links: Links) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY;
    match openat2_retrying(&root, path, flags, Mode::empty(), links) {
        Err(Errno::NOENT) => {}
        Err(Errno::LOOP) if links == Links::Refused => {
            // runc's words.
            let what = format!("\"{}\" must be mounted on ordinary directory", path.display());
            return Err(Error::new(what, Errno::LOOP));
        }
        other => {
            return other.call(|| {
                format!("openat2({}, \"{}\", O_DIRECTORY)", crate::fd::label(&root), path.display())
            })
        }
    }
    let parts: Vec<_> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(Ok(name)),
            Component::ParentDir => Some(Err(())),
            _ => None,
        })
        .collect::<std::result::Result<_, _>>()
        .map_err(|()| {
            Error::new(
                format!("mkdir \"{}\": \"..\" in a path that does not exist", path.display()),
                Errno::INVAL,
            )
        })?;
    let mut existing = parts.len().saturating_sub(1);
    let mut dir = loop {
        let prefix: std::path::PathBuf =
            Path::new("/").join(parts[..existing].iter().collect::<std::path::PathBuf>());
        match open_in_root(&root, &prefix, flags, Mode::empty(), links) {
            Err(e) if e.errno() == Errno::NOENT && existing > 0 => existing -= 1,
            other => break other?,
        }
    };
    for name in &parts[existing..] {
        match rustix::fs::mkdirat(&dir, *name, mode) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => {
                return Err(e).call(|| format!("mkdirat({}, {name:?})", crate::fd::label(&dir)));
            }
        }
        dir = rustix::fs::openat(
            &dir,
            *name,
            flags | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .call(|| format!("openat({}, {name:?}, O_DIRECTORY|O_NOFOLLOW)", crate::fd::label(&dir)))?;
    }
    Ok(dir)
}

/// Split into parent and last component; `None` for the root itself or a path that ends in `..`.
pub fn split(path: &Path) -> Option<(&Path, &std::ffi::OsStr)> {
    Some((path.parent()?, path.file_name()?))
}

/// Open the file `path` below `root` as a handle, making it (empty, `mode`) and its directories when missing.
pub fn ensure_file(root: impl AsFd, path: &Path, mode: Mode, links: Links) -> Result<OwnedFd> {
    if let Some(found) = find_in_root(&root, path, links)? {
        return Ok(found);
    }
    let (parent, name) = split(path)
        .ok_or_else(|| Error::new(format!("create \"{}\"", path.display()), Errno::INVAL))?;
    let dir = ensure_dir(&root, parent, Mode::from_raw_mode(0o755), links)?;
    // O_EXCL: never open what somebody else put there in the meantime.
    match rustix::fs::openat(
        &dir,
        name,
        OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        mode,
    ) {
        Ok(_) | Err(Errno::EXIST) => {}
        Err(e) => {
            return Err(e)
                .call(|| format!("openat({}, {name:?}, O_CREAT|O_EXCL)", crate::fd::label(&dir)))
        }
    }
    rustix::fs::openat(&dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
        .call(|| format!("openat({}, {name:?}, O_PATH|O_NOFOLLOW)", crate::fd::label(&dir)))
}
