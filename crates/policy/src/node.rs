//! The node's policy: which profile containers get, which overrides may be asked for, by whom, and
//! which are given.
//!
//! Plain data and its meaning. The text of the files comes from the runtime, which finds them and
//! checks who may write them; how one container's choice is made of it is `choose`'s.

mod audit;
mod file;
mod scope;

pub use audit::AuditPolicy;
pub use scope::Subject;

use crate::control::{ControlId, Mode, CONTROLS};
use crate::engine::Engine;
use crate::error::PolicyError;
use crate::forbid;
use crate::overrides::Values;
use crate::profile::ProfileName;
use scope::{Reach, Scope};
use std::collections::BTreeMap;

/// What callers may ask for by annotation when no file says otherwise. The measure is what an
/// image's author may decide, because some engines (podman 4) copy the annotations of an image to
/// its containers: how programs run inside, not what the container can reach outside.
/// `profiles/policy.toml` has the reasons, one by one.
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

/// In a list of permitted names: nothing of what was permitted before. An empty list says the same.
const NOTHING: &str = "@none";

/// How the policy without files is called.
const BUILT_IN: &str = "the built-in policy";

/// A name of an override or of a profile (`profile.baseline`), or a pattern with `*`, and where it
/// stands.
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
    let overrides = CONTROLS.iter().flat_map(forbid::all_names);
    overrides.chain(ProfileName::ALL.map(|name| format!("{PROFILE}{name}")))
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
    pub(crate) permit: Option<PermitList>,
    pub(crate) forbid: Vec<Pattern>,
    /// Granted, and where.
    pub(crate) allow: Vec<(String, String)>,
    pub(crate) modes: BTreeMap<ControlId, Mode>,
    pub(crate) values: Values,
}

/// What a file or a rule permits to ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PermitList {
    /// It stands in place of what was permitted before, and does not add to it.
    pub(crate) anew: bool,
    pub(crate) names: Vec<Pattern>,
}

impl PermitList {
    fn add(&mut self, later: Self) {
        match later.anew {
            true => *self = later,
            false => self.names.extend(later.names),
        }
    }
}

/// What a file says, or a rule that is for a container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applied<'a> {
    pub(crate) effects: &'a Effects,
    /// It is certain whom it is for; if not, it counts only as far as it takes away.
    pub(crate) gives: bool,
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

    /// Adds the text of the node's first file, `policy.toml`: its list of permitted names stands in
    /// place of the built-in one.
    ///
    /// # Errors
    /// Text that is not TOML, an unknown key, name or value: one line with file and line number.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), PolicyError> {
        let mut content = file::read(file, text)?;
        if let Some(permit) = &mut content.0.permit {
            permit.anew = true;
        }
        self.take(file, content);
        Ok(())
    }

    /// Adds the text of a further file, one of `policy.d`. What it says about all containers
    /// replaces what an earlier one said on the same subject, except that permissions,
    /// prohibitions, grants and rules add up.
    ///
    /// # Errors
    /// As [`NodePolicy::add`].
    pub fn add_more(&mut self, file: &str, text: &str) -> Result<(), PolicyError> {
        self.take(file, file::read(file, text)?);
        Ok(())
    }

    fn take(&mut self, file: &str, (everyone, rules, audit): (Effects, Vec<Rule>, AuditPolicy)) {
        self.files.push(file.to_owned());
        self.rules.extend(rules);
        self.audit.take_from(audit);
        let ours = &mut self.everyone;
        ours.profile = everyone.profile.or(ours.profile.take());
        if let Some(permit) = everyone.permit {
            ours.permit.get_or_insert_default().add(permit);
        }
        ours.forbid.extend(everyone.forbid);
        ours.allow.extend(everyone.allow);
        ours.modes.extend(everyone.modes);
        ours.values.take_from(&everyone.values);
    }

    /// What applies to a container: the node's word first, then the rules for it in their order.
    pub(crate) fn effects_for(
        &self,
        subject: &Subject<'_>,
        engine: Option<Engine>,
    ) -> Vec<Applied<'_>> {
        let rules = self.rules.iter().filter_map(|rule| {
            let gives = match rule.scope.reach(subject, engine) {
                Reach::None => return None,
                Reach::Claimed => false,
                Reach::Certain => true,
            };
            Some(Applied { effects: &rule.effects, gives })
        });
        std::iter::once(Applied { effects: &self.everyone, gives: true }).chain(rules).collect()
    }

    /// What can be read and will not do what it seems to say; one line each.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let note = |rule: &Rule| {
            let key = rule.scope.anybodys_key().filter(|_| rule.effects.may_give())?;
            let place = rule.scope.place();
            Some(format!(
                "{place}: annotation {key} is not written by an engine itself: the rule counts as far as it is stricter, \
                 and gives nothing (hint: match.namespace, image, uid or cgroup-parent)"
            ))
        };
        self.rules.iter().filter_map(note).collect()
    }

    /// All names that callers may ask for wherever they are, with the place that says so: for
    /// reports.
    #[must_use]
    pub fn permitted(&self) -> Vec<(String, String)> {
        let permits = Permits::of(&self.to_everyone());
        let named = all_names().filter_map(|name| {
            let place = permits.permitted(&name)?.to_owned();
            permits.forbidden(&name).is_none().then_some((name, place))
        });
        named.collect()
    }

    /// What applies to containers that no rule is for.
    pub(crate) fn to_everyone(&self) -> [Applied<'_>; 1] {
        [Applied { effects: &self.everyone, gives: true }]
    }

    /// What is forbidden to all containers, as it is written, with the place: for reports.
    pub fn forbidden(&self) -> impl Iterator<Item = (&str, &str)> {
        self.everyone.forbid.iter().map(|known| (known.text.as_str(), known.place()))
    }

    /// Where a name is forbidden to all containers.
    #[must_use]
    pub fn forbids(&self, name: &str) -> Option<&str> {
        self.everyone.forbid.iter().find(|known| known.matches(name)).map(Pattern::place)
    }

    /// The rules as text, for reports: where, and for whom.
    pub fn rules(&self) -> impl Iterator<Item = (&str, String)> {
        self.rules.iter().map(|rule| (rule.scope.place(), rule.scope.to_string()))
    }
}

