//! Ids that a configuration brings itself (`linux.uidMappings`): beside the ranges of the pool there is a file for each container that
//! has some, so that nobody gets a range which meets them.
//!
//! Two configurations may bring the same ids, as dockerd's `userns-remap` does for all of its containers. How such a file is held, and
//! how it is known to be left over, is as with ranges; earlier releases take it for none of theirs.

use super::claimant::Claimant;
use super::entries::{entries, fill, open_existing, owner, read, remove, unique, Owner};
use super::hash::hash_of;
use super::range::{Mapped, Range, Span};
use super::{Pool, Supply};
use crate::hinted::hinted;
use anyhow::{Context as _, Result};
use casemate_policy::spec::IdMapping;
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::path::Path;

const WHAT: &str = "ids of a configuration";
const PREFIX: &str = "own-";

/// What a container's configuration maps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ids {
    uid: Vec<Span>,
    gid: Vec<Span>,
}

impl Ids {
    /// Of these mappings.
    pub(crate) fn of(uid: &[IdMapping], gid: &[IdMapping]) -> Self {
        let spans = |maps: &[IdMapping]| {
            let span = |map: &IdMapping| Span { first: map.host_id.0, count: map.size };
            maps.iter().map(span).collect()
        };
        Self { uid: spans(uid), gid: spans(gid) }
    }

    /// A container with this range would have some of them.
    pub(super) fn meet(&self, range: Range) -> bool {
        self.uid.iter().any(|span| span.meets(range.uid))
            || self.gid.iter().any(|span| span.meets(range.gid))
    }
}

/// The content of a file: who it is, as in the other files, and what that one has.
#[derive(Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    who: Claimant,
    ids: Ids,
}

/// They are the container's until they are released.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The file's name: for the record.
    pub(crate) name: String,
    /// Locked while the container is made.
    _held: OwnedFd,
}

/// Writes down that a container has these. `judged`: the ranges of others that were there when it was decided that it may; `None`:
/// nobody asks.
///
/// # Errors
/// Somebody has got a range that meets them since; the directory's files.
pub(crate) fn keep<S: Supply<Resource = Range>>(
    pool: &Pool<S>,
    who: &Claimant,
    ids: &Ids,
    judged: Option<&[Range]>,
) -> Result<Kept> {
    let _lock = pool.lock()?;
    for range in entries::<Range>(&pool.dir)?.into_iter().map(|entry| entry.resource) {
        if ids.meet(range) && judged.is_some_and(|judged| !judged.contains(&range)) {
            let Range { uid, gid } = range;
            return Err(hinted(
                format!("{WHAT}: another container has just been given user ids from {uid} on and group ids from {gid} on"),
                "try again",
            ));
        }
    }
    let about = || format!("{WHAT} for {}", who.container);
    let name = format!("{PREFIX}{:x}.{:x}", hash_of(&who.state), unique());
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&pool.dir, &name, flags, Mode::RUSR | Mode::WUSR)
        .call(|| format!("openat({name})"))
        .with_context(about)?;
    match fill(file, &name, &Entry { who: who.clone(), ids: ids.clone() }) {
        Ok(held) => Ok(Kept { name, _held: held }),
        Err(why) => {
            remove::<Range>(&pool.dir, &name)?;
            Err(why).with_context(about)
        }
    }
}

/// All that containers have. With `proc`, what is left over of one whose runtime was killed halfway is dropped, unless some process
/// still has these ids.
pub(super) fn all(dir: &OwnedFd, proc: Option<&OwnedFd>) -> Result<Vec<Ids>> {
    let (mut found, mut mapped) = (Vec::new(), None);
    for name in names(dir)? {
        // It is gone, or was cut short when its maker was killed: then no container was made.
        let Some(entry) = entry(dir, &name)? else {
            if proc.is_some() && matches!(owner(dir, &name), Owner::Nobody) {
                remove::<Range>(dir, &name)?;
            }
            continue;
        };
        let left_over = matches!(owner(dir, &name), Owner::Nobody);
        if let (true, Some(proc)) = (left_over, proc) {
            let mapped = match &mut mapped {
                Some(mapped) => mapped,
                none => none.insert(Mapped::by_processes(proc)?),
            };
            if !mapped.meets(&entry.ids.uid, &entry.ids.gid) {
                remove::<Range>(dir, &name)?;
                continue;
            }
        }
        found.push(entry.ids);
    }
    Ok(found)
}

