//! Whose a namespace is.

use serde::Serialize;

/// Whose namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// The host's.
    Host,
    /// One of the container's, or of a pod.
    Private,
}
