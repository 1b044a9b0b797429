//! What it weighs when the aim of a control, or of something else that is looked at, does not hold
//! (`profiles/standards/controls.toml`).

use crate::report::Level;
use casemate_policy::Control;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

pub(crate) const CONTROLS: &str = include_str!("../../../profiles/standards/controls.toml");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weights {
    pub(crate) severity: BTreeMap<String, Level>,
    pub(crate) unmapped: BTreeMap<String, String>,
}

pub(crate) fn weights() -> &'static Weights {
    static WEIGHTS: OnceLock<Weights> = OnceLock::new();
    // A test reads the file, which is part of the program.
    let none = || Weights { severity: BTreeMap::new(), unmapped: BTreeMap::new() };
    WEIGHTS.get_or_init(|| toml::from_str(CONTROLS).unwrap_or_else(|_| none()))
}

/// What it weighs when the aim of a control, or of something else that is looked at, does not hold.
pub fn severity(id: &str) -> Level {
    match Control::find(id) {
        Some(control) => control.severity.into(),
        // A test sees to it that the file has a line for each of `EXTRA`.
        None => weights().severity.get(id).copied().unwrap_or(Level::Medium),
    }
}

/// Why no standard here speaks of a control.
pub fn unmapped(id: &str) -> Option<&'static str> {
    weights().unmapped.get(id).map(String::as_str)
}
