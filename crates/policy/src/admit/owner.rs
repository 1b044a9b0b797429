//! Who decides about a property.

use crate::control::ControlId;

/// One property and who decides about it.
#[derive(Clone, Copy, Debug)]
pub struct Owner {
    /// Where the structure stands, as a JSON path; empty for the top.
    pub within: &'static str,
    /// The property, as the specification spells it.
    pub property: &'static str,
    /// The controls that it is handed to, in their order.
    pub controls: &'static [ControlId],
    /// Why it goes on as it is asked for; empty when a control decides, or when it is taken apart itself.
    pub reason: &'static str,
}
