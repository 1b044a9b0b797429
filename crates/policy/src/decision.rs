//! Decisions: what a profile did to a configuration, where, and why.
//!
//! The record answers for every rule of the profile, also for those that found nothing to do, so that a
//! reader can tell "was fine already" from "was not looked at".

use crate::profile::ProfileName;
use serde::{Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// The id of a rule, `family.name`: stable, and the anchor of its documentation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(&'static str);

impl RuleId {
    /// The configuration is run as written.
    pub const VERBATIM: Self = Self("profile.verbatim");
    /// prctl(PR_SET_NO_NEW_PRIVS).
    pub const NO_NEW_PRIVILEGES: Self = Self("process.no-new-privileges");
    /// Upper bound of all five capability sets.
    pub const CAPABILITIES: Self = Self("capabilities.ceiling");
    /// No core dumps.
    pub const CORE: Self = Self("rlimits.core");
    /// The default system call filter.
    pub const SECCOMP: Self = Self("seccomp.default");
    /// An own mount namespace.
    pub const MOUNT_NAMESPACE: Self = Self("namespaces.mount");
    /// No propagation to the host.
    pub const PROPAGATION: Self = Self("mounts.shared-propagation");
    /// A read-only root file system.
    pub const READONLY_ROOT: Self = Self("root.readonly");
    /// Writable places in a root that was made read-only.
    pub const TMPFS: Self = Self("root.tmpfs");
    /// Hidden paths.
    pub const MASKED: Self = Self("paths.masked");
    /// Read-only paths.
    pub const READONLY_PATHS: Self = Self("paths.readonly");
    /// Task limit.
    pub const PIDS: Self = Self("pids.limit");
    /// Device access.
    pub const DEVICES: Self = Self("devices.cgroup");
    /// Ids that the container does not map; no profile switches this off.
    pub const IDS: Self = Self("process.ids");
    /// A process added by `exec` keeps the container's security labels.
    pub const LABELS: Self = Self("process.labels");

    /// All rules.
    pub const ALL: [Self; 15] = [
        Self::VERBATIM,
        Self::NO_NEW_PRIVILEGES,
        Self::CAPABILITIES,
        Self::CORE,
        Self::SECCOMP,
        Self::MOUNT_NAMESPACE,
        Self::PROPAGATION,
        Self::READONLY_ROOT,
        Self::TMPFS,
        Self::MASKED,
        Self::READONLY_PATHS,
        Self::PIDS,
        Self::DEVICES,
        Self::IDS,
        Self::LABELS,
    ];

    /// The id as text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The configuration satisfied it already.
    Kept,
    /// Something was allowed that no longer is.
    Tightened,
    /// Something was missing and is there now.
    Added,
    /// Not applied, for the stated reason.
    Waived,
    /// The configuration is not run.
    Refused,
}

/// One entry of the record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The rule.
    pub rule: RuleId,
    /// JSON pointer (RFC 6901) into the configuration as it was given; one that ends in `/-` means entries that were
    /// added to a list, which `after` holds.
    pub pointer: Cow<'static, str>,
    /// What became of the rule.
    pub verdict: Verdict,
    /// What stood there; `null` when nothing did.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// What stands there now.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// Why, for a person.
    pub reason: Cow<'static, str>,
}

/// A configuration that the profile does not run at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The profile that refuses.
    pub profile: ProfileName,
    /// The reason as a decision, with verdict [`Verdict::Refused`].
    pub decision: Box<Decision>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { rule, pointer, reason, .. } = &*self.decision;
        write!(out, "denied by profile {}: {pointer}: {reason} (rule {rule})", self.profile)
    }
}

impl std::error::Error for Refusal {}
