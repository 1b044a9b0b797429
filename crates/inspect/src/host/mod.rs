//! What this kernel and this host can enforce, what is missing, and how to get it.
//!
//! A check looks at one thing and says in one line what it found. It makes the call, or reads the file, that
//! casemate itself would; version numbers are looked at only where trying would change the host. The files can be
//! taken from below another directory, so that a disk image can be looked at; system calls always
//! go to the running kernel.

mod cgroup;
mod kernel;
mod node;
mod security;
mod storage;

use casemate_runtime::files::io_error_text;
use serde::Serialize;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Ok,
    /// For information; nothing to do.
    Info,
    /// Containers run; something is weaker, or slower, than it could be.
    Warning,
    /// Containers, or what was asked about, will not work.
    Missing,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// Stable name, `area.thing`.
    pub id: String,
    /// How it ended.
    pub status: Status,
    /// What was found, in a line.
    pub found: String,
    /// What needs it.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub needed_for: &'static str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// Lines to paste into a file, when that is the fix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<String>,
}

impl Check {
    /// A check without advice.
    pub fn new(id: impl Into<String>, status: Status, found: impl Into<String>) -> Self {
        let (id, found) = (id.into(), found.into());
        Self { id, status, found, needed_for: "", fix: None, snippet: None }
    }

    /// What needs it.
    #[must_use]
    pub fn needed_for(mut self, what: &'static str) -> Self {
        self.needed_for = what;
        self
    }

    /// What to do, kept only where something is to be done.
    #[must_use]
    pub fn fix(mut self, advice: impl Into<String>) -> Self {
        if self.status >= Status::Warning {
            self.fix = Some(advice.into());
        }
        self
    }

    /// What would make it better, kept where it is not as good as it can be: nothing has to be done.
    #[must_use]
    pub fn hint(mut self, advice: impl Into<String>) -> Self {
        if self.status >= Status::Info {
            self.fix = Some(advice.into());
        }
        self
    }

    /// Lines to paste, kept only where something is to be done.
    #[must_use]
    pub fn snippet(mut self, lines: impl Into<String>) -> Self {
        if self.status >= Status::Warning {
            self.snippet = Some(lines.into());
        }
        self
    }
}

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

    /// Whether it is the running host.
    pub fn is_live(&self) -> bool {
        self.root == Path::new("/")
    }
}

/// Why something could not be read.
#[derive(Clone, Debug)]
struct Error(ErrorKind, String);

/// Everything about the host, area by area.
pub fn check(host: &Host) -> Vec<Check> {
    let mut checks = kernel::checks(host);
    checks.extend(cgroup::checks(host));
    checks.extend(security::checks(host));
    checks.extend(storage::checks(host));
    checks.extend(node::checks(host));
    checks.extend(host.unread());
    checks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_and_cannot_be_read_is_told_once_and_what_is_not_there_is_not() {
        let dir = std::env::temp_dir().join(format!("casemate-host-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("etc/policy.toml")).unwrap();
        let host = Host::at(&dir);
        assert_eq!(host.read("/etc/other.toml"), None);
        assert!(!host.exists("/etc/other.toml/below"));
        assert!(host.unread().is_none());
        assert_eq!(host.read("/etc/policy.toml"), None);
        let told = host.unread().unwrap();
        assert_eq!(told.status, Status::Warning);
        assert_eq!(told.found, "cannot be read: /etc/policy.toml: is a directory");
        assert!(host.unread().is_none());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
