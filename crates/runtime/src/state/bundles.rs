//! Which bundles the containers of a state root were made from, and which hooks they have, for other containers: what lies there
//! decides what root runs next, and no other container is to write it.
//!
//! One small file for each container, beside their directories, and only for what lies among data: bundles of engines
//! are in the engines' directories, and most hooks in the host's system, which are protected as such. So a node full of pods has
//! none of these files, and nobody reads the records of all containers.

use crate::files::io_error_text;
use anyhow::{anyhow, Context as _, Result};
use casemate_policy::BundleFact;
use rustix::fd::OwnedFd;
use rustix::fs::AtFlags;
use rustix::io::Errno;
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

/// Write down what others are told of a container.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(root: &Path, fact: &BundleFact) -> Result<()> {
    let (dir, file) = (root.join(DIR), root.join(file_of(&fact.container)));
    let about = || file.display().to_string();
    let bytes = serde_json::to_vec(fact)?;
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
