//! Which containers there are on this host, by the state directories of the runtimes that made them. What is in a directory
//! is read only as far as it says whose it is.

use crate::foreign::{self, Found};
use crate::roots::children;
use anyhow::Result;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A container, as far as its directory says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its whole id.
    pub id: String,
    /// The state root that it was found in.
    pub root: PathBuf,
    /// Its state directory.
    pub dir: PathBuf,
    /// What another runtime's state says; `None`: casemate made it.
    pub foreign: Option<Found>,
}

/// All containers of some state roots.
#[derive(Debug, Default)]
pub struct Census {
    /// Them, root by root, ordered by id.
    pub members: Vec<Member>,
    /// State roots and directories that could not be read; a line each.
    pub problems: Vec<String>,
}

/// Looks at what is in `roots`.
#[must_use]
pub fn take(roots: &[PathBuf]) -> Census {
    let mut census = Census::default();
    for root in roots {
        match children(root) {
            Ok(dirs) => dirs.iter().for_each(|dir| census.add(root, dir)),
            Err(error) => census.problems.push(format!("{error:#}")),
        }
    }
    census
}

/// The same of the containers of one id, without looking at any other.
#[must_use]
pub(crate) fn of_id(roots: &[PathBuf], id: &str) -> Census {
    let mut census = Census::default();
    roots.iter().for_each(|root| census.add(root, &root.join(id)));
    census
}

impl Census {
    fn add(&mut self, root: &Path, dir: &Path) {
        match look(root, dir) {
            Ok(found) => self.members.extend(found),
            Err(error) => self.problems.push(format!("{}: {error:#}", dir.display())),
        }
    }
}

/// One directory; `None`: nobody's, as far as is known here, or gone meanwhile.
fn look(root: &Path, dir: &Path) -> Result<Option<Member>> {
    let Some(id) = dir.file_name().and_then(|name| name.to_str()) else { return Ok(None) };
    match dir.metadata() {
        Ok(meta) if meta.is_dir() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // One whose record is gone is a container all the same: its init may run.
    let own = dir.join("record.json").try_exists()? || dir.join("init.json").try_exists()?;
    let foreign = if own { None } else { foreign::read(id, dir)? };
    Ok((own || foreign.is_some()).then(|| Member {
        id: id.to_owned(),
        root: root.to_owned(),
        dir: dir.to_owned(),
        foreign,
    }))
}
