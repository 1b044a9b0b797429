//! Steps 1 to 5 of making a container: read, check, probe, harden. Nothing on the host is changed; `explain` ends here.

pub mod bundle;
pub mod caller;
mod denials;
pub(crate) mod facts;
mod origin;
pub(crate) mod policy_choice;

use crate::decide::bundle::Bundle;
use crate::decide::caller::{host_facts, Caller};
use crate::decide::origin::Place;
use crate::launch::cgroups::{self, CgroupPlan};
use crate::procfs;
use crate::report::bounded;
use crate::request::Global;
use crate::unmappable::Unmappable;
use anyhow::Result;
use casemate_policy::spec::{Spec, Warning};
use casemate_policy::{
    harden_as, Choice, ControlId, CorePattern, Decision, DefaultProfile, Hardened, HardenedSpec,
    HostFacts, Mode, Refusal,
};
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;

/// Everything that was decided, before anything on the host is changed.
pub(crate) struct Decided {
    pub(crate) bundle: Bundle,
    pub(crate) choice: Choice,
    pub(crate) spec: HardenedSpec,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) facts: HostFacts,
    pub(crate) caller: Caller,
    pub(crate) proc: OwnedFd,
    pub(crate) cgroup: CgroupPlan,
    /// Why an engine that the configuration has signs of is not taken for its maker.
    pub(crate) doubt: Option<Warning>,
}

impl Decided {
    /// Take the digests of the hooks, for records, unless a list of hooks has asked for them already.
    pub(crate) fn look_at_hooks(&mut self) {
        if self.facts.hook_files.is_empty() {
            self.facts.hook_files = crate::decide::facts::hook_files(&self.spec.hooks);
        }
    }

    /// The digests, as far as they were taken.
    pub(crate) fn hook_digests(&self) -> BTreeMap<String, String> {
        let files = self.facts.hook_files.iter();
        files.filter_map(|(at, file)| Some((at.clone(), file.sha256.clone()?))).collect()
    }

    /// Decides once more, for a container that cannot have the user namespace that it was to have: other rules
    /// relied on it.
    ///
    /// # Errors
    /// The profile does not run it without.
    pub(crate) fn without_user_namespace(
        mut self: Box<Self>,
        why: &Unmappable,
    ) -> Result<Box<Self>> {
        self.facts.unmappable = Some(why.why.clone());
        self.facts.unmappable_by_kernel = why.old_kernel;
        let spec = self.bundle.spec()?;
        let hardened = harden_as(spec, &self.choice, &self.facts)
            .or_else(|refusal| every_reason(refusal, &self.bundle, &self.choice, &self.facts))?;
        (self.spec, self.decisions) = (hardened.spec, hardened.decisions);
        Ok(self)
    }

    /// Adds what the default filter takes from the configuration's own.
    ///
    /// # Errors
    /// A filter that cannot be compiled.
    pub(crate) fn note_conflicts(&mut self) -> Result<()> {
        crate::plan::seccomp::note_conflicts(&self.spec, &mut self.decisions)
    }

    /// The container gets the profile that casemate brings, and the kernel does not have it yet.
    pub(crate) fn needs_apparmor_profile(&self) -> bool {
        let process = self.spec.process.as_ref();
        let wanted = process.and_then(|process| process.apparmor_profile.as_deref());
        wanted == Some(crate::resolve::apparmor::NAME)
            && self.facts.apparmor_default == DefaultProfile::Loadable
    }
}

/// Steps 1 to 5: read, check, harden. No effect on the host.
pub(crate) fn decide(global: &Global, bundle: Bundle, id: &str) -> Result<Box<Decided>> {
    decide_by(global, bundle, id, |spec, choice, facts| {
        warn_of_unknown_capabilities(&spec);
        let hardened = harden_as(spec, choice, facts)?;
        if let Some(text) = hardened.not_given(choice) {
            crate::warnings::add(bounded(text));
        }
        Ok(hardened)
    })
}

