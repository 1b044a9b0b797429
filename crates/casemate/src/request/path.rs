//! Paths from the command line, made absolute against the caller's working directory.
//!
//! This happens before anything changes directory, and reads the working directory only if it has to:
//! engines pass absolute paths.

use anyhow::Context;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// The path, absolute; an empty value counts as not given.
pub(crate) fn optional(value: Option<&OsStr>) -> anyhow::Result<Option<PathBuf>> {
    value.filter(|value| !value.is_empty()).map(absolute).transpose()
}

/// The path, absolute. `.` components vanish; `..` stays, since what it means depends on symbolic links.
pub(crate) fn absolute(value: impl AsRef<OsStr>) -> anyhow::Result<PathBuf> {
    let path = Path::new(value.as_ref());
    std::path::absolute(path)
        .with_context(|| format!("find the working directory to resolve {}", path.display()))
}

/// A directory, by default the working directory. `state` reports it, so a `..` is resolved here.
pub(crate) fn directory(value: Option<&OsStr>) -> anyhow::Result<PathBuf> {
    let Some(value) = value.filter(|value| !value.is_empty()) else {
        return std::env::current_dir().context("find the working directory");
    };
    let path = absolute(value)?;
    if path.components().any(|part| part == Component::ParentDir) {
        return path.canonicalize().with_context(|| format!("resolve {}", path.display()));
    }
    Ok(path)
}

/// The path without `.` and `..`, by text alone, as Go's `filepath.Clean` does it.
pub(crate) fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            Component::CurDir => {}
            part => clean.push(part),
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_taken_from_the_working_directory() {
        let cwd = std::env::current_dir().unwrap();
        assert_eq!(absolute("a/./b").unwrap(), cwd.join("a/b"));
        assert_eq!(absolute("/x/y").unwrap(), Path::new("/x/y"));
        assert_eq!(directory(None).unwrap(), cwd);
        assert_eq!(directory(Some("".as_ref())).unwrap(), cwd);
        assert_eq!(directory(Some(".".as_ref())).unwrap(), cwd);
        assert_eq!(directory(Some("/usr/..".as_ref())).unwrap(), Path::new("/"));
        assert_eq!(optional(Some("".as_ref())).unwrap(), None);
    }

    #[test]
    fn clean_cannot_leave_the_root() {
        assert_eq!(clean(Path::new("/a/../../..")), Path::new("/"));
        assert_eq!(clean(Path::new("/a/./b/../c/")), Path::new("/a/c"));
    }
}
