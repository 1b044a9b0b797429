//! Decisions: what a profile did to a configuration, where, and why.
//!
//! The record answers for every rule of the profile, also for those that found nothing to do, so
//! that a reader can tell "was fine already" from "was not looked at".

use crate::control::{Control, ControlId};
use crate::engine::Engine;
use crate::overrides::{Source, ALLOW_PREFIX};
use crate::profile::ProfileName;
use serde::Serialize;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

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
    /// Names of the overrides without which this would not have been changed, for somebody whose
    /// program misses it. Only what was taken away counts for capabilities, one name each.
    #[must_use]
    pub fn ways_around(&self) -> Vec<String> {
        if !matches!(self.verdict, Verdict::Tightened | Verdict::Added) {
            return Vec::new();
        }
        let names = Control::find(self.rule.as_str()).map_or(&[][..], |control| control.allow);
        if self.rule == ControlId::Capabilities {
            return self.lost_capabilities().collect();
        }
        names.iter().filter(|name| !name.contains('*')).map(|name| (*name).to_owned()).collect()
    }

    fn lost_capabilities(&self) -> impl Iterator<Item = String> + '_ {
        let list = |value: &Value| match value {
            Value::Array(names) => names.clone(),
            _ => Vec::new(),
        };
        let left = list(&self.after);
        let lost = list(&self.before).into_iter().filter(move |name| !left.contains(name));
        let short = |name: Value| Some(name.as_str()?.strip_prefix("CAP_")?.to_lowercase());
        lost.filter_map(short).map(|name| format!("capabilities.{name}"))
    }
}

/// A configuration that the profile does not run at all.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// The profile that refuses.
    pub profile: ProfileName,
    /// The reason as a decision, with verdict [`Verdict::Refused`].
    pub decision: Box<Decision>,
    /// The override that would let it pass, if there is one.
    pub allow: Option<Remedy>,
}

/// The shortest way past a refusal.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// The override's name.
    pub name: String,
    /// The node's policy lets callers ask for it by annotation.
    pub permitted: bool,
    /// Why nobody can have it; one line. `None`: the command line can.
    pub forbidden: Option<String>,
    /// The engine that made the configuration, as far as it can be told.
    pub engine: Option<Engine>,
}

impl Remedy {
    /// Where the policy is not at hand any more.
    #[must_use]
    pub fn of_anybody(name: &str) -> Self {
        Self { name: name.to_owned(), permitted: false, forbidden: None, engine: None }
    }
}

/// A command that permits an annotation on this node. No quotes: logs and engines write them as
/// `\"`, which would not be safe to paste.
pub(crate) fn permitting(name: &str) -> String {
    format!("casemate policy permit {name}")
}

/// `--allow` first, for those who have a command line: Kubernetes' engines have none that leads
/// here.
impl fmt::Display for Remedy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, permitted, forbidden, engine } = self;
        if let Some(message) = forbidden {
            return out.write_str(message);
        }
        out.write_str("allow with ")?;
        if !matches!(engine, Some(Engine::Containerd | Engine::CriO)) {
            write!(out, "--allow {name}, or ")?;
        }
        write!(out, "annotation {ALLOW_PREFIX}{name}=true")?;
        match permitted {
            true => Ok(()),
            false => write!(out, " once the node permits it: {}", permitting(name)),
        }
    }
}

/// One line, because engines show one: what, which rule, and the way past it.
impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { rule, reason, .. } = &*self.decision;
        write!(out, "denied by profile {}: {reason} (rule {rule})", self.profile)?;
        match &self.allow {
            Some(remedy) => write!(out, "; {remedy}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}
