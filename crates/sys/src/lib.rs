//! System calls as safe, typed functions. With `casemate-boot` the only crate of casemate with `unsafe` code.
//!
//! Each function is named after what the kernel does, takes descriptors by `AsFd`, returns owned ones, sets
//! O_CLOEXEC always, and fails with an error that reads like the strace line of the call. What rustix offers
//! safely is used from there, here and by the other crates; this crate adds what it lacks. No policy, no
//! knowledge of containers.

#![warn(clippy::missing_errors_doc)]

pub mod args;
pub mod bpf;
pub mod caps;
pub mod companion;
mod error;
pub mod fd;
pub mod kaudit;
pub mod keyring;
pub mod landlock;
mod maker;
pub mod mount;
pub mod net;
pub mod netlink;
pub mod ns;
pub mod path;
pub mod process;
pub mod sched;
pub mod seccomp;
pub mod signals;
pub mod socket;
pub mod tty;

pub use error::{errno_text, Context, Error, Result};
