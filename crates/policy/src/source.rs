//! Who decided.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Annotations that ask for an override.
pub const ALLOW_PREFIX: &str = "org.casemate.allow/";

/// Who decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// The profile itself.
    #[default]
    Profile,
    /// `--allow` or `--profile`.
    CommandLine,
    /// An annotation of the bundle, and which policy permitted it.
    Annotation(String),
    /// A policy file: which, and where in it.
    Policy(String),
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Profile => out.write_str("the profile"),
            Self::CommandLine => out.write_str("the command line"),
            Self::Annotation(permitted) => write!(out, "an annotation, permitted by {permitted}"),
            Self::Policy(place) => out.write_str(place),
        }
    }
}
