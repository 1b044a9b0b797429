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

/// Longer error texts are cut.
const MOST: usize = 4000;
/// What stays of their end, where the reason mostly stands.
const END: usize = 1000;

/// Names and values from a bundle, which errors show, may be as long as their author likes, and engines pass lines on whole: the
/// middle is left out, with the length told.
pub fn bounded(text: String) -> String {
    if text.len() <= MOST {
        return text;
    }
    let fits = |at: &usize| text.is_char_boundary(*at);
    let first = (0..=MOST - END).rev().find(fits).unwrap_or(0);
    let last = (text.len() - END..text.len()).find(fits).unwrap_or(text.len());
    format!("{} ... ({} bytes in all) ... {}", &text[..first], text.len(), &text[last..])
}
