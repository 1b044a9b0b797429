//! Profiles: named sets of rules, and the node's choice among them.
//!
//! A profile is data. The values live in `profiles/*.toml`, each with the reason for it; the constants here
//! are the same values for a start-up that parses nothing, and a test compares the two. This module does
//! not apply anything: `rules` does.

mod builtin;
mod file;

pub use file::{parse_node_policy, NodePolicy, PolicyError};

use serde::{Deserialize, Serialize};
use std::fmt;

/// The profiles of this release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProfileName {
    /// The configuration as written.
    Privileged,
    /// The default.
    Hardened,
}

/// Names that later releases will have; asking for one must not look like a typing mistake.
const PLANNED: [&str; 2] = ["baseline", "restricted"];

impl ProfileName {
    /// What applies when nobody chose.
    pub const DEFAULT: Self = Self::Hardened;

    /// The profile called `name`.
    ///
    /// # Errors
    /// A name that is unknown, or that belongs to a later release.
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        match name {
            "privileged" => Ok(Self::Privileged),
            "hardened" => Ok(Self::Hardened),
            _ if PLANNED.contains(&name) => Err(PolicyError::new(format!(
                "profile {name:?} is not available in this release; use hardened or privileged"
            ))),
            _ => Err(PolicyError::new(format!(
                "profile {name:?} is unknown; use hardened or privileged"
            ))),
        }
    }

    /// The name as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Hardened => "hardened",
        }
    }

    /// Its rules.
    #[must_use]
    pub fn profile(self) -> &'static Profile {
        match self {
            Self::Privileged => &builtin::PRIVILEGED,
            Self::Hardened => &builtin::HARDENED,
        }
    }
}

impl fmt::Display for ProfileName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One profile's rules. `None` and empty lists mean that the rule is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Which profile.
    pub name: ProfileName,
    /// Rule `process.no-new-privileges`.
    pub no_new_privileges: bool,
    /// Rule `namespaces.mount`.
    pub require_mount_namespace: bool,
    /// Rule `mounts.shared-propagation`: off when true.
    pub allow_shared_propagation: bool,
    /// Rule `capabilities.ceiling`, as a mask.
    pub capability_ceiling: Option<u64>,
    /// Rule `rlimits.core`, bytes.
    pub core_limit: Option<u64>,
    /// Rule `seccomp.default`.
    pub default_filter: bool,
    /// Rule `root.readonly`.
    pub readonly_root: bool,
    /// Rule `root.tmpfs`.
    pub tmpfs: &'static [Tmpfs],
    /// Rule `paths.masked`.
    pub masked_paths: &'static [&'static str],
    /// Rule `paths.readonly`.
    pub readonly_paths: &'static [&'static str],
    /// Rule `pids.limit`, tasks.
    pub pids_limit: Option<i64>,
    /// Rule `devices.cgroup`.
    pub strict_devices: bool,
}

impl Profile {
    /// True when no rule is on.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        *self == Self { name: self.name, ..builtin::PRIVILEGED }
    }
}

/// A tmpfs that makes a place in a read-only root writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where.
    pub destination: &'static str,
    /// Its mount options.
    pub options: &'static [&'static str],
}
