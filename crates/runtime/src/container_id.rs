//! The id of a container: a name that is a directory's, a cgroup's and a systemd unit's.

use crate::request::Invalid;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

/// Letters, digits, `_ + - .`, and neither `.` nor `..`: it cannot lead out of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// Reads an id.
    ///
    /// # Errors
    /// Empty, or with another character, as runc words it.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(text.parse()?)
    }
}

/// As clap reads it.
impl FromStr for ContainerId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text.is_empty() {
            return Err(Invalid::new("container id cannot be empty"));
        }
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if !text.bytes().all(allowed) || text == "." || text == ".." {
            let error = Invalid::new(format!("invalid container ID format: {text:?}"));
            return Err(error.with_hint("letters, digits and _ + - . are allowed"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for ContainerId {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        Self::parse(&text)
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

impl Deref for ContainerId {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for ContainerId {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl AsRef<std::ffi::OsStr> for ContainerId {
    fn as_ref(&self) -> &std::ffi::OsStr {
        self.0.as_ref()
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_plain_file_names() {
        for id in ["a", "web-1", "A_b+c.d", "...", "0", "-"] {
            assert_eq!(&*ContainerId::parse(id).unwrap(), id);
        }
        let empty = ContainerId::parse("").unwrap_err().to_string();
        assert_eq!(empty, "container id cannot be empty");
        for id in [".", "..", "a/b", "../x", "a b", "a\n", "\u{e9}", "a:b", "a@b"] {
            let error = ContainerId::parse(id).unwrap_err().to_string();
            assert!(error.starts_with("invalid container ID format"), "{id}: {error}");
        }
    }
}