/// Drops what the container of this state directory has.
///
/// # Errors
/// The directory's files.
pub(crate) fn release_of(dir: &Path, state: &OwnedFd) -> Result<()> {
    let Some(dir) = open_existing::<Range>(dir)? else { return Ok(()) };
    let own = rustix::fs::fstat(state).call(|| "fstat()").context(WHAT)?;
    for name in names(&dir)? {
        // One that cannot be read keeps nobody from removing another container; whoever is given ids hears of it.
        let Ok(Some(entry)) = entry(&dir, &name) else { continue };
        match rustix::fs::statat(rustix::fs::CWD, &entry.who.state, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(st) if (st.st_dev, st.st_ino) == (own.st_dev, own.st_ino) => {
                remove::<Range>(&dir, &name)?;
            }
            // Another container's, which may be anywhere.
            _ => {}
        }
    }
    Ok(())
}

/// Drops what was kept for a container with this state directory by a runtime that was killed before it made the directory.
///
/// # Errors
/// The directory's files, or the processes that may still use what they name.
pub(crate) fn forget(
    dir: &Path,
    supply: impl Supply<Resource = Range>,
    state: &Path,
) -> Result<()> {
    let Some(dir) = open_existing::<Range>(dir)? else { return Ok(()) };
    let own = format!("{PREFIX}{:x}.", hash_of(state));
    if names(&dir)?.iter().any(|name| name.starts_with(&own)) {
        let pool = Pool { dir, supply };
        let _lock = pool.lock()?;
        all(&pool.dir, Some(&crate::procfs::open()?))?;
    }
    Ok(())
}

fn entry(dir: &OwnedFd, name: &str) -> Result<Option<Entry>> {
    let Some(bytes) = read(dir, name).context(WHAT)? else { return Ok(None) };
    match serde_json::from_slice(&bytes) {
        Ok(entry) => Ok(Some(entry)),
        // What is cut short says nothing: it is being written by somebody who does not hold the lock, that is, by nobody.
        Err(error) if error.is_eof() => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{WHAT}: {name}")),
    }
}

fn names(dir: &OwnedFd) -> Result<Vec<String>> {
    let dir = rustix::fs::Dir::read_from(dir).call(|| "opendir()").context(WHAT)?;
    let mut names = Vec::new();
    for entry in dir {
        let entry = entry.call(|| "readdir()").context(WHAT)?;
        // A name that is no text is none of ours.
        let name = entry.file_name().to_str().ok().filter(|name| name.starts_with(PREFIX));
        names.extend(name.map(str::to_owned));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_cut_short_says_nothing_and_a_damaged_one_is_an_error() {
        let path = std::env::temp_dir().join(format!("casemate-brought-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let dir = rustix::fs::open(&path, flags, Mode::empty()).unwrap();
        for (text, said) in [("{\"conta", true), ("", true), ("{\"container\": 7}", false)] {
            std::fs::write(path.join("own-1.2"), text).unwrap();
            assert_eq!(all(&dir, None).is_ok(), said, "{text}");
            let proc = crate::procfs::open().unwrap();
            assert_eq!(all(&dir, Some(&proc)).is_ok(), said, "{text}");
            // Nobody would ever take it away.
            assert_eq!(path.join("own-1.2").exists(), !said, "{text}");
        }
        std::fs::remove_dir_all(path).unwrap();
    }
}
