//! Features: what an override adds to the default filter. Each is a named set of rules that are
//! tried before all others (profiles/seccomp/default.json, `features`), so that a container which
//! needs io_uring gets io_uring and keeps every other refusal. Who may grant one is policy's
//! decision.

use crate::arch::Arch;
use crate::bpf::Program;
use crate::default::{features, DefaultRule};
use crate::eval::SeccompData;
use crate::model::Action;
use std::fmt;

/// Something that the default filter can be told to let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name, as in `seccomp.io_uring`.
    pub name: &'static str,
    /// What it is, who needs it, what it costs.
    pub comment: &'static str,
    /// Architectures that it admits: beside which, which.
    pub archs: &'static [(Arch, Arch)],
    /// Its rules.
    pub rules: &'static [DefaultRule],
}

impl Feature {
    /// Every feature.
    pub fn all() -> &'static [Feature] {
        features()
    }

    /// Calls of this feature that `program` refuses, as far as it looks at numbers alone: granting
    /// the feature is of no use while another filter of the process is in the way.
    ///
    /// A program of another architecture, or one that cannot be run, refuses nothing here.
    pub fn refused_by(&self, arch: Arch, program: &Program) -> Vec<&'static str> {
        let asked = self.rules.iter().filter(|rule| rule.action == Action::Allow);
        asked.filter_map(|rule| refused(rule, arch, program)).collect()
    }
}

/// The first call of a rule that `program` does not let pass with the arguments of the rule.
fn refused(rule: &DefaultRule, arch: Arch, program: &Program) -> Option<&'static str> {
    let mut args = [0; 6];
    for arg in rule.args {
        args[arg.index as usize] |= arg.value_two;
    }
    rule.names().find(|name| {
        let Some(nr) = arch.syscall_number(name) else { return false };
        let data = SeccompData::new(arch, nr, args);
        let verdict = program.evaluate(arch, &data).map(|verdict| verdict.action());
        !matches!(verdict, Ok(Action::Allow | Action::Log | Action::Notify) | Err(_))
    })
}

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
