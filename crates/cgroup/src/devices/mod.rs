//! Which devices a cgroup may use: rules, the program made of them, and putting it in force.
//!
//! cgroup v2 has no device files; the kernel asks BPF programs attached to the cgroup and its ancestors, and all
//! of them must allow an access. [`DeviceProgram`] is pure; [`Cgroup::set_devices`] is the part that talks
//! to the kernel. Which rules a container gets is the caller's decision: no rule is added here.

mod attach;
mod program;

pub use attach::LoadedDevices;
pub use program::DeviceProgram;

use serde::{Deserialize, Serialize};
use std::fmt;

#[cfg(doc)]
use crate::Cgroup;

/// Kind of device that a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeviceKind {
    /// `a`: block and character devices.
    All,
    /// `b`
    Block,
    /// `c`
    Char,
}

/// What is done with a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAccess {
    /// `r`
    pub read: bool,
    /// `w`
    pub write: bool,
    /// `m`: make a device node.
    pub mknod: bool,
}

impl DeviceAccess {
    /// `rwm`
    pub const ALL: Self = Self { read: true, write: true, mknod: true };

    /// Read a string of `r`, `w` and `m` in any order; `None` for anything else and for the empty string.
    pub fn parse(text: &str) -> Option<Self> {
        let mut access = Self::default();
        for letter in text.chars() {
            match letter {
                'r' => access.read = true,
                'w' => access.write = true,
                'm' => access.mknod = true,
                _ => return None,
            }
        }
        (access != Self::default()).then_some(access)
    }

    /// The bits that the kernel has for it (BPF_DEVCG_ACC_* of linux/bpf.h).
    pub(crate) fn bits(self) -> u32 {
        u32::from(self.mknod) | u32::from(self.read) << 1 | u32::from(self.write) << 2
    }
}

impl fmt::Display for DeviceAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, 'r'), (self.write, 'w'), (self.mknod, 'm')];
        letters.iter().filter(|(set, _)| *set).try_for_each(|(_, letter)| write!(f, "{letter}"))
    }
}

/// One rule. Rules form a list in which a later one overrides an earlier one for what both speak of; what no rule
/// speaks of is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Grant or deny.
    pub allow: bool,
    /// Block, character or both.
    pub kind: DeviceKind,
    /// Device number; `None`: any.
    pub major: Option<u32>,
    /// Device number; `None`: any.
    pub minor: Option<u32>,
    /// Which accesses.
    pub access: DeviceAccess,
}

impl DeviceRule {
    /// Whether this rule speaks of everything, so that earlier rules no longer matter.
    fn is_total(&self) -> bool {
        self.kind == DeviceKind::All
            && self.major.is_none()
            && self.minor.is_none()
            && self.access == DeviceAccess::ALL
    }
}

/// The rules from the last one that speaks of everything on, and whether what they leave open is allowed.
pub(crate) fn effective(rules: &[DeviceRule]) -> (bool, &[DeviceRule]) {
    match rules.iter().rposition(DeviceRule::is_total) {
        Some(index) => (rules[index].allow, &rules[index + 1..]),
        None => (false, rules),
    }
}
