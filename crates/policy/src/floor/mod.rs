//! The floor: what must be true of any container of a profile, in terms of what the kernel shows of it.
//!
//! Written by hand, apart from the controls. These decide what is let into a configuration; this module knows nothing of
//! them and of configurations, and says a second time what may not be in a container. So a hole in a control needs the same
//! hole here to pass. It may use the parsers and tables of `casemate_kernel`, the names of profiles, and the names of
//! overrides that were granted, and nothing else of this crate (`the_floor_shares_nothing_with_the_controls`).
//!
//! It is asked three times: about the plan, about the kernel's state before the program runs, and by an audit at any time
//! after. Profile `privileged` has no floor.

mod flags;
mod identity;
mod kernel_paths;
mod observed;
mod overlay;
mod path;
mod places;
mod process;
mod question;
#[cfg(test)]
mod tests;
mod types;

pub use kernel_paths::{MASKED, READ_ONLY};
pub use observed::{Caller, Host, Limit, Namespace, Observed, Part};
pub use question::{Phase, Violation};

use crate::profile::ProfileName;
use casemate_kernel::MountTree;
use question::Floor;
use std::collections::BTreeSet;

/// All violations. `granted`: the names of overrides that this container has.
#[must_use]
pub fn check(
    profile: ProfileName,
    granted: &BTreeSet<String>,
    phase: Phase,
    seen: &Observed<'_>,
) -> Vec<Violation> {
    if profile == ProfileName::Privileged {
        return Vec::new();
    }
    let mut floor = Floor { profile, granted, phase, seen, found: Vec::new() };
    process::check(&mut floor);
    identity::check(&mut floor);
    if let Some(mounts) = floor.part(&seen.mounts, "mounts.types", "mounts") {
        let tree = MountTree::new(mounts);
        types::check(&mut floor, &tree);
        flags::check(&mut floor, &tree);
        kernel_paths::check(&mut floor, &tree);
    }
    floor.found
}

/// Mounts that may have come from the host after the container was begun: where, and of which type. Such a mount follows a
/// mount of the host's that it came from, and so does the one that it lies on (mount_namespaces(7)).
#[must_use]
pub fn propagated(seen: &Observed<'_>) -> Vec<(String, String)> {
    let Part::Seen(mounts) = &seen.mounts else { return Vec::new() };
    let tree = MountTree::new(mounts);
    let late = mounts.iter().filter(|mount| tree.may_be_propagated(mount));
    late.map(|mount| (path::point(mount).into_owned(), mount.fstype.to_owned())).collect()
}
