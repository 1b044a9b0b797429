//! The node's policy: which profile containers get, which overrides may be asked for, by whom, and
//! which are given.
//!
//! Plain data and its meaning. The text of the files comes from the runtime, which finds them and
//! checks who may write them; how one container's choice is made of it is `choose`'s.

mod audit;
mod effects;
mod file;
mod pattern;
mod permits;
mod scope;
mod text;

pub use audit::AuditPolicy;
pub(crate) use effects::Applied;
pub(crate) use pattern::PROFILE;
pub(crate) use permits::Permits;
pub use scope::Subject;

use crate::control::{ControlId, Mode};
use crate::engine::Engine;
use crate::error::PolicyError;
use crate::profile::ProfileName;
use effects::{Effects, Rule};
use pattern::{all_names, Pattern};
use scope::Reach;

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
