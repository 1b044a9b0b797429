//! One container's choice: the node's policy, the bundle's annotations and the command line, made into a profile and the
//! overrides beside it.
//!
//! Tightening is free, loosening is somebody's word: a policy file's, the operator's on the command line as far as no
//! policy forbids it, the bundle's as far as a policy permits it. What is not known is an error, also when it would
//! change nothing.

use crate::control::{Allow, ControlId, Mode};
use crate::error::PolicyError;
use crate::node::{Effects, NodePolicy, Permits, Subject, PROFILE};
use crate::overrides::{Choice, Overrides, Source, ALLOW_PREFIX};
use crate::profile::ProfileName;
use std::collections::BTreeMap;

/// All annotations of ours begin so; one that is not known is an error.
const OURS: &str = "org.casemate.";

/// Annotations that forbid an override, or switch a control on.
const DENY_PREFIX: &str = "org.casemate.deny/";

/// The annotation that names a profile.
const PROFILE_KEY: &str = "org.casemate.profile";

/// What a step of an image's build cannot do without.
const WRITABLE: &str = "rootfs.writable";

/// What the operator says on the command line.
#[derive(Clone, Copy, Debug, Default)]
pub struct CommandLine<'a> {
    /// `--profile`.
    pub profile: Option<&'a str>,
    /// `--allow`, one name each.
    pub allow: &'a [String],
}

/// What the bundle says.
#[derive(Default)]
struct Annotations<'a> {
    profile: Option<ProfileName>,
    allow: Vec<(&'a str, Allow)>,
    deny: Vec<Allow>,
}

impl<'a> Annotations<'a> {
    fn read(all: &'a BTreeMap<String, String>) -> Result<Self, PolicyError> {
        let mut found = Self::default();
        for (key, value) in all.iter().filter(|(key, _)| key.starts_with(OURS)) {
            found.take(key, value).map_err(|error| error.at(format_args!("annotations {key}")))?;
        }
        Ok(found)
    }

    fn take(&mut self, key: &'a str, value: &str) -> Result<(), PolicyError> {
        if key == PROFILE_KEY {
            self.profile = Some(ProfileName::parse(value)?);
            return Ok(());
        }
        let allow = key.strip_prefix(ALLOW_PREFIX);
        let Some(name) = allow.or_else(|| key.strip_prefix(DENY_PREFIX)) else {
            return Err(PolicyError::new(format!(
                "is unknown (hint: {ALLOW_PREFIX}NAME, {DENY_PREFIX}NAME and {PROFILE_KEY} are known)"
            )));
        };
        if value != "true" {
            let message =
                format!("must be \"true\", is {value:?} (hint: leave out what is not meant)");
            return Err(PolicyError::new(message));
        }
        match allow {
            Some(_) => self.allow.push((key, Allow::parse(name)?)),
            None => self.deny.push(Allow::parse_control(name)?),
        }
        Ok(())
    }
}

/// Makes the choice.
///
/// # Errors
/// Unknown names, and overrides that the node's policy does not permit: one line that names what asked for it.
pub fn choose(
    node: &NodePolicy,
    subject: &Subject<'_>,
    line: &CommandLine<'_>,
) -> Result<Choice, PolicyError> {
    let asked = Annotations::read(subject.annotations)?;
    let effects = node.effects_for(subject);
    let permits = Permits::of(&effects);
    let profile = profile(&effects, &permits, line, asked.profile)?;
    let mut overrides = Overrides::default();
    for one in &effects {
        overrides.modes.extend(&one.modes);
        overrides.values.take_from(&one.values);
        for (name, place) in &one.allow {
            overrides.granted.insert(name.clone(), Source::Policy(place.clone()));
        }
    }
    if subject.is_build_step() && profile.profile().mode(ControlId::ReadonlyRoot) == Mode::Enforce {
        // As if it had the annotation that its builder cannot pass.
        if let Ok(place) = annotated(&permits, WRITABLE) {
            let source = Source::Policy(format!("{place}, as for all steps of builds"));
            overrides.granted.insert(WRITABLE.to_owned(), source);
        }
    }
    for (key, allow) in asked.allow {
        for name in allow.names {
            let place = annotated(&permits, &name)
                .map_err(|error| error.at(format_args!("annotations {key}")))?;
            overrides.granted.insert(name, Source::Annotation(place));
        }
    }
    for text in line.allow {
        let about = |error: PolicyError| error.at(format_args!("--allow {text}"));
        for name in Allow::parse(text).map_err(about)?.names {
            not_forbidden(&permits, &name).map_err(about)?;
            overrides.granted.insert(name, Source::CommandLine);
        }
    }
    for deny in asked.deny {
        overrides.modes.insert(deny.control, Mode::Enforce);
        for name in deny.names {
            overrides.granted.remove(&name);
            overrides.denied.insert(name);
        }
    }
    Ok(Choice { profile: profile.profile(), overrides, permits })
}

/// The command line's profile, or the last one that a rule names, or the node's; the bundle may ask for a stricter one.
fn profile(
    effects: &[&Effects],
    permits: &Permits,
    line: &CommandLine<'_>,
    annotation: Option<ProfileName>,
) -> Result<ProfileName, PolicyError> {
    let named = effects.iter().rev().find_map(|one| one.profile.as_ref());
    let node = named.map_or(ProfileName::DEFAULT, |(name, _)| *name);
    let base = match line.profile {
        None => node,
        Some(text) => {
            let about = |error: PolicyError| error.at("--profile");
            let name = ProfileName::parse(text).map_err(about)?;
            if name < node {
                not_forbidden(permits, &format!("{PROFILE}{name}")).map_err(about)?;
            }
            name
        }
    };
    match annotation {
        Some(name) if name < base => {
            let about =
                |error: PolicyError| error.at(format_args!("annotations {PROFILE_KEY}={name}"));
            annotated(permits, &format!("{PROFILE}{name}")).map_err(about)?;
            Ok(name)
        }
        Some(name) => Ok(name),
        None => Ok(base),
    }
}

/// Where the annotation is permitted.
fn annotated(permits: &Permits, name: &str) -> Result<String, PolicyError> {
    not_forbidden(permits, name)?;
    match permits.permitted(name) {
        Some(place) => Ok(place.to_owned()),
        None => Err(PolicyError::new(format!(
            "the node policy does not permit {name} \
             (hint: permit = [\"@default\", {name:?}] in /etc/casemate/policy.toml)"
        ))),
    }
}

fn not_forbidden(permits: &Permits, name: &str) -> Result<(), PolicyError> {
    match permits.forbidden(name) {
        Some(place) => Err(PolicyError::new(format!("{name} is forbidden by {place}"))),
        None => Ok(()),
    }
}
