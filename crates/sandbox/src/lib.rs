//! Everything that happens on the container's side of clone3.
//!
//! This crate sees a [`plan::ContainerPlan`] and nothing of the bundle it came from: no OCI type, no JSON, no policy.
//! Whatever the container's first process needs has been decided before it exists. The order of the steps is the
//! design; it is spelled out in `stage.rs`, and each stage consumes the one before it, so that a step cannot be taken
//! early, late or twice.

#![warn(clippy::missing_errors_doc)]

mod confine;
mod cwd;
mod environment;
mod exec;
mod failure;
mod filters;
mod guard;
pub mod holder;
mod hook_view;
pub mod hooks;
mod identity;
mod landlock;
pub mod launch;
mod lsm;
mod namespaces;
mod placement;
pub mod plan;
mod program;
pub mod proto;
mod ready;
mod rootfs;
mod stage;
mod sysctl;
pub mod trust;

pub use failure::{Failure, StepResult};
pub use placement::{Mover, Placement};
