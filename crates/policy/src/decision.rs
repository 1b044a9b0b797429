//! Decisions: what a profile did to a configuration, where, and why.
//!
//! The record answers for every rule of the profile, also for those that found nothing to do, so
//! that a reader can tell "was fine already" from "was not looked at".

use crate::control::ControlId;
use crate::source::Source;
use crate::spec::Capability;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The configuration satisfied it already.
    Kept,
    /// Something was allowed that no longer is.
    Tightened,
    /// Something was missing and is there now.
    Added,
    /// Not applied: overridden, or not possible here, for the stated reason.
    Waived,
    /// Not applied because the control only warns: what it would have done, or why it would have
    /// refused.
    Warned,
    /// The configuration is not run.
    Refused,
}

/// One entry of the record.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Decision {
    /// The rule.
    pub rule: ControlId,
    /// JSON pointer (RFC 6901) into the configuration as it was given; one that ends in `/-` means
    /// entries that were added to a list, which `after` holds.
    pub pointer: Cow<'static, str>,
    /// What became of the rule.
    pub verdict: Verdict,
    /// Who decided: the profile, or who overrode it.
    pub source: Source,
    /// What stood there; `null` when nothing did.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub before: Value,
    /// What stands there now.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub after: Value,
    /// Why, for a person.
    pub reason: Cow<'static, str>,
}

impl Decision {
    /// Names of the overrides that give back the capabilities that were taken away, one each; of other decisions none.
    #[must_use]
    pub(crate) fn lost(&self) -> Vec<String> {
        let is_cut = self.rule == ControlId::Capabilities && self.verdict == Verdict::Tightened;
        if is_cut {
            self.lost_capabilities().collect()
        } else {
            Vec::new()
        }
    }

    fn lost_capabilities(&self) -> impl Iterator<Item = String> + '_ {
        let list = |value: &Value| match value {
            Value::Array(names) => names.clone(),
            _ => Vec::new(),
        };
        let left = list(&self.after);
        let lost = list(&self.before).into_iter().filter(move |name| !left.contains(name));
        // An unknown one was never there.
        let known = |name: Value| Capability::from_name(name.as_str()?);
        let short = |known: Capability| known.name().trim_start_matches("CAP_").to_lowercase();
        lost.filter_map(known).map(move |known| format!("capabilities.{}", short(known)))
    }
}

/// A decision that refuses.
pub(crate) fn refused(
    rule: ControlId,
    pointer: impl Into<Cow<'static, str>>,
    reason: impl Into<Cow<'static, str>>,
) -> Decision {
    Decision {
        rule,
        pointer: pointer.into(),
        verdict: Verdict::Refused,
        source: Source::Profile,
        before: Value::Null,
        after: Value::Null,
        reason: reason.into(),
    }
}
