//! cgroup v2: limits, devices, freeze, kill, stats; file system and systemd drivers.
//!
//! A [`Hierarchy`] is where the host has cgroup2; a [`Cgroup`] is one open directory in it, made by
//! [`Cgroup::create`] or handed over by systemd ([`systemd::Scope`]). [`Limits`] and [`devices::DeviceRule`] are
//! plain data. This crate knows no OCI JSON, keeps no state, starts no thread and writes to no terminal; cgroup
//! v1 is a typed refusal ([`Error::CgroupV1Only`]).

#![warn(clippy::missing_errors_doc)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod apply;
mod controllers;
pub mod convert;
mod delegate;
pub mod devices;
mod error;
mod events;
mod files;
mod freeze;
mod handle;
mod hierarchy;
mod kill;
pub mod limits;
mod owner;
mod path;
mod restore;
pub mod stats;
pub mod systemd;
mod wait;

pub use controllers::Controllers;
pub use error::{Error, Result};
pub use events::{CgroupEvent, EventWatcher};
pub use handle::{remove_below, remove_tree, Cgroup};
pub use hierarchy::Hierarchy;
pub use limits::Limits;
pub use owner::Marks;
pub use path::{expand_slice, resolve_fs_path, SystemdPath};
pub use restore::{give_back, Contents};
pub use rustix::process::Signal;
