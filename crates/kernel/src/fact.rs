//! Answers that can be missing.

use serde::{Deserialize, Serialize};

/// A yes or no question to the host, and the third answer: it could not be read. A control that rests on a fact decides what
/// the third answer means; there is no conversion to `bool`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fact {
    /// It is so.
    Yes,
    /// It is not so.
    No,
    /// It could not be read: the operation, what it was done to, and the error.
    Unreadable(String),
}

/// Nobody has asked, which is no answer either.
impl Default for Fact {
    fn default() -> Self {
        Self::Unreadable("nobody has asked".to_owned())
    }
}

impl From<bool> for Fact {
    fn from(answer: bool) -> Self {
        if answer {
            Self::Yes
        } else {
            Self::No
        }
    }
}

impl Fact {
    /// From a question that can fail.
    #[must_use]
    pub fn of<E: std::fmt::Display>(answer: Result<bool, E>) -> Self {
        match answer {
            Ok(true) => Self::Yes,
            Ok(false) => Self::No,
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }

    /// The answer, if there is one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn known(&self) -> Result<bool, &str> {
        match self {
            Self::Yes => Ok(true),
            Self::No => Ok(false),
            Self::Unreadable(why) => Err(why),
        }
    }
}
