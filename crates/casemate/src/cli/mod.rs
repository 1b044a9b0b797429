//! The command line as data: which commands and flags there are, and how argv is read.
//!
//! The `clap` types here are the source of parsing, help, man pages and completions; the commands that a
//! container's life consists of are read from tables beside them (`quick`), which tests hold to the same. Parsing
//! yields [`Invocation`]; what the values mean, and whether they are allowed, is `request`'s business.

pub(crate) mod exec;
pub(crate) mod globals;
pub(crate) mod help;
pub(crate) mod inspect;
pub(crate) mod lifecycle;
pub(crate) mod observe;
pub(crate) mod parse;
pub(crate) mod policy;
mod quick;
pub(crate) mod scan;
pub(crate) mod update;
pub(crate) mod usage;
pub(crate) mod verbs;

pub(crate) use globals::GlobalArgs;
pub(crate) use parse::{parse, Invocation, Wanted};
pub(crate) use usage::UsageError;
pub(crate) use verbs::Asked;
