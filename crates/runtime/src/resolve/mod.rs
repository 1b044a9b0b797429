//! What only the host can decide for a container: its ids, its SELinux categories, the profile in the
//! kernel, and from which layers its root can be put together again.

pub(crate) mod apparmor;
pub mod ids;
pub(crate) mod overlay;
pub(crate) mod pool;
pub(crate) mod selinux;
pub(crate) mod userns;
