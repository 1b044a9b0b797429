//! One configuration on its way through admission, and the record that is made of it.

use super::Asked;
use crate::choice::Choice;
use crate::control::{ControlId, Mode};
use crate::decision::{Decision, Verdict};
use crate::facts::HostFacts;
use crate::hardened::{Extras, HardenedSpec};
use crate::profile::{Profile, ProfileName};
use crate::refusal::Refusal;
use crate::source::Source;
use crate::spec::{Device, NamespaceKind};
use serde_json::{json, Value};
use std::borrow::Cow;

/// What controls know and what they have decided so far.
pub(crate) struct Draft<'a> {
    pub(crate) choice: &'a Choice,
    pub(crate) profile: &'static Profile,
    pub(crate) facts: &'a HostFacts,
    pub(crate) asked: Asked,
    /// The container that a process or a limit is added to; `None`: the configuration is a new container's.
    pub(crate) joining: Option<&'a HardenedSpec>,
    pub(crate) extras: Extras,
    pub(crate) log: Log,
    /// Whether `root.readonly` changed the configuration.
    pub(crate) made_root_readonly: bool,
    /// The device nodes that were admitted.
    pub(crate) devices: Vec<Device>,
    /// The paths that are hidden.
    pub(crate) masked: Vec<String>,
    /// The capabilities that some process can come to hold, once the process is admitted.
    pub(crate) reachable: u64,
}

/// The decisions so far.
#[derive(Default)]
pub(crate) struct Log {
    decisions: Vec<Decision>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(choice: &'a Choice, facts: &'a HostFacts, asked: Asked) -> Self {
        Self {
            choice,
            profile: choice.profile,
            facts,
            asked,
            joining: None,
            extras: Extras::default(),
            log: Log::default(),
            made_root_readonly: false,
            devices: Vec::new(),
            masked: Vec::new(),
            reachable: 0,
        }
    }

    /// Hands a part to a control, which need not know whether it enforces or warns. A control that only warns says what it
    /// would have done, and the part goes on as it was.
    pub(crate) fn pass<T: Clone>(
        &mut self,
        id: ControlId,
        part: T,
        admit: impl FnOnce(&mut Self, T) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        match self.choice.mode(id) {
            Mode::Off => Ok(part),
            Mode::Enforce => admit(self, part),
            Mode::Warn => {
                let asked = part.clone();
                self.rehearse(id, |draft| admit(draft, part).map(drop));
                Ok(asked)
            }
        }
    }

    /// The same for a control that owns no part.
    pub(crate) fn look(
        &mut self,
        id: ControlId,
        look: impl FnOnce(&mut Self) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        self.pass(id, (), |draft, ()| look(draft))
    }

    fn rehearse(&mut self, id: ControlId, act: impl FnOnce(&mut Self) -> Result<(), Refusal>) {
        let known = self.log.decisions.len();
        let (extras, made_root_readonly) = (self.extras.clone(), self.made_root_readonly);
        let outcome = act(self);
        (self.extras, self.made_root_readonly) = (extras, made_root_readonly);
        if let Err(refusal) = outcome {
            self.log.decisions.push(*refusal.decision);
        }
        for decision in self.log.decisions.iter_mut().skip(known).filter(|d| d.rule == id) {
            if matches!(decision.verdict, Verdict::Tightened | Verdict::Added | Verdict::Refused) {
                decision.verdict = Verdict::Warned;
            }
        }
    }

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
        let decision = Box::new(crate::decision::refused(rule, pointer, reason));
        // Nobody can grant a running container anything.
        let allow = allow.filter(|_| self.joining.is_none()).map(|name| self.choice.remedy(name));
        Refusal::new(self.profile.name, decision, allow)
    }

    /// No entry means the runtime's own namespace, and an entry with a path may lead there.
    pub(crate) fn is_hosts(&self, kind: NamespaceKind) -> bool {
        match self.asked.namespace(kind) {
            None => true,
            Some(namespace) => {
                namespace.path.is_some() && self.facts.host_namespaces.contains(&kind)
            }
        }
    }

    /// The container joins somebody else's namespace of this kind, by a path.
    pub(crate) fn joins(&self, kind: NamespaceKind) -> bool {
        self.asked.namespace(kind).is_some_and(|namespace| namespace.path.is_some())
    }

    /// The container joins a namespace of this kind that is a running process's: another container's, where an engine makes
    /// each one's own by a name of its own (`/run/netns/X`).
    pub(crate) fn joins_process(&self, kind: NamespaceKind) -> bool {
        let path = self.asked.namespace(kind).and_then(|namespace| namespace.path.as_deref());
        let rest = path.and_then(|path| path.strip_prefix("/proc/")).unwrap_or_default();
        let is_pid = |pid: &str| !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        rest.split_once("/ns/").is_some_and(|(pid, _)| is_pid(pid)) && !self.is_hosts(kind)
    }

    /// The configuration brings a user namespace that is not the host's.
    pub(crate) fn has_userns(&self) -> bool {
        !self.is_hosts(NamespaceKind::User)
    }
}

impl Log {
    /// Records a control that changed something.
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

    /// Records a control that an override keeps from what it would have done.
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

    /// Records a control that found nothing to change.
    pub(crate) fn note(
        &mut self,
        rule: ControlId,
        pointer: impl Into<Cow<'static, str>>,
        verdict: Verdict,
        reason: impl Into<Cow<'static, str>>,
    ) {
        self.change(rule, pointer, verdict, (Value::Null, Value::Null), reason);
    }

    pub(super) fn verbatim(&mut self, profile: ProfileName) {
        let reason = format!("profile {profile} runs the configuration as written");
        self.note(ControlId::Verbatim, "", Verdict::Waived, reason);
    }

    /// The last decision.
    pub(crate) fn into_last(mut self) -> Option<Decision> {
        self.decisions.pop()
    }

    pub(super) fn into_decisions(self) -> Vec<Decision> {
        self.decisions
    }

    /// How many decisions there are.
    pub(crate) fn len(&self) -> usize {
        self.decisions.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.decisions.is_empty()
    }
}

/// What stood there and what stands there now, for [`Log::change`].
pub(crate) fn values(
    before: &impl serde::Serialize,
    after: &impl serde::Serialize,
) -> (Value, Value) {
    (json!(before), json!(after))
}
