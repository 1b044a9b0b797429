//! cgroup v2: limits, devices, freeze, kill, stats; file system and systemd drivers.
//!
//! A [`Hierarchy`] is where the host has cgroup2; a [`Cgroup`] is one open directory in it, made by
//! [`Cgroup::create`] or handed over by systemd ([`systemd::Scope`]). [`Limits`] and [`devices::DeviceRule`] are
//! plain data. This crate knows no OCI JSON, keeps no state, starts no thread and writes to no terminal; cgroup
//! v1 is a typed refusal ([`Error::CgroupV1Only`]).

mod apply;
mod controllers;
pub mod convert;
mod error;
mod files;
mod freeze;
mod handle;
mod hierarchy;
mod kill;
pub mod limits;
mod path;

pub use controllers::Controllers;
pub use error::{Error, Result};
pub use handle::{remove_tree, Cgroup};
pub use hierarchy::Hierarchy;
pub use limits::Limits;
pub use path::{expand_slice, resolve_fs_path, SystemdPath};
pub use rustix::process::Signal;
