//! Everything that happens on the container's side of clone3.
//!
//! This crate sees a [`plan::ContainerPlan`] and nothing of the bundle it came from: no OCI type, no JSON, no policy.
//! Whatever the container's first process needs has been decided before it exists. The order of the steps is the
//! design; it is spelled out in [`stage`], and each stage consumes the one before it, so that a step cannot be taken
//! early, late or twice.

pub mod confine;
pub mod exec;
pub mod failure;
pub mod guard;
pub mod holder;
mod hook_view;
pub mod hooks;
pub mod identity;
mod landlock;
pub mod launch;
mod lsm;
mod namespaces;
pub mod plan;
pub mod proto;
mod rootfs;
pub mod stage;
mod sysctl;
pub mod trust;

pub use failure::{Failure, StepResult};
