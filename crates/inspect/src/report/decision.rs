//! A decision of the record, whatever release wrote it.

use casemate_policy::Source;
use serde::Deserialize;
use serde_json::Value;

/// A decision of the record, whatever release wrote it.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Decision {
    /// Id of the control.
    pub rule: String,
    /// JSON pointer into `config.json`.
    #[serde(default)]
    pub pointer: String,
    /// kept, tightened, added, waived, warned or refused.
    pub verdict: String,
    /// Who decided.
    #[serde(default)]
    pub source: Source,
    /// What stood there.
    #[serde(default)]
    pub before: Value,
    /// What stands there now.
    #[serde(default)]
    pub after: Value,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Overrides that would leave alone what it changed, where that is known.
    #[serde(default)]
    pub allow: Vec<String>,
}

impl Decision {
    /// The decisions of a JSON list.
    ///
    /// # Errors
    /// It is no list, or an entry is no decision: a list with a gap would be another one than was decided.
    pub fn list(value: Value) -> serde_json::Result<Vec<Self>> {
        serde_json::from_value(value)
    }
}