impl Effects {
    /// Whether anything here may be less strict than what applies without it.
    fn may_give(&self) -> bool {
        let permits = self.permit.as_ref().is_some_and(|list| !list.names.is_empty());
        let is_loose = |(name, _): &(ProfileName, String)| *name < ProfileName::Restricted;
        permits
            || !self.allow.is_empty()
            || self.profile.as_ref().is_some_and(is_loose)
            || self.modes.values().any(|mode| *mode < Mode::Enforce)
            || self.values != Values::default()
    }
}

/// Which overrides may be asked for: by annotation what is permitted and not forbidden, on the
/// command line what is not forbidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permits {
    /// Takes the place of the built-in ones if it says so.
    permit: PermitList,
    forbid: Vec<Pattern>,
}

impl Permits {
    pub(crate) fn of(all: &[Applied<'_>]) -> Self {
        let mut permits = Self::default();
        for Applied { effects, gives } in all {
            if let Some(list) = &effects.permit {
                let names = if *gives { list.names.clone() } else { Vec::new() };
                permits.permit.add(PermitList { anew: list.anew, names });
            }
            permits.forbid.extend(effects.forbid.iter().cloned());
        }
        permits
    }

    /// Where it is permitted.
    pub(crate) fn permitted(&self, name: &str) -> Option<&str> {
        let listed = self.permit.names.iter().find(|known| known.matches(name));
        let built_in = || (!self.permit.anew && PERMITTED.contains(&name)).then_some(BUILT_IN);
        listed.map(Pattern::place).or_else(built_in)
    }

    /// Where it is forbidden.
    pub(crate) fn forbidden(&self, name: &str) -> Option<&str> {
        self.forbid.iter().find(|known| known.matches(name)).map(Pattern::place)
    }

    /// Whether there is no prohibition at all, the usual case.
    pub(crate) fn forbids_nothing(&self) -> bool {
        self.forbid.is_empty()
    }
}

/// What a list of permitted names says.
pub(crate) fn permit_list(list: &[(String, String)]) -> Result<PermitList, PolicyError> {
    let mut all = PermitList { anew: list.is_empty(), names: Vec::new() };
    for (text, place) in list {
        match text.as_str() {
            NOTHING => all.anew = true,
            text => all.names.extend(patterns(text, place).map_err(|error| error.at(place))?),
        }
    }
    Ok(all)
}

/// The patterns of a name, which [`DEFAULTS`] has several of.
pub(crate) fn patterns(text: &str, place: &str) -> Result<Vec<Pattern>, PolicyError> {
    match text {
        DEFAULTS => PERMITTED.iter().map(|name| Pattern::new(name, place)).collect(),
        _ => Ok(vec![Pattern::new(text, place)?]),
    }
}
