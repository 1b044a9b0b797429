//! From a bundle's spec to a hardened spec and the decisions that explain it.
//!
//! Pure: no file system, no environment, no clock, no system calls. What must be known about the host
//! comes in as plain data, so that the same input always gives the same container and every decision can
//! be tested and explained without running anything.

mod check;
mod facts;
pub mod mount_options;
pub mod spec;

pub use facts::HostFacts;
