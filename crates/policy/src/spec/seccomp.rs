//! The bundle's system call filter, as written. Names of actions, architectures and operators stay
//! strings here: the seccomp crate gives them meaning and refuses those it does not know.

use super::de::{is_default, non_empty, nullable, objects};
use serde::{Deserialize, Serialize};

/// `linux.seccomp`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompProfile {
    /// `SCMP_ACT_*` for everything that no rule matches.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub default_action: String,
    /// errno of a default action that returns one; 1 (EPERM) when not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_errno_ret: Option<u32>,
    /// `SCMP_ARCH_*`; empty means the native one.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub architectures: Vec<String>,
    /// `SECCOMP_FILTER_FLAG_*`. `None` (absent or `null`) lets the runtime choose, which by custom means
    /// SPEC_ALLOW; an empty list means no flags at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    /// UNIX socket that gets the notification descriptor.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub listener_path: Option<String>,
    /// Opaque text for that listener.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub listener_metadata: Option<String>,
    /// The rules.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub syscalls: Vec<SeccompSyscall>,
}

impl SeccompProfile {
    /// True for a profile without default action and rules, which engines send to say "no filter".
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.default_action.is_empty() && self.syscalls.is_empty()
    }

    /// True when some rule hands the call to a listener.
    #[must_use]
    pub fn uses_notify(&self) -> bool {
        self.syscalls.iter().any(|rule| rule.action == "SCMP_ACT_NOTIFY")
    }
}

/// One rule: for any of `names`, when all `args` match, do `action`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompSyscall {
    /// System call names.
    #[serde(deserialize_with = "nullable")]
    pub names: Vec<String>,
    /// `SCMP_ACT_*`.
    #[serde(deserialize_with = "nullable")]
    pub action: String,
    /// errno, or the message of a trace action.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno_ret: Option<u32>,
    /// Conditions on the arguments, all of which must hold.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub args: Vec<SeccompArg>,
}

/// A condition on one argument.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SeccompArg {
    /// Which argument, 0 to 5.
    #[serde(deserialize_with = "nullable")]
    pub index: u32,
    /// What it is compared with; the mask for `SCMP_CMP_MASKED_EQ`.
    #[serde(deserialize_with = "nullable")]
    pub value: u64,
    /// The wanted value for `SCMP_CMP_MASKED_EQ`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub value_two: u64,
    /// `SCMP_CMP_*`.
    #[serde(deserialize_with = "nullable")]
    pub op: String,
}
