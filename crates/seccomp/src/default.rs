//! casemate's own filter, for bundles without one and stacked under an engine's. The rules and the
//! reason of each stand in profiles/seccomp/default.json, which the build script turns into statics
//! (`rules.rs`); this file picks those that apply to an architecture, to what a process can come to
//! hold of capabilities, and to the features it was granted. Who gets which filter is policy's
//! decision.

use crate::arch::Arch;
use crate::bpf::Program;
use crate::compile::{compile, CompileError};
use crate::feature::FeatureSet;
use crate::model::{Filter, Flags, RuleOrder};
use crate::parts::split;
use crate::rules::{
    CapMask, DefaultRule, Feature, Key, BAD_ARCH_ACTION, DEFAULT_ACTION, PRECOMPILED,
    RELEVANT_CAPS, RESTRICTED, RULES,
};

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
