//! The parent's side of a launch: the cgroup, the child's requests, reading back what came out, and what
//! the caller waits for.

pub(crate) mod cgroups;
pub(crate) mod container;
mod first_record;
pub(crate) mod foreground;
pub(crate) mod hooks;
mod neighbours;
pub(crate) mod netdev;
pub(crate) mod notify;
pub(crate) mod pid_file;
pub(crate) mod room;
mod spawn;
pub(crate) mod supervise;
pub mod verify;
