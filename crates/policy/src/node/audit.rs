//! Where the node's policy wants to have written down what is done with containers. Writing is the runtime's.

use super::text::{shallow, syntax};
use crate::error::PolicyError;
use serde::Deserialize;
use toml::de::DeTable;

/// The table `[audit]` of a policy file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPolicy {
    /// A file that records are appended to; absolute.
    pub file: Option<String>,
    /// Records also go to the journal.
    pub journald: Option<bool>,
    /// Whether a container may start although its record cannot be written. When not given: not with the profile restricted.
    pub required: Option<bool>,
    /// The kernel records each system call that the default filter refuses (SECCOMP_FILTER_FLAG_LOG): `casemate denials`.
    pub denials: Option<bool>,
}

impl AuditPolicy {
    /// Whether anything is to be written at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.file.is_some() || self.journald == Some(true)
    }

    /// Whether a policy file has such a table, for who needs nothing else of it.
    ///
    /// # Errors
    /// Text that is not TOML: one line with file and line number.
    pub fn is_in(file: &str, text: &str) -> Result<bool, PolicyError> {
        shallow(file, text)?;
        let table = DeTable::parse(text).map_err(|error| syntax(file, text, &error))?;
        Ok(table.get_ref().contains_key("audit"))
    }

    pub(super) fn check(&self) -> Result<(), PolicyError> {
        match &self.file {
            Some(file) if !file.starts_with('/') => {
                Err(PolicyError::new(format!("audit file {file:?} must be an absolute path")))
            }
            _ => Ok(()),
        }
    }

    /// What a later file says goes over what an earlier one said, key by key.
    pub(super) fn take_from(&mut self, later: Self) {
        self.file = later.file.or(self.file.take());
        self.journald = later.journald.or(self.journald);
        self.required = later.required.or(self.required);
        self.denials = later.denials.or(self.denials);
    }
}
