//! Profiles: named sets of rules.
//!
//! A profile is data. The values live in `profiles/*.toml`, each with the reason for it; `build.rs` makes constants of
//! them, for a start-up that parses nothing. What a control does in a profile stands in the control's row. This module
//! does not apply anything: `controls` does.

mod name;

pub use name::ProfileName;

/// What `build.rs` has made of `profiles/*.toml`.
mod builtin {
    use super::{Profile, ProfileName, Tmpfs};

    include!(concat!(env!("OUT_DIR"), "/profiles.rs"));
}

use crate::control::{ControlId, Mode, CONTROLS};

impl ProfileName {
    /// Its values.
    #[must_use]
    pub fn profile(self) -> &'static Profile {
        match self {
            Self::Privileged => &builtin::PRIVILEGED,
            Self::Baseline => &builtin::BASELINE,
            Self::Hardened => &builtin::HARDENED,
            Self::Restricted => &builtin::RESTRICTED,
        }
    }
}

/// One profile's values. Which of them are in force say the modes of the controls ([`Profile::mode`]): the values of a
/// control that is off matter when a policy or an annotation switches it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Which profile.
    pub name: ProfileName,
    /// Control `capabilities.ceiling`, as a mask.
    pub capability_ceiling: u64,
    /// Control `rlimits.core`, bytes.
    pub core_limit: u64,
    /// Control `seccomp.default`: the filter is loaded also beside one of the configuration's own.
    pub stack_filter: bool,
    /// Control `seccomp.default`: the filter is the one with additional refusals.
    pub strict_filter: bool,
    /// A control that the kernel cannot carry out refuses the container, and is not waived.
    pub fail_closed: bool,
    /// Control `root.tmpfs`.
    pub tmpfs: &'static [Tmpfs],
    /// Control `paths.masked`.
    pub masked_paths: &'static [&'static str],
    /// Control `paths.readonly`.
    pub readonly_paths: &'static [&'static str],
    /// Controls `paths.masked` and `paths.readonly`: a container with a user namespace whose configuration hides nothing
    /// at all is left as it is.
    pub unmasked_in_userns: bool,
    /// Control `pids.limit`, tasks.
    pub pids_limit: i64,
    /// Control `process.root`: root of a user namespace is nobody's root.
    pub root_in_userns: bool,
    /// Control `mounts.flags`: volumes are noexec too.
    pub noexec_volumes: bool,
    /// Control `sysctls.allowlist`, as paths below `/proc/sys`.
    pub sysctls: &'static [&'static str],
    /// Control `rlimits.defaults`: open files, soft and hard.
    pub nofile_limit: (u64, u64),
    /// Control `rlimits.defaults`: locked memory in bytes, soft and hard.
    pub memlock_limit: (u64, u64),
}

impl Profile {
    /// What a control does in this profile.
    #[must_use]
    pub fn mode(&self, rule: ControlId) -> Mode {
        let control = CONTROLS.iter().find(|control| control.id == rule);
        control.map_or(Mode::Enforce, |control| control.mode(self.name))
    }

    /// True when configurations are run as written, as far as nothing else is demanded.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        self.name == ProfileName::Privileged
    }
}

/// A tmpfs that makes a place in a read-only root writable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tmpfs {
    /// Where.
    pub destination: &'static str,
    /// Its mount options.
    pub options: &'static [&'static str],
    /// Only where the image has a directory of this name ([`crate::HostFacts::present`]).
    pub if_present: bool,
}

/// The places that a profile makes writable if the image has them: what [`crate::HostFacts::present`] is asked for.
pub fn optional_places() -> impl Iterator<Item = &'static str> {
    let optional = builtin::HARDENED.tmpfs.iter().filter(|tmpfs| tmpfs.if_present);
    optional.map(|tmpfs| tmpfs.destination)
}
