//! Admission: the hardened configuration is built from nothing.
//!
//! Every structure of the specification's model is taken apart once ([`parts`]), each part is handed to the controls that own
//! it, and what they let in goes on. A property without an owner does not compile; one that the model does not know has been
//! left out when the configuration was read, and is put on record here.

mod asked;
mod draft;
mod every;
mod leaves;
mod owner;
pub(crate) mod parts;
mod pod;
mod ways;

pub(crate) use asked::{any_number, is_all_devices, keeps_groups, Asked};
pub(crate) use draft::{values, Draft, Log};
pub use every::{harden_through, USUAL as USUAL_CAPABILITIES};
pub use owner::Owner;
pub use parts::owners;
pub(crate) use pod::Pod;
pub use ways::ways_around;

use crate::choice::Choice;
use crate::control::ControlId;
use crate::controls::{self, exec};
use crate::decision::Decision;
use crate::facts::{CallerLimits, HostFacts};
use crate::hardened::{Hardened, HardenedProcess, HardenedSpec};
use crate::profile::Profile;
use crate::refusal::Refusal;
use crate::spec::{Process, Resources, Spec};

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
    let spec = controls::userns::with_ids(spec, choice, facts);
    let mut draft = Draft::new(choice, facts, Asked::of(&spec, choice.engine, &facts.mounts));
    let admitted = match choice.is_verbatim() {
        true => spec,
        false => container(&mut draft, spec)?,
    };
    let Draft { extras, mut log, .. } = draft;
    if log.is_empty() {
        log.verbatim(choice.profile.name);
    }
    let spec = HardenedSpec::new(choice.profile.name, choice.overrides.clone(), extras, admitted);
    Ok(Hardened { spec, decisions: log.into_decisions() })
}

/// What looks at the whole configuration comes before and behind its parts.
fn container(draft: &mut Draft<'_>, asked: Spec) -> Result<Spec, Refusal> {
    draft.look(ControlId::PrivilegedBundle, controls::bundle::privileged)?;
    let admitted = parts::spec(draft, asked)?;
    let process = admitted.process.as_ref();
    draft.reachable = process.map_or(0, crate::hardened::reachable_capabilities);
    draft.look(ControlId::Landlock, controls::landlock::layer)?;
    draft.look(ControlId::RequiredUserns, controls::userns::required)?;
    draft.look(ControlId::AutoUserns, |draft| controls::userns::later_mounts(draft, &admitted))?;
    draft.look(ControlId::NestedUserns, controls::userns::nested)?;
    draft.look(ControlId::CorePattern, controls::core::pattern)?;
    Ok(admitted)
}

/// Applies what a container was made with to a process that is added to it; the caller of `exec` chooses nothing: `exec`
/// can only narrow. `limits`: what the process would inherit from its caller.
///
/// # Errors
/// Ids that the container does not map; what the container's own process may not have either.
pub fn harden_process(
    process: Process,
    container: &HardenedSpec,
    limits: CallerLimits,
) -> Result<(HardenedProcess, Vec<Decision>), Refusal> {
    exec::mapped_ids(&process, container)?;
    let facts = HostFacts { limits, ..HostFacts::default() };
    let choice = Choice::of_container(container);
    let mut draft = Draft::new(&choice, &facts, Asked::of(container, choice.engine, &facts.mounts));
    draft.joining = Some(container);
    let process = match choice.is_verbatim() {
        true => process,
        false => parts::process(&mut draft, process)?,
    };
    let mut log = draft.log;
    if log.is_empty() {
        log.verbatim(container.profile());
    }
    Ok((HardenedProcess::new(process), log.into_decisions()))
}

/// Applies what a container was made with to limits that `update` brings.
///
/// # Errors
/// Limits that the container's profile does not run without.
pub fn harden_resources(
    resources: Resources,
    container: &HardenedSpec,
    facts: &HostFacts,
) -> Result<(Resources, Vec<Decision>), Refusal> {
    let choice = Choice::of_container(container);
    let mut draft = Draft::new(&choice, facts, Asked::of(container, choice.engine, &facts.mounts));
    draft.joining = Some(container);
    let resources = match choice.is_verbatim() {
        true => resources,
        false => parts::limits(&mut draft, resources)?,
    };
    Ok((resources, draft.log.into_decisions()))
}
