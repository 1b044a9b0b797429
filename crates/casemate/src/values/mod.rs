//! Readers for single values of the command line, each accepting what runc accepts and nothing by
//! accident. Pure functions.

pub(crate) mod duration;
pub(crate) mod signal;
pub(crate) mod size;
