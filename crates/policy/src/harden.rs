//! Applies a profile: the ordered table of rules, and the fold over it.
//!
//! Rules only take away. Their order matters in two places: `root.tmpfs` looks at whether `root.readonly`
//! changed anything, so it comes after it; and since it inserts mounts, every rule that names a mount by
//! its number comes before it.

use crate::check;
use crate::decision::{Decision, Refusal, RuleId, Verdict};
use crate::facts::HostFacts;
use crate::hardened::{Extras, Hardened, HardenedProcess, HardenedSpec};
use crate::profile::Profile;
use crate::rules;
use crate::spec::{Process, Spec};
use serde_json::Value;
use std::borrow::Cow;

/// A rule: looks at the draft, changes it, records what it did.
type Rule = fn(&mut Draft<'_>) -> Result<(), Refusal>;

const RULES: [Rule; 12] = [
    rules::namespaces::mount,
    rules::process::no_new_privileges,
    rules::capabilities::ceiling,
    rules::process::core_limit,
    rules::seccomp::default_filter,
    rules::mounts::shared_propagation,
    rules::root::readonly,
    rules::root::tmpfs,
    rules::paths::masked,
    rules::paths::readonly,
    rules::resources::pids,
    rules::resources::devices,
];

/// A configuration on its way through the rules.
pub(crate) struct Draft<'a> {
    pub(crate) profile: &'a Profile,
    pub(crate) facts: &'a HostFacts,
    pub(crate) spec: Spec,
    pub(crate) extras: Extras,
    pub(crate) log: Log,
}

/// The decisions so far.
#[derive(Default)]
pub(crate) struct Log {
    decisions: Vec<Decision>,
    /// Whether `root.readonly` changed the configuration.
    pub(crate) made_root_readonly: bool,
}

/// Applies a profile to a configuration.
///
/// # Errors
/// A configuration that the profile does not run; the host plays a part only through `facts`.
pub fn harden(spec: Spec, profile: &Profile, facts: &HostFacts) -> Result<Hardened, Refusal> {
    let mut draft = Draft { profile, facts, spec, extras: Extras::default(), log: Log::default() };
    if profile.is_verbatim() {
        draft.log.verbatim(profile);
    } else {
        for rule in RULES {
            rule(&mut draft)?;
        }
    }
    let Draft { spec, extras, log, .. } = draft;
    Ok(Hardened { spec: HardenedSpec::new(profile.name, extras, spec), decisions: log.decisions })
}

/// Applies a container's profile to a process that is added to it. The profile is the one that the
/// container was made with, not one that the caller of `exec` may choose: `exec` can only narrow.
///
/// # Errors
/// Ids that the container does not map.
pub fn harden_process(
    process: Process,
    container: &HardenedSpec,
) -> Result<(HardenedProcess, Vec<Decision>), Refusal> {
    let profile = container.profile().profile();
    let mut log = Log::default();
    let mut process = process;
    check::container_ids(&process, &container.linux).map_err(|error| Refusal {
        profile: profile.name,
        decision: Box::new(refused(RuleId::IDS, pointer(error.path()), error.message().to_owned())),
    })?;
    if profile.is_verbatim() {
        log.verbatim(profile);
    } else {
        rules::process::added(&mut process, container, profile, &mut log);
    }
    Ok((HardenedProcess::new(process), log.decisions))
}

impl Log {
    /// Records a rule that changed something.
    pub(crate) fn change(
        &mut self,
        rule: RuleId,
        pointer: impl Into<Cow<'static, str>>,
        verdict: Verdict,
        (before, after): (Value, Value),
        reason: impl Into<Cow<'static, str>>,
    ) {
        let (pointer, reason) = (pointer.into(), reason.into());
        self.decisions.push(Decision { rule, pointer, verdict, before, after, reason });
    }

    /// Records a rule that found nothing to change.
    pub(crate) fn note(
        &mut self,
        rule: RuleId,
        pointer: &'static str,
        verdict: Verdict,
        reason: &'static str,
    ) {
        self.change(rule, pointer, verdict, (Value::Null, Value::Null), reason);
    }

    fn verbatim(&mut self, profile: &Profile) {
        let reason = format!("profile {} runs the configuration as written", profile.name);
        self.change(RuleId::VERBATIM, "", Verdict::Waived, (Value::Null, Value::Null), reason);
    }
}

impl Draft<'_> {
    /// Makes a refusal of this profile.
    pub(crate) fn refuse(
        &self,
        rule: RuleId,
        pointer: &'static str,
        reason: &'static str,
    ) -> Refusal {
        let decision = Box::new(refused(rule, pointer, reason));
        Refusal { profile: self.profile.name, decision }
    }
}

fn refused(
    rule: RuleId,
    pointer: impl Into<Cow<'static, str>>,
    reason: impl Into<Cow<'static, str>>,
) -> Decision {
    Decision {
        rule,
        pointer: pointer.into(),
        verdict: Verdict::Refused,
        before: Value::Null,
        after: Value::Null,
        reason: reason.into(),
    }
}

/// `process.user.additionalGids[0]` as a JSON pointer.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}
