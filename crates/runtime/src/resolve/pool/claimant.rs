//! Who asks a pool for something.

use super::hash::hash;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who wants something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claimant {
    /// Its id.
    pub(crate) container: String,
    /// Its state directory.
    pub(crate) state: PathBuf,
    /// The pod that it says it belongs to.
    pub(crate) pod: Option<String>,
    /// Inodes of the namespaces that it joins: what a pod really shares.
    #[serde(default)]
    pub(crate) joined: Vec<u64>,
}

impl Claimant {
    /// Containers of one pod name it, and share a namespace. The name alone is what anybody may put into an annotation.
    pub(super) fn is_of_one_pod_with(&self, other: &Self) -> bool {
        let shares = other.joined.iter().any(|inode| self.joined.contains(inode));
        self.pod.is_some() && self.pod == other.pod && shares
    }

    pub(super) fn pod_hash(&self) -> u64 {
        self.pod.as_deref().map_or(0, |pod| hash(pod.as_bytes()))
    }
}
