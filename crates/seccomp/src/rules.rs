//! The rules of casemate's own filter and its features, as the build script makes them of
//! profiles/seccomp/default.json: statics, and their types.

use crate::arch::{Arch, NameId};
use crate::bpf::{Insn, Program};
use crate::eval::SeccompData;
use crate::model::{Action, Arg, Op, Rule};
use std::borrow::Cow;

include!(concat!(env!("OUT_DIR"), "/default_rules.rs"));

/// A set of capabilities: bit N is capability number N (capabilities(7)), as in the `Cap` lines of
/// /proc/PID/status.
pub type CapMask = u64;

/// What a program was compiled for: architecture, whether `restricted`, the capabilities that matter.
pub(crate) type Key = (Arch, bool, CapMask);

/// A program that was compiled with the crate, as a whole and in parts.
pub(crate) type Precompiled = (Key, &'static [Insn], [&'static [Insn]; 2]);

/// One group of the default filter, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRule {
    /// Why the group is there.
    pub comment: &'static str,
    /// What happens to its calls.
    pub action: Action,
    /// Its system calls. Without pointers, for the reason that the table of names has none.
    ids: &'static [NameId],
    /// Capabilities that must all be in reach for the group to be part of the filter.
    pub caps: CapMask,
    /// Architectures it is for; none means all.
    pub arches: &'static [Arch],
    /// What must hold of the arguments.
    pub args: &'static [Arg],
}

impl DefaultRule {
    /// Its system calls.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.ids.iter().map(|id| id.name())
    }

    /// Whether the group is part of the filter for `arch` and the capabilities `caps`.
    pub fn applies(&self, arch: Arch, caps: CapMask) -> bool {
        self.caps & !caps == 0 && (self.arches.is_empty() || self.arches.contains(&arch))
    }

    pub(crate) fn to_rule(self) -> Rule<'static> {
        Rule {
            names: self.names().map(Cow::Borrowed).collect(),
            action: self.action,
            args: self.args.to_vec(),
        }
    }
}

/// The features in the order of the file, which is the order in which their rules are tried.
pub(crate) fn features() -> &'static [Feature] {
    FEATURES
}

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
