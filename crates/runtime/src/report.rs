//! What commands answer: plain data that the command line prints.

pub use casemate_sandbox::Failure as InitFailure;
use serde::Serialize;
use std::collections::BTreeMap;

/// The `state` object (runtime-spec "State", with the keys that runc adds). No other keys: CRI-O decodes
/// this JSON straight over its own record.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateReport {
    /// Specification version of the bundle.
    pub oci_version: String,
    /// Container id.
    pub id: String,
    /// Host pid of init; 0 when stopped.
    pub pid: i32,
    /// creating, created, running, paused or stopped; in `list` also unreadable.
    pub status: String,
    /// Absolute bundle directory.
    pub bundle: String,
    /// Absolute rootfs directory.
    pub rootfs: String,
    /// RFC 3339, UTC, nanoseconds.
    pub created: String,
    /// The bundle's annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Who created it: empty in `state`, a user name or `#uid` in `list`.
    pub owner: String,
}

/// What `list` answers.
#[derive(Debug, Default)]
pub struct ListReport {
    /// The containers, ordered by id.
    pub containers: Vec<StateReport>,
    /// One message for each entry that could not be read; printed to stderr, exit status stays 0.
    pub problems: Vec<String>,
}
