//! The files of a pool: one for each container that has something.

use super::claimant::Claimant;
use crate::files::io_error_text;
use anyhow::{Context as _, Result};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

pub(super) const READ_DIR: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// What containers take from a pool.
pub(crate) trait Resource: Copy + PartialEq + std::fmt::Debug {
    /// The pool, as messages call it.
    const WHAT: &'static str;

    /// The two numbers that the name of its file begins with.
    fn numbers(self) -> (u32, u32);

    /// The other way round.
    fn of_numbers(first: u32, second: u32) -> Self;

    /// Two containers cannot have this one and that.
    fn meets(self, other: Self) -> bool;
}

/// A file of the directory, as its name tells: two numbers, pod, state directory, and a time that makes it unique.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry<R> {
    pub(super) resource: R,
    pub(super) pod: u64,
    /// `None`: releases up to 0.2.0 did not write it.
    pub(super) state: Option<u64>,
    pub(super) name: String,
}

impl<R: Resource> Entry<R> {
    /// `None`: a file that is none of ours.
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        // A word that is no number makes the name none of ours.
        let mut number = || parts.next()?.parse().ok();
        let resource = R::of_numbers(number()?, number()?);
        let pod = u64::from_str_radix(parts.next()?, 16).ok()?;
        let state = parts.next()?.split_once('.').map(|(state, _)| state);
        // The name of an older release, or none of ours: nothing is told apart by it.
        let state = state.and_then(|state| u64::from_str_radix(state, 16).ok());
        Some(Self { resource, pod, state, name: name.to_owned() })
    }
}

/// Why a file of the directory is there.
pub(super) enum Owner {
    /// It is being made, or it exists, or it cannot be told.
    Somebody,
    /// Its runtime was killed halfway.
    Nobody,
}

/// What makes a name different from those of other times. A clock before 1970 only makes names less different.
pub(super) fn unique() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// Lock the file, and write whose it is.
pub(super) fn fill(file: OwnedFd, name: &str, who: &impl Serialize) -> Result<OwnedFd> {
    rustix::fs::flock(&file, FlockOperation::LockExclusive).call(|| format!("flock({name})"))?;
    let file = File::from(file);
    (&file).write_all(&serde_json::to_vec(who)?).map_err(|e| io_error_text(&e))?;
    Ok(file.into())
}

/// Whether somebody is making this container, or it exists. What cannot be told counts as somebody's: it is not taken away.
pub(super) fn owner(dir: &OwnedFd, name: &str) -> Owner {
    let Ok(file) = open_entry(dir, name) else { return Owner::Somebody };
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Owner::Somebody;
    }
    let mut bytes = Vec::new();
    if File::from(file).read_to_end(&mut bytes).is_err() {
        return Owner::Somebody;
    }
    // What cannot be understood was cut short when its maker was killed.
    let Ok(who) = serde_json::from_slice::<Claimant>(&bytes) else { return Owner::Nobody };
    match rustix::fs::statat(rustix::fs::CWD, &who.state, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => Owner::Nobody,
        _ => Owner::Somebody,
    }
}

pub(super) fn open_entry(dir: &OwnedFd, name: &str) -> casemate_sys::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(dir, name, flags, Mode::empty()).call(|| format!("openat({name})"))
}

/// `None`: it is gone; who gives something back takes no lock.
pub(super) fn read(dir: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>> {
    let file = match open_entry(dir, name) {
        Err(error) if error.errno() == Errno::NOENT => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    File::from(file).read_to_end(&mut bytes).map_err(|e| io_error_text(&e))?;
    Ok(Some(bytes))
}

/// `None`: there is none, or it is root's alone, and an ordinary user's container has nothing in there.
pub(super) fn open_existing<R: Resource>(dir: &Path) -> Result<Option<OwnedFd>> {
    match rustix::fs::open(dir, READ_DIR, Mode::empty()) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::ACCESS) => Ok(None),
        Err(e) => Err(e).call(|| format!("open({})", dir.display())).context(R::WHAT),
    }
}

pub(super) fn remove<R: Resource>(dir: &OwnedFd, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e).call(|| format!("unlinkat({name})")).context(R::WHAT),
    }
}

pub(super) fn entries<R: Resource>(dir: &OwnedFd) -> Result<Vec<Entry<R>>> {
    let dir = rustix::fs::Dir::read_from(dir).call(|| "opendir()").context(R::WHAT)?;
    let mut entries = Vec::new();
    for entry in dir {
        let entry = entry.call(|| "readdir()").context(R::WHAT)?;
        // Other files are none of ours.
        entries.extend(entry.file_name().to_str().ok().and_then(Entry::parse));
    }
    Ok(entries)
}
