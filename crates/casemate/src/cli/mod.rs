//! The command line: how argv is read and how help is made, for whatever commands there are.
//!
//! Flags are declared where they are used, as `clap` types: casemate's own in `globals` and `report`,
//! those of a command beside the command (`commands`, or the runtime's `request`). The types are the
//! source of parsing, help, man pages and completions. Parsing has two layers: `scan` turns runc's
//! dialect into words that mean one thing only, clap reads these.
//!
//! Each type says `#[group(skip)]`: clap would otherwise build a group of all its flags at every start,
//! and nothing here asks for one.

pub(crate) mod globals;
pub(crate) mod help;
pub(crate) mod parse;
pub(crate) mod scan;
pub(crate) mod verb;
