//! The last refusal of a container in the audit log: of one that was never made there is nothing else.

use crate::decide::policy_choice;
use crate::request::Global;
use anyhow::{Context as _, Result};
use serde_json::Value;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

/// So much of the end of the log is read.
const TAIL: u64 = 4 << 20;

/// Shorter words are the beginning of too many ids.
const SHORTEST: usize = 12;

/// What a record of a refusal or a failure says.
#[derive(Debug, Default)]
pub struct Refused {
    /// The whole id.
    pub id: String,
    /// The line that its caller was told.
    pub error: Option<String>,
    /// The profile that refused it.
    pub profile: Option<String>,
    /// Which controls did, and why.
    pub decisions: Vec<(String, String)>,
}

/// The last record, of what was refused or failed, about a container of this id, or whose id begins so, or of this name. `None`:
/// there is none, or no file to look in.
///
/// # Errors
/// The policy cannot be used, or the log not be read.
pub fn last(global: &Global, word: &str) -> Result<Option<Refused>> {
    let Some(file) = policy_choice::audit(global, false)?.file else { return Ok(None) };
    let text = tail(Path::new(&file)).with_context(|| format!("audit log {file}"))?;
    // Cut lines, and those of other programs, are none of ours.
    let mut records = text.lines().rev().filter_map(|line| serde_json::from_str(line).ok());
    Ok(records.find(|record| is_meant(record, word)).map(|record| refused(&record)))
}

fn tail(path: &Path) -> Result<String> {
    let mut file = match File::open(path) {
        // Nothing was written yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        other => other?,
    };
    let end = file.metadata()?.len();
    file.seek(SeekFrom::Start(end.saturating_sub(TAIL)))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn is_meant(record: &Value, word: &str) -> bool {
    let is_made = matches!(record["evt.type"].as_str(), Some("create" | "run"));
    let is_bad = matches!(record["evt.res"].as_str(), Some("REFUSED" | "FAILURE"));
    let id = record["container.id"].as_str().unwrap_or_default();
    let begins = word.len() >= SHORTEST && id.starts_with(word);
    is_made && is_bad && (id == word || begins || record["container.name"] == word)
}

fn refused(record: &Value) -> Refused {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let decision = |one: &Value| Some((text(&one["control"])?, text(&one["reason"])?));
    let decisions = record["casemate.decisions"].as_array().into_iter().flatten();
    Refused {
        id: text(&record["container.id"]).unwrap_or_default(),
        error: text(&record["casemate.error"]),
        profile: text(&record["casemate.profile"]),
        decisions: decisions.filter_map(decision).collect(),
    }
}
