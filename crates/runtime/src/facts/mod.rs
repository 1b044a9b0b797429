//! Facts about the host that the rules ask for, as far as they depend on the configuration: what bind mounts would show,
//! who could change a hook, what the caller's limits are. Read once, before anything is changed; judged by the rules.

mod hooks;
mod limits;
mod namespaces;
mod rootfs;
mod sources;

pub(crate) use hooks::files as hook_files;
pub(crate) use namespaces::link as own_namespace;

use crate::bundle::Bundle;
use crate::caller::Caller;
use anyhow::Result;
use casemate_policy::spec::{Process, Spec};
use casemate_policy::HostFacts;
use rustix::fd::OwnedFd;
use std::path::Path;

/// Add to `facts` what `spec` makes worth knowing. `state_root` is where containers are kept: nothing that a container
/// should see.
///
/// # Errors
/// A fact that cannot be read: no control rests on a guess.
pub(crate) fn gather(
    facts: &mut HostFacts,
    spec: &Spec,
    bundle: &Bundle,
    caller: &Caller,
    proc: &OwnedFd,
    state_root: &Path,
) -> Result<()> {
    facts.sources = sources::of(spec, bundle, proc);
    facts.root = sources::of_root(spec, bundle, proc);
    if !facts.sources.is_empty() || facts.root.is_some() {
        facts.places = sources::places(facts, proc, state_root);
    }
    let process = spec.process.as_ref();
    if facts.apparmor && process.is_some_and(is_unconfined) {
        facts.apparmor_default = crate::apparmor::state(caller);
    }
    facts.hook_faults = hooks::faults(&spec.hooks, facts);
    facts.host_namespaces = namespaces::of_host(spec, proc)?;
    facts.present = rootfs::present(spec, bundle);
    facts.limits = limits::of_caller(spec.process.as_ref(), proc)?;
    Ok(())
}

fn is_unconfined(process: &Process) -> bool {
    process.apparmor_profile.as_deref().is_none_or(|profile| profile == "unconfined")
}
