//! What deserves a warning.

use crate::spec::Warning;

pub(super) fn warn(warnings: &mut Vec<Warning>, path: String, message: impl Into<String>) {
    warnings.push(Warning { path, message: message.into() });
}
