//! Paths under a root directory: openat2(2) with RESOLVE_IN_ROOT only, never string concatenation.
//!
//! A rootfs is hostile: any component may be a symbolic link, and may change between two calls
//! (CVE-2021-30465, CVE-2019-19921). So a path is resolved by the kernel against the root's descriptor, once, and the
//! descriptor is what is used from then on.

use crate::error::{Context, Error, Result};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// How many renames of a racing attacker are sat out before giving up (openat2 answers EAGAIN).
const RETRIES: usize = 128;

/// How many links a path may have, as for the kernel (path_resolution(7)).
const MOST_LINKS: usize = 40;

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
///
/// # Errors
/// ENOENT, ENOTDIR, EACCES; ELOOP: a link where they are refused, a magic link, or too many links;
/// EAGAIN: renames or mounts got in the way of every try; ENOSYS before Linux 5.6.
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
///
/// # Errors
/// As [`open_in_root`], but for ENOENT and ENOTDIR, which are `None`.
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
///
/// # Errors
/// As [`open_in_root`].
pub fn handle_in_root(root: impl AsFd, path: &Path, links: Links) -> Result<OwnedFd> {
    open_in_root(root, path, OFlags::PATH, Mode::empty(), links)
}

/// The first components of `path`, as far as they exist below `root`, and how many they are.
fn existing_part(
    root: &impl AsFd,
    parts: &[Component<'_>],
    links: Links,
) -> Result<(OwnedFd, usize)> {
    let mut existing = parts.len();
    loop {
        let prefix = Path::new("/").join(parts[..existing].iter().collect::<PathBuf>());
        match find_in_root(root, &prefix, links)? {
            Some(found) => return Ok((found, existing)),
            None if existing == 0 => {
                return Err(Error::new("openat2(root, \"/\", O_PATH)", Errno::NOENT))
            }
            None => existing -= 1,
        }
    }
}

/// `path` below `root` with the links in it replaced that lead to something missing, so that this can be made where they lead:
/// images have links into directories that a volume or a service is to bring (/etc/resolv.conf into /run). Whatever a link
/// says is looked up below `root` again.
fn through_dangling_links(root: &impl AsFd, path: &Path) -> Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let parts = parts_of(&path);
        let (dir, existing) = existing_part(root, &parts, Links::InRoot)?;
        let Some(Component::Normal(missing)) = parts.get(existing) else { return Ok(path) };
        match rustix::fs::readlinkat(&dir, *missing, Vec::new()) {
            Ok(target) => {
                let target = Path::new(OsStr::from_bytes(target.to_bytes()));
                let before = Path::new("/").join(parts[..existing].iter().collect::<PathBuf>());
                let behind = parts[existing + 1..].iter().collect::<PathBuf>();
                path = before.join(target).join(behind);
            }
            // Missing itself, or no link.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::INVAL) => return Ok(path),
            Err(e) => {
                return Err(e)
                    .call(|| format!("readlinkat({}, {missing:?})", crate::fd::label(&dir)))
            }
        }
    }
    Err(Error::new(format!("follow the links of \"{}\"", path.display()), Errno::LOOP))
}

/// What a path consists of, from its root on.
fn parts_of(path: &Path) -> Vec<Component<'_>> {
    let is_step =
        |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::ParentDir);
    path.components().filter(is_step).collect()
}

/// Open the directory `path` below `root`, making what is missing with `mode`, also where a link leads to. Each new component
/// is made and opened by descriptor without following links, so a racing symbolic link cannot move the work elsewhere
/// (CVE-2024-45310).
///
/// # Errors
/// ELOOP: a link where they are refused, or too many; ENOTDIR: a file in the way; EINVAL: `..`
/// behind what is missing; of mkdirat(2) EROFS, EACCES, ENOSPC, EDQUOT. What was made stays.
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
    let path = match links {
        Links::InRoot => through_dangling_links(&root, path)?,
        Links::Refused => path.to_owned(),
    };
    let parts = parts_of(&path);
    let (mut dir, existing) = existing_part(&root, &parts, links)?;
    for part in &parts[existing..] {
        let Component::Normal(name) = part else {
            let what =
                format!("mkdir \"{}\": \"..\" in a path that does not exist", path.display());
            return Err(Error::new(what, Errno::INVAL));
        };
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
///
/// # Errors
/// As [`ensure_dir`], for the file too; EINVAL: a path that ends in `..`.
pub fn ensure_file(root: impl AsFd, path: &Path, mode: Mode, links: Links) -> Result<OwnedFd> {
    if let Some(found) = find_in_root(&root, path, links)? {
        return Ok(found);
    }
    let path = match links {
        Links::InRoot => through_dangling_links(&root, path)?,
        Links::Refused => path.to_owned(),
    };
    let (parent, name) = split(&path)
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
