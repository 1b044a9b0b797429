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
#[cfg(test)]
mod tests;
mod types;

pub use kernel_paths::{MASKED, READ_ONLY};
pub use observed::{Caller, Host, Limit, Namespace, Observed, Part};

use crate::profile::ProfileName;
use casemate_kernel::MountTree;
use std::collections::BTreeSet;

/// When it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before anything is made, of what is planned.
    Plan,
    /// Of the finished process, before its program runs.
    BeforeExec,
    /// Of a container that runs. What its host has mounted in it since is no violation: [`propagated`] lists it.
    AfterExec,
}

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which invariant, `mounts.types`.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
    /// The override that permits it; `None`: only profile `privileged` does.
    pub allow: Option<&'static str>,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "floor {}: {}", self.invariant, self.what)?;
        match self.allow {
            Some(name) => write!(out, " (override: {name})"),
            None => Ok(()),
        }
    }
}

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

/// The question, and the answer so far.
struct Floor<'a> {
    profile: ProfileName,
    granted: &'a BTreeSet<String>,
    phase: Phase,
    seen: &'a Observed<'a>,
    found: Vec<Violation>,
}

impl<'a> Floor<'a> {
    fn granted(&self, name: &str) -> bool {
        self.granted.contains(name)
    }

    /// A violation, unless its override is granted.
    fn violation(
        &mut self,
        invariant: &'static str,
        allow: Option<&'static str>,
        what: impl FnOnce() -> String,
    ) {
        if !allow.is_some_and(|name| self.granted(name)) {
            self.found.push(Violation { invariant, what: what(), allow });
        }
    }

    /// What was seen, if anybody looked. What could not be read is a violation: it cannot be shown to hold.
    fn part<T>(&mut self, part: &'a Part<T>, invariant: &'static str, what: &str) -> Option<&'a T> {
        match part {
            Part::NotLooked => None,
            Part::Seen(seen) => Some(seen),
            Part::Unreadable(why) => {
                self.found.push(Violation {
                    invariant,
                    what: format!("{what} cannot be read: {why}"),
                    allow: None,
                });
                None
            }
        }
    }

    /// `hardened` and what is stricter.
    fn is_hardened(&self) -> bool {
        self.profile >= ProfileName::Hardened
    }

    fn is_restricted(&self) -> bool {
        self.profile >= ProfileName::Restricted
    }
}
