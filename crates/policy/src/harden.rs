//! Applies a profile: the ordered table of rules, and the fold over it.
//!
//! Rules only take away. Their order matters in two places: `root.tmpfs` looks at whether `root.readonly`
//! changed anything, so it comes after it; and since it inserts mounts, every rule that names a mount by
//! its number comes before it.

use crate::check;
use crate::control::{Mode, RuleId};
use crate::decision::{Decision, Refusal, Remedy, Verdict};
use crate::facts::HostFacts;
use crate::hardened::{Extras, Hardened, HardenedProcess, HardenedSpec};
use crate::overrides::{Choice, Source};
use crate::profile::{Profile, ProfileName};
use crate::rules;
use crate::spec::{Process, Spec};
use crate::undo::Undoable;
use serde_json::Value;
use std::borrow::Cow;

/// A rule: looks at the draft, changes it, records what it did. It is called when its control is not off, and need not
/// know whether the control enforces or warns.
type Rule = fn(&mut Draft<'_>) -> Result<(), Refusal>;

const RULES: &[(RuleId, Rule)] = &[
    (RuleId::MOUNT_NAMESPACE, rules::namespaces::mount),
    (RuleId::PRIVILEGED_BUNDLE, rules::bundle::privileged),
    (RuleId::HOST_NETWORK, rules::namespaces::network),
    (RuleId::HOST_PID, rules::namespaces::pid),
    (RuleId::HOST_IPC, rules::namespaces::ipc),
    (RuleId::HOST_UTS, rules::namespaces::uts),
    (RuleId::HOST_CGROUP, rules::namespaces::cgroup),
    (RuleId::PROC_SUBSET, rules::mounts::proc_subset),
    (RuleId::NO_NEW_PRIVILEGES, rules::process::no_new_privileges),
    (RuleId::CAPABILITIES, rules::capabilities::ceiling),
    (RuleId::CORE, rules::process::core_limit),
    (RuleId::GROUPS, rules::process::groups),
    (RuleId::SECCOMP, rules::seccomp::default_filter),
    (RuleId::APPARMOR, rules::lsm::apparmor),
    (RuleId::SELINUX_ASSIGN, rules::selinux::assign),
    (RuleId::SELINUX, rules::lsm::selinux),
    (RuleId::RLIMITS, rules::limits::defaults),
    (RuleId::OOM_SCORE, rules::limits::oom_score),
    (RuleId::SYSCTLS, rules::host::sysctls),
    (RuleId::HOOKS, rules::host::hooks),
    (RuleId::HOOKS_ALLOW, rules::host::listed_hooks),
    (RuleId::SOURCES, rules::sources::sources),
    (RuleId::FLAGS, rules::flags::flags),
    (RuleId::CGROUP_MOUNT, rules::host::cgroup),
    (RuleId::PROPAGATION, rules::mounts::shared_propagation),
    (RuleId::READONLY_ROOT, rules::root::readonly),
    (RuleId::TMPFS, rules::root::tmpfs),
    (RuleId::MASKED, rules::paths::masked),
    (RuleId::READONLY_PATHS, rules::paths::readonly),
    (RuleId::PIDS, rules::resources::pids),
    (RuleId::OOM_GROUP, rules::resources::oom_group),
    (RuleId::DEVICE_NODES, rules::devices::nodes),
    (RuleId::DEVICES, rules::resources::devices),
    (RuleId::LANDLOCK, rules::landlock::layer),
    (RuleId::USERNS, rules::auto_userns::auto),
    (RuleId::USERNS_REQUIRED, rules::auto_userns::required),
    (RuleId::ROOT_USER, rules::process::root),
    (RuleId::MEMORY, rules::resources::memory),
    (RuleId::NESTED_USERNS, rules::userns::nested),
    (RuleId::CORE_PATTERN, rules::host::core_pattern),
];

/// A configuration on its way through the rules.
pub(crate) struct Draft<'a> {
    pub(crate) choice: &'a Choice,
    pub(crate) profile: &'static Profile,
    pub(crate) facts: &'a HostFacts,
    pub(crate) spec: Undoable<Spec>,
    pub(crate) extras: Undoable<Extras>,
    pub(crate) log: Log,
    /// Whether `root.readonly` changed the configuration.
    pub(crate) made_root_readonly: bool,
}

/// The decisions so far.
#[derive(Default)]
pub(crate) struct Log {
    decisions: Vec<Decision>,
}

/// Applies a profile to a configuration, without any override.
///
/// # Errors
/// As [`harden_as`].
pub fn harden(
    spec: Spec,
    profile: &'static Profile,
    facts: &HostFacts,
) -> Result<Hardened, Refusal> {
    harden_as(spec, &Choice::from(profile), facts)
}

