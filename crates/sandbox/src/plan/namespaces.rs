//! The namespaces of a new container, and the kernel parameters that are written in them.

use rustix::fd::OwnedFd;

/// Namespaces of a new container.
#[derive(Debug)]
pub struct Namespaces {
    /// Made by clone3 itself: bits of `ns::flag`.
    pub clone: u64,
    /// Joined by the child, in this order.
    pub join: Vec<(u64, OwnedFd)>,
    /// A new cgroup namespace. Not by clone3: its root is the cgroup of the caller of unshare(2), and only the child
    /// is in the container's cgroup.
    pub new_cgroup: bool,
    /// A new time namespace with these offsets.
    pub new_time: Option<Vec<TimeOffset>>,
    /// The user namespace.
    pub user: UserNamespace,
}

/// One line for timens_offsets (time_namespaces(7)).
#[derive(Debug)]
pub struct TimeOffset {
    /// `monotonic` or `boottime`.
    pub clock: String,
    /// Seconds.
    pub secs: i64,
    /// Nanoseconds.
    pub nanos: u32,
}

/// When the user namespace is entered.
#[derive(Debug)]
pub enum UserNamespace {
    /// Not at all.
    Inherit,
    /// After the tree is built with the privilege of the namespace above, together with a mount namespace of its own,
    /// so that the kernel locks every mask and every read-only flag (mount_namespaces(7)).
    EnterLast(OwnedFd),
    /// By clone3: the caller has no privilege but inside it.
    EnterFirst,
}

/// One kernel parameter.
#[derive(Debug)]
pub struct Sysctl {
    /// Path below /proc/sys, e.g. `net/ipv4/ip_forward`.
    pub path: String,
    /// The value.
    pub value: String,
}
