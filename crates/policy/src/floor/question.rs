//! The question that the floor is asked, and the answer so far.

use super::observed::{Observed, Part};
use crate::profile::ProfileName;
use std::collections::BTreeSet;

/// When it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before anything is made, of what is planned.
    Plan,
    /// Of the finished process, before its program runs.
    BeforeExec,
    /// Of a container that runs. What its host has mounted in it since is no violation: [`propagated`](super::propagated) lists it.
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

/// The question, and the answer so far.
pub(super) struct Floor<'a> {
    pub(super) profile: ProfileName,
    pub(super) granted: &'a BTreeSet<String>,
    pub(super) phase: Phase,
    pub(super) seen: &'a Observed<'a>,
    pub(super) found: Vec<Violation>,
}

impl<'a> Floor<'a> {
    pub(super) fn granted(&self, name: &str) -> bool {
        self.granted.contains(name)
    }

    /// A violation, unless its override is granted.
    pub(super) fn violation(
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
    pub(super) fn part<T>(
        &mut self,
        part: &'a Part<T>,
        invariant: &'static str,
        what: &str,
    ) -> Option<&'a T> {
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
    pub(super) fn is_hardened(&self) -> bool {
        self.profile >= ProfileName::Hardened
    }

    pub(super) fn is_restricted(&self) -> bool {
        self.profile >= ProfileName::Restricted
    }
}
