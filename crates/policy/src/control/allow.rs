//! Names of overrides: from what a person writes to the canonical name and the control that it belongs to.

use super::id::ControlId;
use super::names::{all_names, SECCOMP_FEATURES};
use super::row::Control;
use super::table::CONTROLS;
use crate::error::PolicyError;
use crate::similar::nearest;
use crate::spec::Capability;

/// A name that an override can be asked by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allow {
    /// Its control.
    pub control: ControlId,
    /// What it permits, canonical; more than one when the control's id was given.
    pub names: Vec<String>,
}

impl Allow {
    /// Reads a name: an allow name, `+feature` for `seccomp.feature`, or a control's id.
    ///
    /// # Errors
    /// A name that no control has; a control without overrides. The message names it.
    pub fn parse(name: &str) -> Result<Self, PolicyError> {
        if let Some(feature) = name.strip_prefix('+') {
            return Self::parse_full(&format!("seccomp.{feature}"), name);
        }
        Self::parse_full(name, name)
    }

    /// As [`Allow::parse`], for what is to be enforced: a control without overrides is fine.
    ///
    /// # Errors
    /// A name that no control has.
    pub fn parse_control(name: &str) -> Result<Self, PolicyError> {
        match Control::find(name) {
            Some(control) if control.allow.iter().all(|name| name.ends_with('*')) => {
                Ok(Self { control: control.id, names: Vec::new() })
            }
            _ => Self::parse(name),
        }
    }

    fn parse_full(name: &str, written: &str) -> Result<Self, PolicyError> {
        for control in CONTROLS {
            if control.allow.contains(&name) && !name.ends_with('*') {
                return Ok(Self { control: control.id, names: vec![name.to_owned()] });
            }
            if control.id.as_str() == name {
                return Self::whole(control);
            }
        }
        for control in CONTROLS {
            for family in control.allow.iter().filter_map(|pattern| pattern.strip_suffix('*')) {
                let part = name.strip_prefix(family);
                if let Some(part) = part.and_then(|part| canonical_part(family, part)) {
                    return Ok(Self {
                        control: control.id,
                        names: vec![format!("{family}{part}")],
                    });
                }
            }
        }
        Err(unknown(written))
    }

    /// The control's id stands for everything that it can be overridden by as a whole.
    fn whole(control: &Control) -> Result<Self, PolicyError> {
        let names: Vec<String> =
            control.allow.iter().filter(|name| !name.ends_with('*')).map(|n| (*n).into()).collect();
        if names.is_empty() {
            let id = control.id;
            return Err(PolicyError::new(format!(
                "control {id} has no override: only the profile privileged runs without it"
            )));
        }
        Ok(Self { control: control.id, names })
    }
}

/// The last part of a name that is made of parts.
fn canonical_part(family: &str, part: &str) -> Option<String> {
    match family {
        "capabilities." => {
            let capability = Capability::from_name(part)?;
            Some(capability.name().trim_start_matches("CAP_").to_ascii_lowercase())
        }
        "seccomp." => SECCOMP_FEATURES.contains(&part).then(|| part.to_owned()),
        _ => None,
    }
}

fn unknown(name: &str) -> PolicyError {
    if let Some(meant) = nearest(name, CONTROLS.iter().flat_map(all_names)) {
        return PolicyError::new(format!("override {name:?} is unknown; did you mean {meant}?"));
    }
    let family = name.split('.').next().unwrap_or_default();
    let known: Vec<&str> = CONTROLS
        .iter()
        .flat_map(|control| control.allow)
        .copied()
        .filter(|allow| allow.split('.').next() == Some(family))
        .collect();
    let hint = if family == "seccomp" || name.starts_with('+') {
        format!("; features: {}", SECCOMP_FEATURES.join(", "))
    } else if known.is_empty() {
        "; see casemate policy show".to_owned()
    } else {
        format!("; known: {}", known.join(", "))
    };
    PolicyError::new(format!("override {name:?} is unknown{hint}"))
}