/// Applies a profile, and what the container gets beside it, to a configuration.
///
/// # Errors
/// A configuration that the profile does not run; the host plays a part only through `facts`.
pub fn harden_as(spec: Spec, choice: &Choice, facts: &HostFacts) -> Result<Hardened, Refusal> {
    let mut draft = Draft {
        choice,
        profile: choice.profile,
        facts,
        spec: Undoable::new(spec),
        extras: Undoable::new(Extras::default()),
        log: Log::default(),
        made_root_readonly: false,
    };
    for (id, rule) in RULES {
        match choice.mode(*id) {
            Mode::Off => {}
            Mode::Warn => draft.rehearse(*id, *rule),
            Mode::Enforce => rule(&mut draft)?,
        }
    }
    if draft.log.decisions.is_empty() {
        draft.log.verbatim(choice.profile.name);
    }
    let Draft { spec, extras, log, .. } = draft;
    let spec = HardenedSpec::new(
        choice.profile.name,
        choice.overrides.clone(),
        extras.into_inner(),
        spec.into_inner(),
    );
    Ok(Hardened { spec, decisions: log.decisions })
}

/// Applies what a container was made with to a process that is added to it; the caller of `exec` chooses nothing: `exec`
/// can only narrow.
///
/// # Errors
/// Ids that the container does not map.
pub fn harden_process(
    process: Process,
    container: &HardenedSpec,
) -> Result<(HardenedProcess, Vec<Decision>), Refusal> {
    let mut log = Log::default();
    let mut process = process;
    check::container_ids(&process, &container.linux).map_err(|error| {
        let pointer = pointer(error.path());
        let reason = format!("{pointer}: {}", error.message());
        let decision = Box::new(refused(RuleId::IDS, pointer, reason));
        Refusal { profile: container.profile(), decision, allow: None }
    })?;
    rules::process::added(&mut process, container, &mut log)?;
    if log.decisions.is_empty() {
        log.verbatim(container.profile());
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
        let source = Source::Profile;
        self.decisions.push(Decision { rule, pointer, verdict, source, before, after, reason });
    }

    /// Records a rule that an override keeps from what it would have done.
    pub(crate) fn waive(
        &mut self,
        rule: RuleId,
        pointer: impl Into<Cow<'static, str>>,
        source: &Source,
        reason: impl Into<Cow<'static, str>>,
    ) {
        self.change(rule, pointer, Verdict::Waived, (Value::Null, Value::Null), reason);
        if let Some(last) = self.decisions.last_mut() {
            last.source = source.clone();
        }
    }

    /// The last decision.
    pub(crate) fn into_last(mut self) -> Option<Decision> {
        self.decisions.pop()
    }

    /// How many decisions there are.
    pub(crate) fn len(&self) -> usize {
        self.decisions.len()
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

    fn verbatim(&mut self, profile: ProfileName) {
        let reason = format!("profile {profile} runs the configuration as written");
        self.change(RuleId::VERBATIM, "", Verdict::Waived, (Value::Null, Value::Null), reason);
    }
}

impl<'a> Draft<'a> {
    /// Who granted this override, if anybody did; the name as it stands in the table of controls.
    pub(crate) fn allows(&self, name: &str) -> Option<&'a Source> {
        self.choice.overrides.allows(name)
    }

    /// Makes a refusal of this profile; `allow` is the override that would let the configuration pass.
    pub(crate) fn refuse(
        &self,
        rule: RuleId,
        pointer: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
        allow: Option<&str>,
    ) -> Refusal {
        let decision = Box::new(refused(rule, pointer, reason));
        let remedy =
            |name: &str| Remedy { name: name.to_owned(), permitted: self.choice.permits(name) };
        Refusal { profile: self.profile.name, decision, allow: allow.map(remedy) }
    }

    /// Lets a rule run: what it says is kept, what it does is not.
    fn rehearse(&mut self, id: RuleId, rule: Rule) {
        let known = self.log.decisions.len();
        let made_root_readonly = self.made_root_readonly;
        self.spec.watch();
        self.extras.watch();
        let outcome = rule(self);
        self.spec.undo();
        self.extras.undo();
        self.made_root_readonly = made_root_readonly;
        if let Err(refusal) = outcome {
            self.log.decisions.push(*refusal.decision);
        }
        for decision in self.log.decisions.iter_mut().skip(known).filter(|d| d.rule == id) {
            if matches!(decision.verdict, Verdict::Tightened | Verdict::Added | Verdict::Refused) {
                decision.verdict = Verdict::Warned;
            }
        }
    }
}

pub(crate) fn refused(
    rule: RuleId,
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

/// `process.user.additionalGids[0]` as a JSON pointer.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}
