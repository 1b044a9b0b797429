//! Paths from the command line, made absolute against the caller's working directory.
//!
//! This happens before anything changes directory, and reads the working directory only if it has to:
//! engines pass absolute paths.

use super::Invalid;
use anyhow::Context;
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

/// How clap reads the path of a file.
#[must_use]
pub fn file() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|value| absolute(value).map_err(invalid))
}

/// How clap reads the path of a directory.
#[must_use]
pub fn dir() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|value| directory(&value).map_err(invalid))
}

fn invalid(error: anyhow::Error) -> Invalid {
    Invalid::new(format!("{error:#}"))
}

/// The path, absolute. `.` components vanish; `..` stays, since what it means depends on symbolic links.
///
/// # Errors
/// The path is relative and there is no working directory.
pub fn absolute(value: impl AsRef<OsStr>) -> anyhow::Result<PathBuf> {
    let path = Path::new(value.as_ref());
    std::path::absolute(path)
        .with_context(|| format!("find the working directory to resolve {}", path.display()))
}

/// A directory. `state` reports it, so a `..` is resolved here.
///
/// # Errors
/// As [`absolute`]; and of a `..` that leads nowhere.
pub fn directory(value: impl AsRef<OsStr>) -> anyhow::Result<PathBuf> {
    let path = absolute(value)?;
    if path.components().any(|part| part == Component::ParentDir) {
        return path.canonicalize().with_context(|| format!("resolve {}", path.display()));
    }
    Ok(path)
}

/// The path without `.` and `..`, by text alone, as Go's `filepath.Clean` does it.
#[must_use]
pub fn clean(path: &Path) -> PathBuf {
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
        assert_eq!(directory(".").unwrap(), cwd);
        assert_eq!(directory("/usr/..").unwrap(), Path::new("/"));
    }

    #[test]
    fn clean_cannot_leave_the_root() {
        assert_eq!(clean(Path::new("/a/../../..")), Path::new("/"));
        assert_eq!(clean(Path::new("/a/./b/../c/")), Path::new("/a/c"));
    }
}
