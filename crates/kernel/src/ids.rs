//! User and group ids on the two sides of a user namespace. The same number means another user there, so each side has a type.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An id as the processes of a container have it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct InnerId(pub u32);

/// An id as the runtime has it, in its own user namespace: on the host, the host's.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct HostId(pub u32);

impl InnerId {
    /// The administrator of the container.
    pub const ROOT: Self = Self(0);
}

impl fmt::Display for InnerId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
