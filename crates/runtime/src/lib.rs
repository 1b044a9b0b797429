//! Lifecycle and state of containers: the parent's side.
//!
//! Commands are functions in [`ops`]. Making a container is: read the bundle and decide what becomes of it
//! (`decide`, with crate `casemate-policy`), find what only the host can say (`resolve`), turn it into a plan
//! ([`plan`]), write down that the container exists ([`state`]), launch it (`launch`, with crate
//! `casemate-sandbox`), read back what came out ([`verify`]). Nothing here prints or exits.

#![warn(clippy::missing_errors_doc)]

pub mod audit_log;
mod container_id;
mod decide;
mod digest;
pub mod files;
pub mod hinted;
mod launch;
pub mod ops;
pub mod plan;
pub mod procfs;
pub mod report;
pub mod request;
mod resolve;
pub mod state;
mod undo;
mod unmappable;
pub mod warnings;

pub use casemate_policy::nearest;
pub use container_id::ContainerId;
pub use decide::{bundle, caller};
pub use launch::verify;
pub use ops::survey;
pub use resolve::ids;
