//! casemate's own filter, for bundles without one and stacked under an engine's. The rules and the
//! reason of each stand in profiles/seccomp/default.json, which the build script turns into the
//! statics used here; this file picks the rules that apply to an architecture, to what a process
//! can come to hold of capabilities, and to the features it was granted. Who gets which filter is
//! policy's decision.

use crate::arch::{Arch, NameId};
use crate::bpf::{Insn, Program};
use crate::compile::{compile, CompileError};
use crate::feature::{Feature, FeatureSet};
use crate::model::{Action, Arg, Filter, Flags, Op, Rule, RuleOrder};
use crate::parts::split;
use std::borrow::Cow;

include!(concat!(env!("OUT_DIR"), "/default_rules.rs"));

/// A set of capabilities: bit N is capability number N (capabilities(7)), as in the `Cap` lines of
/// /proc/PID/status.
pub type CapMask = u64;

/// What a program was compiled for: architecture, whether `restricted`, the capabilities that matter.
type Key = (Arch, bool, CapMask);

/// A program that was compiled with the crate, as a whole and in parts.
type Precompiled = (Key, &'static [Insn], [&'static [Insn]; 2]);

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

    fn to_rule(self) -> Rule<'static> {
        Rule {
            names: self.names().map(Cow::Borrowed).collect(),
            action: self.action,
            args: self.args.to_vec(),
        }
    }
}

/// Which default filter: one program per value and architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// What the process can come to hold. A call that belongs to a capability is open to those only.
    pub caps: CapMask,
    /// With the additional refusals of the profile `restricted`.
    pub restricted: bool,
    /// What was granted beyond the rules.
    pub features: FeatureSet,
}

impl Variant {
    /// The plain filter for these capabilities.
    pub fn of_caps(caps: CapMask) -> Variant {
        Variant { caps, ..Variant::default() }
    }

    /// The groups of this filter on `arch`, in the order in which they are tried: granted features,
    /// additional refusals, everybody's rules.
    pub fn rules(self, arch: Arch) -> impl Iterator<Item = &'static DefaultRule> {
        let features = self.features.iter().flat_map(|feature| feature.rules);
        let restricted = if self.restricted { RESTRICTED } else { &[] };
        features.chain(restricted).chain(RULES).filter(move |rule| rule.applies(arch, self.caps))
    }

    /// The architectures that are admitted beside `arch`.
    pub fn further_archs(self, arch: Arch) -> Vec<Arch> {
        let admitted = |feature: &Feature| feature.archs.iter().filter(move |(of, _)| *of == arch);
        self.features.iter().flat_map(admitted).map(|(_, other)| *other).collect()
    }
}

/// Every group of the filter that everybody gets, in order, whatever it depends on.
pub fn default_rules() -> &'static [DefaultRule] {
    RULES
}

/// The groups that the profile `restricted` puts before [`default_rules`].
pub fn restricted_rules() -> &'static [DefaultRule] {
    RESTRICTED
}

/// The default filter of a process on `arch`. No other architecture is admitted unless a feature
/// does: a call through one kills the process, for the compatibility ABIs would get around the
/// rules about arguments (i386's socketcall, x32's wider registers).
pub fn default_filter(arch: Arch, variant: Variant) -> Filter<'static> {
    Filter {
        default_action: DEFAULT_ACTION,
        bad_arch_action: BAD_ARCH_ACTION,
        archs: variant.further_archs(arch),
        rules: variant.rules(arch).map(|rule| rule.to_rule()).collect(),
        flags: Flags::default(),
        order: RuleOrder::FirstMatch,
        enosys_tail: false,
    }
}

/// The program of [`default_filter`]. Without features, for the capability sets that engines give,
/// on the architecture this crate is built for, it was compiled by the build script and costs a
/// look-up.
///
/// # Errors
/// [`CompileError`] is not to be expected: the tests compile the filter for every architecture.
pub fn default_program(arch: Arch, variant: Variant) -> Result<Program, CompileError> {
    let key: Key = (arch, variant.restricted, variant.caps & RELEVANT_CAPS);
    let known = PRECOMPILED.iter().find(|(key_of, ..)| *key_of == key);
    match known {
        Some((_, insns, _)) if variant.features.is_empty() => Ok(Program::precompiled(insns)),
        _ => compile(&default_filter(arch, variant), arch).map(|compiled| compiled.program),
    }
}

/// [`default_program`] in two parts, for who wants refusals recorded (SECCOMP_FILTER_FLAG_LOG, seccomp(2)): the first, to be
/// loaded with that flag, lets pass what the whole answers "no such call" (ENOSYS), and the second refuses only that. The kernel
/// takes the stricter answer of the two, so together they are the whole; and the flag, which records every answer but "let
/// pass", does not record what programs ask for just to see whether it is there, such as clone3(2).
///
/// # Errors
/// As of [`default_program`].
pub fn default_program_in_parts(
    arch: Arch,
    variant: Variant,
) -> Result<[Program; 2], CompileError> {
    let key: Key = (arch, variant.restricted, variant.caps & RELEVANT_CAPS);
    match PRECOMPILED.iter().find(|(known, ..)| *known == key) {
        Some((_, _, parts)) if variant.features.is_empty() => Ok(parts.map(Program::precompiled)),
        _ => {
            let [refusals, unknown] = split(&default_filter(arch, variant));
            Ok([compile(&refusals, arch)?.program, compile(&unknown, arch)?.program])
        }
    }
}

/// The features in the order of the file, which is the order in which their rules are tried.
pub(crate) fn features() -> &'static [Feature] {
    FEATURES
}
