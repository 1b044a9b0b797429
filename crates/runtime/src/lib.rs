//! Lifecycle and state of containers: the parent's side.

pub mod report;
pub mod request;
