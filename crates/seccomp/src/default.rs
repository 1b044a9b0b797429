//! casemate's own filter, for bundles without one and stacked under an engine's. The rules and the
//! reason of each stand in profiles/seccomp/default.json, which the build script turns into the
//! statics used here; this file picks the rules that apply to an architecture and to a process's
//! effective capabilities. Who gets the filter is policy's decision.

use crate::arch::Arch;
use crate::bpf::{Insn, Program};
use crate::compile::{compile, CompileError};
use crate::model::{Action, Arg, Filter, Flags, Op, Rule, RuleOrder};
use std::borrow::Cow;

include!(concat!(env!("OUT_DIR"), "/default_rules.rs"));

/// A set of capabilities: bit N is capability number N (capabilities(7)), as in the `Cap` lines of
/// /proc/PID/status.
pub type CapMask = u64;

/// One group of the default filter, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DefaultRule {
    /// Why the group is there.
    pub comment: &'static str,
    /// What happens to its calls.
    pub action: Action,
    /// Its system calls.
    pub names: &'static [&'static str],
    /// Capabilities that must all be effective for the group to be part of the filter.
    pub caps: CapMask,
    /// Architectures it is for; none means all.
    pub arches: &'static [Arch],
    /// What must hold of the arguments.
    pub args: &'static [Arg],
}

impl DefaultRule {
    /// Whether the group is part of the filter for `arch` and the effective set `caps`.
    pub fn applies(&self, arch: Arch, caps: CapMask) -> bool {
        self.caps & !caps == 0 && (self.arches.is_empty() || self.arches.contains(&arch))
    }

    fn to_rule(self) -> Rule {
        Rule {
            names: self.names.iter().copied().map(Cow::Borrowed).collect(),
            action: self.action,
            args: self.args.to_vec(),
        }
    }
}

/// Every group of the default filter in order, whatever it depends on.
pub fn default_rules() -> &'static [DefaultRule] {
    RULES
}

/// The default filter of a process on `arch` whose effective capabilities will be `caps`. No other
/// architecture is admitted: a call through one kills the process, for the compatibility ABIs
/// would get around the rules about arguments (i386's socketcall, x32's wider registers).
pub fn default_filter(arch: Arch, caps: CapMask) -> Filter {
    let rules = RULES.iter().filter(|rule| rule.applies(arch, caps));
    Filter {
        default_action: DEFAULT_ACTION,
        bad_arch_action: BAD_ARCH_ACTION,
        archs: Vec::new(),
        rules: rules.map(|rule| rule.to_rule()).collect(),
        flags: Flags::default(),
        order: RuleOrder::FirstMatch,
        enosys_tail: false,
    }
}

/// The program of [`default_filter`]. For the capability sets that engines give, on the
/// architecture this crate is built for, it was compiled by the build script and costs a look-up.
///
/// # Errors
/// [`CompileError`] is not to be expected: the tests compile the filter for every architecture.
pub fn default_program(arch: Arch, caps: CapMask) -> Result<Program, CompileError> {
    let relevant = caps & RELEVANT_CAPS;
    let known = PRECOMPILED.iter().find(|(of, set, _)| *of == arch && *set == relevant);
    match known {
        Some((_, _, insns)) => Ok(Program::precompiled(insns)),
        None => compile(&default_filter(arch, caps), arch).map(|compiled| compiled.program),
    }
}
