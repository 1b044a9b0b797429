//! The node's policy: which profile containers get, which overrides may be asked for, by whom, and which are given.
//!
//! Plain data and its meaning. The text of the files comes from the runtime, which finds them and checks who may write
//! them; how one container's choice is made of it is `choose`'s.

mod audit;
mod file;
mod scope;

pub use audit::AuditPolicy;
pub use scope::Subject;

use crate::control::{ControlId, Mode, CONTROLS};
use crate::error::PolicyError;
use crate::overrides::Values;
use crate::profile::ProfileName;
use crate::spec::Capability;
use scope::Scope;
use std::collections::BTreeMap;

/// What callers may ask for by annotation when no file says otherwise. The measure is what an image's author may decide,
/// because some engines (podman 4) copy the annotations of an image to its containers: how programs run inside, not what the
/// container can reach outside. `profiles/policy.toml` has the reasons, one by one.
pub(crate) const PERMITTED: &[&str] = &[
    "rootfs.writable",
    "root.no-tmpfs",
    "process.new-privileges",
    "capabilities.audit_write",
    "capabilities.mknod",
    "capabilities.setfcap",
    "capabilities.setpcap",
    "capabilities.sys_chroot",
    "seccomp.kcmp",
    "seccomp.lsm",
    "seccomp.numa",
    "seccomp.personality",
    "seccomp.ptrace",
];

/// In a list of permitted names: those of [`PERMITTED`].
const DEFAULTS: &str = "@default";

/// How the policy without files is called.
const BUILT_IN: &str = "the built-in policy";

/// A name of an override or of a profile (`profile.baseline`), or a pattern with `*`, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    text: String,
    place: String,
}

impl Pattern {
    fn new(text: &str, place: &str) -> Result<Self, PolicyError> {
        let pattern = Self { text: text.to_owned(), place: place.to_owned() };
        if text.contains('*') {
            if all_names().any(|name| pattern.matches(&name)) {
                return Ok(pattern);
            }
            return Err(PolicyError::new(format!("pattern {text:?} matches no override")));
        }
        if let Some(name) = text.strip_prefix(PROFILE) {
            return ProfileName::parse(name).map(|_| pattern);
        }
        // A control's id would permit nothing: names are compared, and nobody asks by it here.
        let allow = crate::control::Allow::parse(text)?;
        match allow.names.as_slice() {
            [only] => Ok(Self { text: only.clone(), ..pattern }),
            several => Err(PolicyError::new(format!(
                "{text:?} is a control; name its overrides: {}",
                several.join(", ")
            ))),
        }
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        matches_glob(&self.text, name)
    }

    pub(crate) fn place(&self) -> &str {
        &self.place
    }
}

/// Overrides that stand for a looser profile.
pub(crate) const PROFILE: &str = "profile.";

/// Every name that can be permitted.
fn all_names() -> impl Iterator<Item = String> {
    let plain = CONTROLS.iter().flat_map(|control| control.allow).map(|name| (*name).to_owned());
    let capabilities = Capability::all().map(|capability| {
        format!(
            "capabilities.{}",
            capability.name().trim_start_matches("CAP_").to_ascii_lowercase()
        )
    });
    let features = crate::control::seccomp_features().iter().map(|name| format!("seccomp.{name}"));
    let profiles = ProfileName::ALL.map(|name| format!("{PROFILE}{name}"));
    plain.filter(|name| !name.contains('*')).chain(capabilities).chain(features).chain(profiles)
}

/// `*` stands for any text, everything else for itself.
pub(crate) fn matches_glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// What the top of a file, or one of its rules, says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) profile: Option<(ProfileName, String)>,
    /// `None`: not mentioned.
    pub(crate) permit: Option<Vec<Pattern>>,
    pub(crate) forbid: Vec<Pattern>,
    /// Granted, and where.
    pub(crate) allow: Vec<(String, String)>,
    pub(crate) modes: BTreeMap<ControlId, Mode>,
    pub(crate) values: Values,
}

/// A rule for some containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) scope: Scope,
    pub(crate) effects: Effects,
}

/// What an administrator sets for the whole node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePolicy {
    files: Vec<String>,
    pub(crate) everyone: Effects,
    rules: Vec<Rule>,
    audit: AuditPolicy,
}

