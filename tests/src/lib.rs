//! Black-box tests: a harness that builds bundles and runs the binary.

pub mod cli;
