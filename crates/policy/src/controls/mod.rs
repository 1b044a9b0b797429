//! The controls: one family a file, and in it the control's row of the table, what it admits and what it says later.
//!
//! None looks at the profile's name, only at its values. To add one: its file, a line below and its test; docs/CONTRIBUTING.md
//! shows how.

pub(crate) mod annotations;
pub(crate) mod apparmor;
pub(crate) mod bundle;
pub(crate) mod capabilities;
pub(crate) mod cgroup_mount;
pub(crate) mod console;
pub(crate) mod core;
pub(crate) mod descriptors;
pub(crate) mod device_rules;
pub(crate) mod devices;
pub(crate) mod exec;
pub(crate) mod flags;
pub(crate) mod groups;
pub(crate) mod hooks;
pub(crate) mod keyring;
pub(crate) mod landlock;
pub(crate) mod listener;
pub(crate) mod memory;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod netdev;
pub(crate) mod no_new_privs;
pub(crate) mod oom_score;
pub(crate) mod paths;
pub(crate) mod pids;
pub(crate) mod proc_subset;
pub(crate) mod propagation;
pub(crate) mod rlimits;
pub(crate) mod root;
pub(crate) mod root_user;
pub(crate) mod scheduler;
pub(crate) mod seccomp;
pub(crate) mod selinux;
pub(crate) mod sysctls;
pub(crate) mod tmpfs;
pub(crate) mod unified;
pub(crate) mod unknown;
pub(crate) mod userns;

/// What every control uses.
pub(crate) mod prelude {
    pub(super) use crate::admit::{values, Draft, Log};
    pub(super) use crate::control::{Control, ControlId, HIGH, LOW, MEDIUM, OFF, ON, WARN};
    pub(super) use crate::decision::Verdict;
    pub(super) use crate::hardened::HardenedSpec;
    pub(super) use crate::refusal::Refusal;
}
