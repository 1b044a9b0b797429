//! Features: what an override adds to the default filter. Each is a named set of rules that are
//! tried before all others (profiles/seccomp/default.json, `features`), so that a container which
//! needs io_uring gets io_uring and keeps every other refusal. Who may grant one is policy's
//! decision.

use crate::rules::{features, Feature};
use std::fmt;

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FeatureSet(u64);

impl FeatureSet {
    /// The features of these names. A leading `seccomp.` or `+` is taken off.
    ///
    /// # Errors
    /// The first name that is no feature.
    pub fn from_names<I, S>(names: I) -> Result<FeatureSet, UnknownFeature>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<str>,
    {
        let mut set = FeatureSet::default();
        for name in names {
            let name = name.as_ref();
            let bare = name.strip_prefix("seccomp.").or_else(|| name.strip_prefix('+'));
            let position = position(bare.unwrap_or(name));
            set.0 |= 1 << position.ok_or_else(|| UnknownFeature(name.to_owned()))?;
        }
        Ok(set)
    }

    /// Nothing is granted.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether the feature of this name is in the set.
    pub fn contains(self, name: &str) -> bool {
        position(name).is_some_and(|position| self.0 & 1 << position != 0)
    }

    /// The features, in the order in which their rules are tried.
    pub fn iter(self) -> impl Iterator<Item = &'static Feature> {
        let all = features().iter().enumerate();
        all.filter(move |(position, _)| self.0 & 1 << position != 0).map(|(_, feature)| feature)
    }
}

fn position(name: &str) -> Option<usize> {
    features().iter().position(|feature| feature.name == name)
}

/// A name that no feature has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownFeature(pub String);

impl fmt::Display for UnknownFeature {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = features().iter().map(|feature| feature.name).collect();
        write!(out, "{:?} is no feature of the default filter; known: {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownFeature {}
