//! The ids of the controls, and their text.

use super::list::with_controls;
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

macro_rules! ids {
    ($($id:ident: $module:ident::$row:ident,)*) => {
        /// A control, by which policies, records and documents know what decided.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ControlId {
            /// The configuration is run as written. Not a control: the answer when every control is off.
            Verbatim,
            $(#[doc = concat!("The row `", stringify!($row), "` of `controls::", stringify!($module), "`.")]
            $id,)*
        }
    };
}

with_controls!(ids);

impl ControlId {
    /// The id as text, `family.name`: stable, and the anchor of its documentation.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // The one id without a row.
        self.control().map_or("profile.verbatim", |control| control.name)
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
