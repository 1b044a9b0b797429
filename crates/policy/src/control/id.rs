//! The ids of the controls as text.

use super::{Control, ControlId, CONTROLS};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

impl ControlId {
    /// The id as text, `family.name`: stable, and the anchor of its documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // The one id without a row.
        self.control().map_or("profile.verbatim", |control| control.name)
    }

    /// The id that is written so.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        CONTROLS.iter().find(|control| control.name == text).map(|Control { id, .. }| *id)
    }
}

impl fmt::Debug for ControlId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for ControlId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl Serialize for ControlId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Only ids that this release has: a record of another release may hold one that it does not.
impl<'de> Deserialize<'de> for ControlId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom(format!("control {text:?} is unknown")))
    }
}