impl NodePolicy {
    /// The files that it was read from, in the order in which they were read.
    #[must_use]
    pub fn files(&self) -> &[String] {
        &self.files
    }

    /// Where to write down what is done with containers.
    #[must_use]
    pub fn audit(&self) -> &AuditPolicy {
        &self.audit
    }

    /// The profile of containers that name none and that no rule is for.
    #[must_use]
    pub fn profile(&self) -> ProfileName {
        self.everyone.profile.as_ref().map_or(ProfileName::DEFAULT, |(name, _)| *name)
    }

    /// What a control does in containers that no rule is for.
    #[must_use]
    pub fn mode(&self, rule: ControlId) -> Mode {
        let set = self.everyone.modes.get(&rule).copied();
        set.unwrap_or_else(|| self.profile().profile().mode(rule))
    }

    /// Adds the text of a file to what was read before. What the file says about all containers replaces what an earlier
    /// one said on the same subject, except that prohibitions and rules add up.
    ///
    /// # Errors
    /// Text that is not TOML, an unknown key, name or value: one line with file and line number.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), PolicyError> {
        let (everyone, rules, audit) = file::read(file, text)?;
        self.files.push(file.to_owned());
        self.rules.extend(rules);
        self.audit.take_from(audit);
        let ours = &mut self.everyone;
        ours.profile = everyone.profile.or(ours.profile.take());
        ours.permit = everyone.permit.or(ours.permit.take());
        ours.forbid.extend(everyone.forbid);
        ours.allow.extend(everyone.allow);
        ours.modes.extend(everyone.modes);
        ours.values.take_from(&everyone.values);
        Ok(())
    }

    /// What applies to a container: the node's word first, then the rules for it in their order.
    pub(crate) fn effects_for(&self, subject: &Subject<'_>) -> Vec<&Effects> {
        let rules = self.rules.iter().filter(|rule| rule.scope.covers(subject));
        std::iter::once(&self.everyone).chain(rules.map(|rule| &rule.effects)).collect()
    }

    /// All names that callers may ask for wherever they are, with the place that says so: for reports.
    #[must_use]
    pub fn permitted(&self) -> Vec<(String, String)> {
        let permits = Permits::of(&[&self.everyone]);
        let named = all_names().filter_map(|name| {
            let place = permits.permitted(&name)?.to_owned();
            permits.forbidden(&name).is_none().then_some((name, place))
        });
        named.collect()
    }

    /// The rules as text, for reports: where, and for whom.
    pub fn rules(&self) -> impl Iterator<Item = (&str, String)> {
        self.rules.iter().map(|rule| (rule.scope.place(), rule.scope.to_string()))
    }
}

/// Which overrides may be asked for: by annotation what is permitted and not forbidden, on the command line what is not
/// forbidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permits {
    /// `None`: the built-in ones.
    permit: Option<Vec<Pattern>>,
    forbid: Vec<Pattern>,
}

impl Permits {
    pub(crate) fn of(effects: &[&Effects]) -> Self {
        let mut permits = Self::default();
        for one in effects {
            // The node's list comes first and replaces the built-in one; those of rules are added to it.
            match (&mut permits.permit, &one.permit) {
                (_, None) => {}
                (None, Some(list)) => permits.permit = Some(list.clone()),
                (Some(known), Some(list)) => known.extend(list.iter().cloned()),
            }
            permits.forbid.extend(one.forbid.iter().cloned());
        }
        permits
    }

    /// Where it is permitted.
    pub(crate) fn permitted(&self, name: &str) -> Option<&str> {
        match &self.permit {
            None => PERMITTED.contains(&name).then_some(BUILT_IN),
            Some(list) => list.iter().find(|known| known.matches(name)).map(Pattern::place),
        }
    }

    /// Where it is forbidden.
    pub(crate) fn forbidden(&self, name: &str) -> Option<&str> {
        self.forbid.iter().find(|known| known.matches(name)).map(Pattern::place)
    }
}

/// The patterns of a list, with those of [`DEFAULTS`] in its place.
pub(crate) fn patterns(text: &str, place: &str) -> Result<Vec<Pattern>, PolicyError> {
    match text {
        DEFAULTS => PERMITTED.iter().map(|name| Pattern::new(name, place)).collect(),
        _ => Ok(vec![Pattern::new(text, place)?]),
    }
}
