//! Which bundles the containers of a state root were made from, and which hooks they have, for other containers: what lies there
//! decides what root runs next, and no other container is to write it.
//!
//! One small file for each container, beside their directories, and only for what lies among data: bundles of engines
//! are in the engines' directories, and most hooks in the host's system, which are protected as such. So a node full of pods has
//! none of these files, and nobody reads the records of all containers.

use super::record::Record;
use crate::decide::caller::Caller;
use crate::decide::facts::Origin;
use crate::files::io_error_text;
use anyhow::{anyhow, Context as _, Result};
use casemate_kernel::mountinfo::{self, Mount};
use casemate_policy::{BundleFact, Usual, SIGNS};
use rustix::fd::OwnedFd;
use rustix::fs::AtFlags;
use rustix::io::Errno;
use std::borrow::Cow;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The directory in the state root. It is no container's: an id has no such character.
const DIR: &str = "@bundles";

/// How often a directory is made anew that somebody removes under our feet.
const ATTEMPTS: usize = 8;

/// The file of a container, below the state root.
fn file_of(id: &str) -> PathBuf {
    Path::new(DIR).join(id)
}

/// Write down where the bundle of a container lies, unless an engine keeps it, and what its hooks depend on. `table`: mountinfo of
/// the host, or nothing.
///
/// # Errors
/// It cannot be written, or what it is to say cannot be looked at.
pub(crate) fn register(
    root: &Path,
    record: &Record,
    caller: &Caller,
    (proc, table): (&OwnedFd, &[u8]),
) -> Result<()> {
    let engines = is_engines(&record.bundle.to_string_lossy());
    if engines && record.spec.hooks.kinds().iter().all(|(_, list)| list.is_empty()) {
        return Ok(());
    }
    // Where no control was asked nobody has read it.
    let table = match table.is_empty() {
        true => Cow::Owned(crate::procfs::read_bytes(proc, "self/mountinfo")?),
        false => Cow::Borrowed(table),
    };
    let mounts = mountinfo::parse(&table)?;
    let hooks = hooks(record, caller, proc, &mounts)?;
    let fact = match engines {
        true if hooks.is_empty() => return Ok(()),
        // `/` is nobody's root file system, for whoever reads this; releases that know no hooks, too.
        true => BundleFact { root: "/".to_owned(), ..BundleFact::default() },
        false => {
            let (bundle, config) = (record.bundle.as_path(), record.config.as_deref());
            Origin { bundle, config, rootfs: &record.rootfs }.fact(proc, &mounts)?
        }
    };
    let fact = BundleFact { container: record.id.clone(), hooks, ..fact };
    let (dir, file) = (root.join(DIR), root.join(file_of(&record.id)));
    let about = || file.display().to_string();
    let bytes = serde_json::to_vec(&fact)?;
    let mut attempts = ATTEMPTS;
    loop {
        match rustix::fs::mkdir(&dir, rustix::fs::Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(anyhow!(casemate_sys::errno_text(error))).with_context(about),
        }
        match std::fs::write(&file, &bytes) {
            // The last container in it was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound && attempts > 0 => attempts -= 1,
            other => return other.map_err(|e| io_error_text(&e)).with_context(about),
        }
    }
}

fn hooks(
    record: &Record,
    caller: &Caller,
    proc: &OwnedFd,
    mounts: &[Mount<'_>],
) -> Result<Vec<String>> {
    let root = caller.euid == 0 && caller.initial_user_namespace;
    let places =
        crate::decide::facts::hook_places(&record.spec.hooks, (caller.euid, root), proc, mounts)?;
    let data = record.spec.overrides().values.paths_data.as_deref().unwrap_or_default();
    Ok(crate::decide::facts::among_data(places, data))
}

/// Forget where the bundle of a container lies; the directory goes with the last of them.
///
/// # Errors
/// It cannot be removed.
pub(super) fn forget(root: &OwnedFd, id: &str) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(root, file_of(id), AtFlags::empty()) {
        // Mostly: an engine keeps it. Or the creator was killed before it was written.
        Err(Errno::NOENT) => {}
        other => other?,
    }
    match rustix::fs::unlinkat(root, DIR, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The bundles of the other containers of a state root, as far as they lie among data.
///
/// # Errors
/// One is there and cannot be read.
pub(crate) fn of_others(root: &Path, own: &str) -> Result<Vec<BundleFact>> {
    let dir = root.join(DIR);
    let entries = match std::fs::read_dir(&dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        other => other.map_err(|e| io_error_text(&e)).with_context(|| dir.display().to_string())?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| io_error_text(&e))?.file_name();
        let path = dir.join(&name);
        let is_there = || {
            let there = root.join(&name).try_exists();
            there.map_err(|e| io_error_text(&e)).with_context(|| path.display().to_string())
        };
        // The second: a container has left it that is no more.
        if name == own || !is_there()? {
            continue;
        }
        match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => {
                let about = || path.display().to_string();
                let bytes = other.map_err(|e| io_error_text(&e)).with_context(about)?;
                match serde_json::from_slice(&bytes) {
                    // Its creator is at it, or was killed over it: there is no container yet.
                    Err(error) if error.is_eof() => {}
                    fact => found.push(fact.with_context(about)?),
                }
            }
        }
    }
    Ok(found)
}

/// Whether a bundle lies where an engine keeps them, and lets nobody else write.
fn is_engines(bundle: &str) -> bool {
    if crate::decide::facts::is_in_volume(bundle) {
        return false;
    }
    let is_sign = |part: &str| SIGNS.iter().any(|(sign, _)| *sign == part);
    casemate_policy::usual(bundle) == Usual::Engine || bundle.split('/').any(is_sign)
}