/// A capability that this release does not know is one that nobody gets, as under runc, which says so too.
fn warn_of_unknown_capabilities(spec: &Spec) {
    let sets = spec.process.as_ref().and_then(|process| process.capabilities.as_ref());
    let mut unknown: Vec<&str> = Vec::new();
    for (_, set) in sets.iter().flat_map(|sets| sets.sets()) {
        unknown.extend(set.unknown.iter().map(String::as_str));
    }
    if !unknown.is_empty() {
        unknown.sort_unstable();
        unknown.dedup();
        let text = format!("ignoring unknown or unavailable capabilities: [{}]", unknown.join(" "));
        crate::warnings::add(bounded(text));
    }
}

/// A refusal with all that refuses beside it. The configuration is read once more, so that a start keeps no copy of it.
fn every_reason<T>(
    refusal: Refusal,
    bundle: &Bundle,
    choice: &Choice,
    facts: &HostFacts,
) -> Result<T> {
    let spec = bundle.spec()?;
    Err(refusal.with_others(&spec, choice, facts).into())
}

/// The same with another way to harden, which `survey` has.
pub(crate) fn decide_by(
    global: &Global,
    bundle: Bundle,
    id: &str,
    harden: impl FnOnce(Spec, &Choice, &HostFacts) -> Result<Hardened, Refusal>,
) -> Result<Box<Decided>> {
    let spec = bundle.spec()?;
    let proc = procfs::open()?;
    let caller = Caller::probe(&proc)?;
    let place = Place::of(&bundle, &spec, &caller, &proc)?;
    let choice = policy_choice::choice(global, &spec, &caller, place.origin(id))?;
    let doubt = place.doubt(&spec, id);
    let hierarchy = cgroups::hierarchy(global)?;
    // Who may be refused a cgroup gets no limit that nobody asked for.
    let controllers = match &hierarchy {
        Some(hierarchy) if !cgroups::is_rootless(global, &caller) => hierarchy.controllers()?,
        _ => Vec::new(),
    };
    let mut facts = host_facts(&caller, controllers)?;
    if !choice.is_verbatim() {
        let node = policy_choice::node_policy(global, &caller)?;
        let log = node.audit().file.as_deref();
        let own = crate::decide::facts::Own { state_root: &global.root, container: id, log };
        crate::decide::facts::gather(&mut facts, &spec, &bundle, &caller, &proc, own)?;
    }
    // Where the default filter is loaded beside every other one, nobody asks.
    if choice.mode(ControlId::DefaultSeccomp) != Mode::Off && !choice.profile.stack_filter {
        let own = spec.linux.seccomp.as_ref().filter(|filter| !filter.is_empty());
        facts.own_filter = own.map(crate::decide::facts::own_filter).transpose()?;
    }
    let unlabelled = spec.process.as_ref().is_some_and(|process| process.selinux_label.is_none());
    if facts.selinux && unlabelled && choice.mode(ControlId::SelinuxAssign) != Mode::Off {
        facts.selinux_host = facts::selinux_facts(&choice.overrides.values, &caller)?;
    }
    if choice.overrides.values.hooks_allow.is_some()
        && choice.mode(ControlId::ListedHooks) != Mode::Off
    {
        facts.hook_files = crate::decide::facts::hook_files(&spec.hooks);
    }
    if [ControlId::CorePattern, ControlId::CoreLimit]
        .iter()
        .any(|rule| choice.mode(*rule) != Mode::Off)
    {
        let pattern = procfs::read(&proc, "sys/kernel/core_pattern")?;
        facts.core_pattern = CorePattern::parse(&pattern);
    }
    if choice.mode(ControlId::Landlock) != Mode::Off {
        facts.landlock_abi = casemate_sys::landlock::abi();
    }
    let hardened = harden(spec, &choice, &facts)
        .or_else(|refusal| every_reason(refusal, &bundle, &choice, &facts))?;
    let cgroup = CgroupPlan::new(global, &hardened.spec, id, &caller, hierarchy)?;
    let (spec, mut decisions) = (hardened.spec, hardened.decisions);
    crate::plan::seccomp::note_conflicts(&spec, &mut decisions)?;
    Ok(Box::new(Decided { bundle, choice, spec, decisions, facts, caller, proc, cgroup, doubt }))
}
