//! What the floor is told of a hardened configuration: the names that it may know.

use crate::control::{ControlId, Mode, CONTROLS};
use crate::hardened::HardenedSpec;
use std::collections::BTreeSet;

/// Overrides of file systems that only the floor knows by these names.
const MOUNT_TYPES: [&str; 3] = ["mounts.block", "mounts.network", "mounts.fuse"];

impl HardenedSpec {
    /// The names of overrides that the [`floor`](crate::floor) is to know of: those that were granted, and all of a control
    /// that the node's policy has switched off or to warnings.
    #[must_use]
    pub fn names_for_floor(&self) -> BTreeSet<String> {
        let overrides = self.overrides();
        let mut names: BTreeSet<String> = overrides.granted.keys().cloned().collect();
        let loosened =
            |id: ControlId| overrides.modes.contains_key(&id) && self.mode(id) != Mode::Enforce;
        for control in CONTROLS.iter().filter(|control| loosened(control.id)) {
            names.extend(control.allow.iter().map(|name| (*name).to_owned()));
            if control.id == ControlId::MountSources {
                names.extend(MOUNT_TYPES.map(str::to_owned));
            }
        }
        names
    }
}
