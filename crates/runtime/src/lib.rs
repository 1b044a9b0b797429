//! Lifecycle and state of containers: the parent's side
