//! The node's policy file, `/etc/casemate/policy.toml`, as text. Whether the file exists and who may write
//! it is the runtime's to check.

use super::ProfileName;
use serde::Deserialize;
use std::fmt;

/// What an administrator sets for the whole node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodePolicy {
    /// The profile of containers that name none.
    pub profile: ProfileName,
}

impl Default for NodePolicy {
    fn default() -> Self {
        Self { profile: ProfileName::DEFAULT }
    }
}

/// A policy that cannot be used; one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    message: String,
}

impl PolicyError {
    pub(crate) fn new(message: String) -> Self {
        Self { message }
    }
}

impl fmt::Display for PolicyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

impl std::error::Error for PolicyError {}

/// An unknown key is an error: a mistyped rule must not silently leave the node without it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Option<String>,
}

/// Reads the node's policy.
///
/// # Errors
/// Text that is not TOML, an unknown key, an unknown profile: one line with the line number.
pub fn parse_node_policy(text: &str) -> Result<NodePolicy, PolicyError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
        let message = error.message().replace('\n', " ");
        PolicyError::new(format!("line {line}: {message}"))
    })?;
    let profile = match &file.profile {
        Some(name) => ProfileName::parse(name)?,
        None => ProfileName::DEFAULT,
    };
    Ok(NodePolicy { profile })
}
