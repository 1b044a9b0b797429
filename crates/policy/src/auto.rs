//! What the runtime has to provide, because only the host can decide it.

use serde::{Deserialize, Serialize};

/// A user namespace that the runtime has to provide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoUserns {
    /// Without it the container is refused.
    pub required: bool,
}

/// A label that the runtime has to complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoLabel {
    /// Everything before the categories, for processes.
    pub process: String,
    /// The same for files.
    pub file: String,
    /// Categories that the configuration's own label of mounts has: with others its mounts would be closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<String>,
    /// Files of a plain directory get the label.
    pub relabel: bool,
}
