//! What the rules may know about the host: plain data, probed by the runtime before the rules run.
//!
//! Nothing here is looked up; a fact that is missing cannot be guessed later. The record of a container
//! keeps these facts, so that the same decisions can be made again from it.

use serde::{Deserialize, Serialize};

/// The host as the rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HostFacts {
    /// Effective user id of the caller.
    pub euid: u32,
    /// The caller sits in the initial user namespace.
    pub in_initial_userns: bool,
    /// AppArmor is enabled.
    pub apparmor: bool,
    /// SELinux is enabled.
    pub selinux: bool,
    /// Landlock ABI version; 0 when the kernel has none.
    pub landlock_abi: u32,
    /// Kernel release, major and minor.
    pub kernel: (u32, u32),
    /// cgroup v2 controllers that a container's cgroup can have; empty when it gets no cgroup.
    pub cgroup_controllers: Vec<String>,
    /// `kernel.core_pattern` starts a program.
    pub core_pattern_is_pipe: bool,
}

impl HostFacts {
    /// True when a container's cgroup can have this controller.
    #[must_use]
    pub fn has_controller(&self, name: &str) -> bool {
        self.cgroup_controllers.iter().any(|controller| controller == name)
    }
}
