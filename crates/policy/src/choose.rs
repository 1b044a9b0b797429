//! One container's choice: the node's policy, the bundle's annotations and the command line, made
//! into a profile and the overrides beside it.
//!
//! Tightening is free, loosening is somebody's word: a policy file's, the operator's on the command
//! line as far as no policy forbids it, the bundle's as far as a policy permits it. What is not
//! known is an error, also when it would change nothing.

use crate::choice::Choice;
use crate::control::{Allow, ControlId, Mode};
use crate::error::PolicyError;
use crate::forbid::{self, Forbidden};
use crate::node::{Applied, NodePolicy, Permits, Subject, PROFILE};
use crate::overrides::Overrides;
use crate::profile::ProfileName;
use crate::refusal::permitting;
use crate::source::{Source, ALLOW_PREFIX};
use std::collections::{BTreeMap, BTreeSet};

/// All annotations of ours begin so; one that is not known is an error.
const OURS: &str = "org.casemate.";

/// Annotations that forbid an override, or switch a control on.
const DENY_PREFIX: &str = "org.casemate.deny/";

impl CommandLine<'_> {
    /// Whether all names are known; for commands that choose nothing.
    ///
    /// # Errors
    /// The first that is not.
    pub fn check(&self) -> Result<(), PolicyError> {
        if let Some(name) = self.profile {
            ProfileName::parse(name).map_err(|error| error.at("--profile"))?;
        }
        for text in self.allow {
            Allow::parse(text).map_err(|error| error.at(format_args!("--allow {text}")))?;
        }
        Ok(())
    }
}

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
            let known =
                format!("{ALLOW_PREFIX}NAME, {DENY_PREFIX}NAME and {PROFILE_KEY} are known");
            return Err(PolicyError::new("is unknown").with_hint(known));
        };
        if value != "true" {
            let error = PolicyError::new(format!("must be \"true\", is {value:?}"));
            return Err(error.with_hint("leave out what is not meant"));
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
/// Unknown names, overrides that the node's policy does not permit, and annotations of two engines
/// outside of the profile privileged: one line that names what asked for it.
pub fn choose(
    node: &NodePolicy,
    subject: &Subject<'_>,
    line: &CommandLine<'_>,
) -> Result<Choice, PolicyError> {
    let asked = Annotations::read(subject.annotations)?;
    let engine = subject.engine();
    // Signs of two are the word of neither. An engine that is not root's says what its user wants.
    let word = engine.as_ref().map_or(None, |engine| *engine).filter(|_| subject.uid == 0);
    let effects = node.effects_for(subject, word);
    let permits = Permits::of(&effects);
    let profile = profile(node, &effects, &permits, line, asked.profile)?;
    if let Err(error) = engine.as_ref() {
        // What is run as written is not protected by knowing who wrote it.
        if profile != ProfileName::Privileged {
            return Err(error.clone().at("annotations"));
        }
    }
    let mut overrides = said_by_the_node(&effects, profile);
    if subject.is_build_step() && profile.profile().mode(ControlId::ReadonlyRoot) == Mode::Enforce {
        // As if it had the annotation that its builder cannot pass; where that may not be given, it is not.
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
    let denied = overrides.denied.clone();
    Forbidden { permits: &permits, denied: &denied }.hold(profile, &mut overrides);
    // An error that came this far is one of `privileged`, see above.
    let engine = engine.unwrap_or(None);
    let record_denials = node.audit().denials == Some(true);
    Ok(Choice { profile: profile.profile(), overrides, permits, engine, record_denials })
}

impl NodePolicy {
    /// What a container gets that no rule is for and that asks for nothing: for reports.
    #[must_use]
    pub fn for_everyone(&self) -> Choice {
        let effects = self.to_everyone();
        let permits = Permits::of(&effects);
        let profile = forbid::profile(&permits, self.profile(), self.profile());
        let mut overrides = said_by_the_node(&effects, profile);
        Forbidden { permits: &permits, denied: &BTreeSet::new() }.hold(profile, &mut overrides);
        let record_denials = self.audit().denials == Some(true);
        Choice { profile: profile.profile(), overrides, permits, engine: None, record_denials }
    }
}

impl Choice {
    /// Whether somebody may have an override: neither it nor what it includes is forbidden.
    #[must_use]
    pub fn leaves_open(&self, name: &str) -> bool {
        // Who asks for it by name is told where it is forbidden; here only the answer counts.
        Forbidden { permits: &self.permits, denied: &BTreeSet::new() }.check(name).is_ok()
    }
}

/// What policy files switch, set and grant. A rule that may be for somebody else counts as far as
/// it is stricter.
fn said_by_the_node(effects: &[Applied<'_>], profile: ProfileName) -> Overrides {
    let mut overrides = Overrides::default();
    for Applied { effects, gives } in effects {
        if !gives {
            for (control, mode) in &effects.modes {
                let now = overrides.mode(profile, *control);
                if *mode > now {
                    overrides.modes.insert(*control, *mode);
                }
            }
            overrides.values.tighten_by(&effects.values, profile.profile());
            continue;
        }
        overrides.modes.extend(&effects.modes);
        overrides.values.take_from(&effects.values);
        for (name, place) in &effects.allow {
            overrides.granted.insert(name.clone(), Source::Policy(place.clone()));
        }
    }
    overrides
}

/// The command line's profile, or the last one that a rule names, or the node's; the bundle may ask
/// for a stricter one.
fn profile(
    node: &NodePolicy,
    effects: &[Applied<'_>],
    permits: &Permits,
    line: &CommandLine<'_>,
    annotation: Option<ProfileName>,
) -> Result<ProfileName, PolicyError> {
    let mut named = ProfileName::DEFAULT;
    for Applied { effects, gives } in effects {
        match &effects.profile {
            Some((name, _)) if *gives => named = *name,
            Some((name, _)) => named = named.max(*name),
            None => {}
        }
    }
    let of_node = forbid::profile(permits, named, node.profile());
    let is_forbidden = |name| forbid::is_forbidden(permits, name, node.profile());
    let base = match line.profile {
        None => of_node,
        Some(text) => {
            let about = |error: PolicyError| error.at("--profile");
            let name = ProfileName::parse(text).map_err(about)?;
            if is_forbidden(name) {
                not_forbidden(permits, &format!("{PROFILE}{name}")).map_err(about)?;
            }
            name
        }
    };
    let Some(name) = annotation else { return Ok(base) };
    let about = |error: PolicyError| error.at(format_args!("annotations {PROFILE_KEY}={name}"));
    if is_forbidden(name) {
        not_forbidden(permits, &format!("{PROFILE}{name}")).map_err(about)?;
    }
    if name < base {
        annotated(permits, &format!("{PROFILE}{name}")).map_err(about)?;
    }
    Ok(name)
}

/// Where the annotation is permitted.
fn annotated(permits: &Permits, name: &str) -> Result<String, PolicyError> {
    not_forbidden(permits, name)?;
    match permits.permitted(name) {
        Some(place) => Ok(place.to_owned()),
        None => Err(PolicyError::new(format!("the node policy does not permit {name}"))
            .with_hint(permitting(name))),
    }
}

fn not_forbidden(permits: &Permits, name: &str) -> Result<(), PolicyError> {
    Forbidden { permits, denied: &BTreeSet::new() }.check(name)
}
