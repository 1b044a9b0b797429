//! The files of a host, and which of them could not be read.

use super::check::{Check, Status};
use casemate_runtime::files::io_error_text;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A host whose files are read.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
    /// What is there and could not be read, by path.
    unread: RefCell<BTreeMap<PathBuf, Error>>,
}

impl Host {
    /// The host with its files below `root`; `/` for the running one.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), unread: RefCell::default() }
    }

    /// Whether it is the host that this program runs on.
    pub fn is_running(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Where a path of the host is to be found.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The answer, if there is one; that there is none, for another reason than that nothing is there, is told by
    /// [`Host::unread`].
    fn known<T>(&self, path: &Path, answer: std::io::Result<T>) -> Option<T> {
        match answer {
            Ok(known) => Some(known),
            Err(error) => {
                if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) {
                    self.unread.borrow_mut().insert(
                        path.to_owned(),
                        Error(error.kind(), io_error_text(&error).to_string()),
                    );
                }
                None
            }
        }
    }

    /// A check that fails where files were there and could not be read since this was asked last: other checks took them for
    /// absent.
    pub fn unread(&self) -> Option<Check> {
        let unread = self.unread.take();
        let denied = unread.values().all(|Error(kind, _)| *kind == ErrorKind::PermissionDenied);
        let ordinary = denied && !rustix::process::geteuid().is_root();
        let status = if ordinary { Status::Info } else { Status::Warning };
        let each = unread.iter().map(|(path, Error(_, why))| format!("{}: {why}", path.display()));
        let found = each.collect::<Vec<_>>().join("; ");
        let check = Check::new("host.files", status, format!("cannot be read: {found}"));
        let check = check.needed_for("what the other checks say");
        let check = if ordinary { check.hint("run this as root") } else { check };
        (!unread.is_empty()).then_some(check)
    }

    /// A file's text; `None` when it cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = self.known(path.as_ref(), std::fs::read(self.path(&path)))?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A one-line file without its line end.
    pub fn line(&self, path: impl AsRef<Path>) -> Option<String> {
        self.read(path).map(|text| text.trim().to_owned())
    }

    /// Whether something has this name.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.known(path.as_ref(), self.path(&path).symlink_metadata()).is_some()
    }

    /// The names in a directory that end in `suffix`, sorted; empty when there is no such directory.
    pub fn names(&self, dir: impl AsRef<Path>, suffix: &str) -> Vec<String> {
        let listed = std::fs::read_dir(self.path(&dir));
        let listed = listed.and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
        let entries = self.known(dir.as_ref(), listed).unwrap_or_default();
        let mut names: Vec<String> = entries
            .into_iter()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.ends_with(suffix) && !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }
}

/// Why something could not be read.
#[derive(Clone, Debug)]
struct Error(ErrorKind, String);
