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

use serde::Serialize;
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
}

impl Host {
    /// The host with its files below `root`; `/` for the running one.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where a path of the host is to be found.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// A file's text; `None` when it cannot be read.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let bytes = std::fs::read(self.path(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A one-line file without its line end.
    pub fn line(&self, path: impl AsRef<Path>) -> Option<String> {
        self.read(path).map(|text| text.trim().to_owned())
    }

    /// Whether something has this name.
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// The names in a directory that end in `suffix`, sorted; empty when there is no such directory.
    pub fn names(&self, dir: impl AsRef<Path>, suffix: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.path(dir)) else { return Vec::new() };
        let mut names: Vec<String> = entries
            .flatten()
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

/// Everything about the host, area by area.
pub fn check(host: &Host) -> Vec<Check> {
    let mut checks = kernel::checks(host);
    checks.extend(cgroup::checks(host));
    checks.extend(security::checks(host));
    checks.extend(storage::checks(host));
    checks.extend(node::checks(host));
    checks
}
