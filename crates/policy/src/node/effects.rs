//! What a policy file says about all containers, or one of its rules about some.

use super::pattern::{patterns, Pattern, NOTHING};
use super::scope::Scope;
use crate::control::{ControlId, Mode};
use crate::error::PolicyError;
use crate::overrides::Values;
use crate::profile::ProfileName;
use std::collections::BTreeMap;

/// What the top of a file, or one of its rules, says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) profile: Option<(ProfileName, String)>,
    /// `None`: not mentioned.
    pub(crate) permit: Option<PermitList>,
    pub(crate) forbid: Vec<Pattern>,
    /// Granted, and where.
    pub(crate) allow: Vec<(String, String)>,
    pub(crate) modes: BTreeMap<ControlId, Mode>,
    pub(crate) values: Values,
}

/// What a file or a rule permits to ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PermitList {
    /// It stands in place of what was permitted before, and does not add to it.
    pub(crate) anew: bool,
    pub(crate) names: Vec<Pattern>,
}

impl PermitList {
    pub(super) fn add(&mut self, later: Self) {
        match later.anew {
            true => *self = later,
            false => self.names.extend(later.names),
        }
    }
}

/// What a file says, or a rule that is for a container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied<'a> {
    pub(crate) effects: &'a Effects,
    /// It is certain whom it is for; if not, it counts only as far as it takes away.
    pub(crate) gives: bool,
}

/// A rule for some containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) scope: Scope,
    pub(crate) effects: Effects,
}

impl Effects {
    /// Whether anything here may be less strict than what applies without it.
    pub(super) fn may_give(&self) -> bool {
        let permits = self.permit.as_ref().is_some_and(|list| !list.names.is_empty());
        let is_loose = |(name, _): &(ProfileName, String)| *name < ProfileName::Restricted;
        permits
            || !self.allow.is_empty()
            || self.profile.as_ref().is_some_and(is_loose)
            || self.modes.values().any(|mode| *mode < Mode::Enforce)
            || self.values != Values::default()
    }
}

/// What a list of permitted names says.
pub(crate) fn permit_list(list: &[(String, String)]) -> Result<PermitList, PolicyError> {
    let mut all = PermitList { anew: list.is_empty(), names: Vec::new() };
    for (text, place) in list {
        match text.as_str() {
            NOTHING => all.anew = true,
            text => all.names.extend(patterns(text, place).map_err(|error| error.at(place))?),
        }
    }
    Ok(all)
}
