//! Everything that casemate reads from others, with inputs that are made by changing good ones: the targets, the mutations, and
//! what is watched while one input is read (a panic, memory, time). It stops short of coverage: it runs on the stable
//! compiler, and an input is known again by the seed and its number alone.

pub mod corpus;
pub mod json;
pub mod mutate;
pub mod run;
pub mod targets;
pub mod watch;

pub use targets::{Target, TARGETS};
