//! Applies a profile: the ordered table of rules, and the fold over it.
//!
//! Rules only take away. Their order matters in two places: `root.tmpfs` looks at whether `root.readonly`
//! changed anything, so it comes after it; and since it inserts mounts, every rule that names a mount by
//! its number comes before it.

use crate::check;
use crate::control::{ControlId, Mode};
use crate::controls;
use crate::decision::{Decision, Refusal, Remedy, Verdict};
use crate::facts::HostFacts;
use crate::hardened::{Extras, Hardened, HardenedProcess, HardenedSpec};
use crate::overrides::{Choice, Source};
use crate::profile::{Profile, ProfileName};
use crate::spec::{Process, Spec};
use crate::undo::Undoable;
use serde_json::Value;
use std::borrow::Cow;

/// A rule: looks at the draft, changes it, records what it did. It is called when its control is not off, and need not
/// know whether the control enforces or warns.
type Rule = fn(&mut Draft<'_>) -> Result<(), Refusal>;

const RULES: &[(ControlId, Rule)] = &[
    (ControlId::MountNamespace, controls::namespaces::mount),
    (ControlId::PrivilegedBundle, controls::bundle::privileged),
    (ControlId::HostNetwork, controls::namespaces::network),
    (ControlId::HostPid, controls::namespaces::pid),
    (ControlId::HostIpc, controls::namespaces::ipc),
    (ControlId::HostUts, controls::namespaces::uts),
    (ControlId::HostCgroup, controls::namespaces::cgroup),
    (ControlId::ProcSubset, controls::mounts::proc_subset),
    (ControlId::NoNewPrivileges, controls::process::no_new_privileges),
    (ControlId::Capabilities, controls::capabilities::ceiling),
    (ControlId::CoreLimit, controls::process::core_limit),
    (ControlId::KeptGroups, controls::process::groups),
    (ControlId::DefaultSeccomp, controls::seccomp::default_filter),
    (ControlId::ApparmorProfile, controls::lsm::apparmor),
    (ControlId::SelinuxAssign, controls::selinux::assign),
    (ControlId::SelinuxLabel, controls::lsm::selinux),
    (ControlId::DefaultRlimits, controls::limits::defaults),
    (ControlId::OomScore, controls::limits::oom_score),
    (ControlId::Sysctls, controls::host::sysctls),
    (ControlId::TrustedHooks, controls::host::hooks),
    (ControlId::ListedHooks, controls::host::listed_hooks),
    (ControlId::MountSources, controls::sources::sources),
    (ControlId::MountFlags, controls::flags::flags),
    (ControlId::CgroupMount, controls::host::cgroup),
    (ControlId::SharedPropagation, controls::mounts::shared_propagation),
    (ControlId::ReadonlyRoot, controls::root::readonly),
    (ControlId::RootTmpfs, controls::root::tmpfs),
    (ControlId::MaskedPaths, controls::paths::masked),
    (ControlId::ReadonlyPaths, controls::paths::readonly),
    (ControlId::PidsLimit, controls::resources::pids),
    (ControlId::OomGroup, controls::resources::oom_group),
    (ControlId::DeviceNodes, controls::devices::nodes),
    (ControlId::DeviceCgroup, controls::resources::devices),
    (ControlId::Landlock, controls::landlock::layer),
    (ControlId::AutoUserns, controls::auto_userns::auto),
    (ControlId::RequiredUserns, controls::auto_userns::required),
    (ControlId::RootUser, controls::process::root),
    (ControlId::MemoryLimit, controls::resources::memory),
    (ControlId::NestedUserns, controls::userns::nested),
    (ControlId::CorePattern, controls::host::core_pattern),
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
        let decision = Box::new(refused(ControlId::ExecIds, pointer, reason));
        Refusal { profile: container.profile(), decision, allow: None }
    })?;
    controls::process::added(&mut process, container, &mut log)?;
    if log.decisions.is_empty() {
        log.verbatim(container.profile());
    }
    Ok((HardenedProcess::new(process), log.decisions))
}

impl Log {
    /// Records a rule that changed something.
    pub(crate) fn change(
        &mut self,
        rule: ControlId,
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
        rule: ControlId,
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
        rule: ControlId,
        pointer: &'static str,
        verdict: Verdict,
        reason: &'static str,
    ) {
        self.change(rule, pointer, verdict, (Value::Null, Value::Null), reason);
    }

    fn verbatim(&mut self, profile: ProfileName) {
        let reason = format!("profile {profile} runs the configuration as written");
        self.change(ControlId::Verbatim, "", Verdict::Waived, (Value::Null, Value::Null), reason);
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
        rule: ControlId,
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
    fn rehearse(&mut self, id: ControlId, rule: Rule) {
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

/// `process.user.additionalGids[0]` as a JSON pointer.
fn pointer(path: &str) -> String {
    format!("/{}", path.replace(['.', '['], "/").replace(']', ""))
}
