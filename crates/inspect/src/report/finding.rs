//! Something that a reader should know, and how much it weighs.

use casemate_policy::Severity;
use serde::{Deserialize, Serialize};

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// A nuisance, or a layer that others back up.
    Low,
    /// One layer less.
    Medium,
    /// The host is within reach.
    High,
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Low => Self::Low,
            Severity::Medium => Self::Medium,
            Severity::High => Self::High,
        }
    }
}

impl Level {
    /// The level called `name`.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "note" => Self::Note,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            _ => return None,
        })
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// Something that a reader should know.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How much it weighs.
    pub level: Level,
    /// Id of the control, or of what was looked at.
    pub control: String,
    /// What is the matter, in a line.
    pub message: String,
    /// Where in `config.json`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pointer: String,
}

impl Finding {
    /// Whether an invariant of the floor does not hold.
    pub(super) fn is_below_floor(&self) -> bool {
        self.control.starts_with("floor.")
    }
}
