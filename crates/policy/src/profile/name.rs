//! The names of the profiles.

use crate::error::PolicyError;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The profiles, from the loosest to the strictest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    /// The configuration as written.
    Privileged,
    /// Known ways out are shut; what Kubernetes' Pod Security Standard of this name asks for.
    Baseline,
    /// The default.
    Hardened,
    /// As little as a program can live with.
    Restricted,
}

impl ProfileName {
    /// What applies when nobody chose.
    pub const DEFAULT: Self = Self::Hardened;

    /// From the loosest to the strictest.
    pub const ALL: [Self; 4] = [Self::Privileged, Self::Baseline, Self::Hardened, Self::Restricted];

    /// The profile called `name`.
    ///
    /// # Errors
    /// A name that is unknown.
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        let found = Self::ALL.into_iter().find(|profile| profile.as_str() == name);
        found.ok_or_else(|| {
            PolicyError::new(format!(
                "profile {name:?} is unknown; use privileged, baseline, hardened or restricted"
            ))
        })
    }

    /// The name as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Hardened => "hardened",
            Self::Restricted => "restricted",
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
