//! Seccomp without libseccomp: a typed model of the runtime specification's `linux.seccomp`, a
//! compiler from it to the classic BPF program that seccomp(2) takes, an interpreter of such
//! programs, and casemate's own default filter.
//!
//! The crate is pure: it reads no file, makes no system call and knows no other crate of the
//! project. Loading a program, sending a listener's file descriptor and deciding *which* filter a
//! container gets all happen elsewhere. A program leaves here as bytes.
//!
//! Entry points: [`Filter`] (built by the caller, or by [`default_filter`]), [`compile`], [`default_program`],
//! [`Program::as_bytes`], [`Program::evaluate`].

#![warn(clippy::missing_errors_doc)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod answers;
mod arch;
mod bpf;
mod codegen;
mod compile;
mod default;
mod eval;
mod feature;
mod model;
mod order;
mod parts;
mod rules;

pub use answers::Bits;
pub use arch::{Arch, UnknownArch};
pub use bpf::{BadProgram, Insn, Program, MAX_INSNS};
pub use compile::{compile, CompileError, Compiled};
pub use default::{
    default_filter, default_program, default_program_in_parts, default_rules, restricted_rules,
    Variant,
};
pub use eval::{EvalError, SeccompData, Verdict};
pub use feature::{FeatureSet, UnknownFeature};
pub use model::{Action, Arg, Filter, Flags, Op, ParseError, Rule, RuleOrder};
pub use rules::{CapMask, DefaultRule, Feature};
