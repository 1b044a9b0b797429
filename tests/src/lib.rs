//! Black-box tests: a harness that builds bundles, runs the binary and watches the host.
//!
//! It knows the program only by its command line, its output, its exit status and what it leaves behind. It stops
//! short of judging: what is right stands in the tests.

pub mod bundle;
pub mod cli;
pub mod command;
pub mod container;
pub mod filter;
pub mod generate;
pub mod hooks;
pub mod host;
pub mod programs;
pub mod races;
pub mod scratch;
pub mod skip;
pub mod wait;

pub use bundle::{Bundle, Image};
pub use command::{Cmd, Done, Running};
pub use container::Container;
pub use host::Canary;
