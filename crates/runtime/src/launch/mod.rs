//! The parent's side of a launch: the cgroup, the child's requests, reading back what came out, and what
//! the caller waits for.

pub(crate) mod cgroups;
pub(crate) mod foreground;
pub(crate) mod netdev;
pub(crate) mod notify;
pub(crate) mod pid_file;
pub(crate) mod room;
pub(crate) mod supervise;
pub(crate) mod undo;
pub mod verify;
