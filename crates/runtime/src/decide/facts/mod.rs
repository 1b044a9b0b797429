//! Facts about the host that the rules ask for, as far as they depend on the configuration: what bind mounts would show,
//! who could change a hook, what the caller's limits are. Read once, before anything is changed; judged by the rules.

mod above;
mod beneath;
mod fd;
mod filter;
mod hooks;
mod limits;
mod look;
mod memory;
mod names;
mod namespaces;
mod origin;
mod owner;
mod pods;
mod rootfs;
mod scene;
mod selinux;
mod sources;
mod used;

pub(crate) use fd::real;
pub(crate) use filter::of as own_filter;
pub(crate) use hooks::{among_data, files as hook_files, is_in_volume, places as hook_places};
pub(crate) use limits::of_joining as limits_of_joining;
pub(crate) use namespaces::{brings_ids, file as namespace_file};
pub(crate) use origin::Origin;
pub(crate) use selinux::facts as selinux_facts;

use scene::Scene;

use crate::decide::bundle::Bundle;
use crate::decide::caller::Caller;
use crate::procfs;
use crate::resolve::pool;
use anyhow::{anyhow, Result};
use beneath::Beneath;
use casemate_kernel::{mountinfo, HostId};
use casemate_policy::spec::{Process, Spec};
use casemate_policy::{HostFacts, MountFacts};
use casemate_sandbox::trust;
use rustix::fd::OwnedFd;
use std::cell::OnceCell;
use std::path::Path;

/// What the runtime itself has of the container and the node.
#[derive(Clone, Copy)]
pub(crate) struct Own<'a> {
    /// Where containers are kept: nothing that a container should see.
    pub(crate) state_root: &'a Path,
    /// The id.
    pub(crate) container: &'a str,
    /// The file that the node's policy has its audit log in.
    pub(crate) log: Option<&'a str>,
}

/// Add to `facts` what `spec` makes worth knowing.
///
/// # Errors
/// A fact that cannot be read, and that something rests on.
pub(crate) fn gather(
    facts: &mut HostFacts,
    spec: &Spec,
    bundle: &Bundle,
    caller: &Caller,
    proc: &OwnedFd,
    own: Own<'_>,
) -> Result<()> {
    // Asked where the answer counts: mostly the cgroup is no pod's.
    let in_pod = spec.linux.cgroups_path.as_deref().is_some_and(|path| path.contains("kubepods"));
    let config = bundle.config_file.as_deref().map(|file| real(file, proc)).transpose()?;
    facts.mounts = MountFacts {
        container: own.container.to_owned(),
        bundle: real(&bundle.dir, proc)?,
        config,
        names: Vec::new(),
        others: Vec::new(),
        state_root: real(own.state_root, proc)?,
        joined_memory: memory::of_joined(spec, proc)?,
        cri_dockerd: in_pod && pods::has_cri_dockerd()?,
    };
    look_at_mounts(facts, spec, bundle, proc, own)?;
    let process = spec.process.as_ref();
    if facts.apparmor && process.is_some_and(is_unconfined) {
        facts.apparmor_default = crate::resolve::apparmor::state(caller);
    }
    facts.hook_names = hooks::named_by_process(&spec.hooks)?;
    facts.hook_faults = hooks::faults(&spec.hooks, facts)?;
    facts.host_namespaces = namespaces::of_host(spec, proc)?;
    if facts.can_make_user_namespace && namespaces::brings_ids(spec) {
        let held = pool::taken::<pool::ids::Range>(Path::new(pool::ids::DIR))?;
        facts.held_uids = held.iter().map(|range| HostId(range.uid)).collect();
        facts.held_gids = held.iter().map(|range| HostId(range.gid)).collect();
    }
    facts.present = rootfs::present(spec, bundle);
    facts.limits = limits::of_caller(spec.process.as_ref(), proc)?;
    Ok(())
}

/// What is bound and stacked, and the root file system.
///
/// # Errors
/// The mounts of the host cannot be read.
fn look_at_mounts(
    facts: &mut HostFacts,
    spec: &Spec,
    bundle: &Bundle,
    proc: &OwnedFd,
    Own { state_root, log, .. }: Own<'_>,
) -> Result<()> {
    let root = facts.euid == 0 && facts.in_initial_userns;
    let table = procfs::read_bytes(proc, "self/mountinfo")?;
    let mounts = mountinfo::parse(&table)?;
    let top = casemate_sys::mount::open_path(Path::new("/"), false)?;
    let mounts = names::Mounts::new(&mounts, crate::resolve::overlay::mount_id(&top)?);
    let hooks = hooks::places(&spec.hooks, (facts.euid, root), proc, mounts.all())?;
    let log = log.map(|log| of_log(log, (facts.euid, root), mounts.all())).transpose()?;
    let mut looker = sources::Looker {
        bundle,
        scene: Scene { proc, mounts, hooks, log: log.unwrap_or_default(), others: None, root },
        above: OnceCell::new(),
        engines: look::Engines::default(),
        used: None,
        sockets: None,
    };
    let (container, own) = (facts.mounts.container.as_str(), facts.mounts.bundle.as_str());
    if spec.mounts.iter().any(|mount| mount.is_bind() || mount.kind.as_deref() == Some("overlay")) {
        looker.meet(state_root, container)?;
    }
    facts.sources = looker.sources(spec);
    facts.layers = looker.layers(spec);
    facts.listener = looker.listener(spec);
    let mut root =
        looker.root(spec).map_err(|why| anyhow!("root.path {}: {why}", spec.root.path))?;
    // In the bundle under its usual name it holds nobody's: mostly nothing is left to be read.
    if root.0.path != format!("{own}/rootfs") {
        looker.meet(state_root, container)?;
    }
    looker
        .look_deeper(&mut root, container)
        .map_err(|why| anyhow!("root.path {}: {why}", spec.root.path))?;
    facts.root = Some(root.0);
    if looker.scene.others.is_some() {
        let (dir, config) = (bundle.dir.as_path(), bundle.config_file.as_deref());
        let origin = Origin { bundle: dir, config, rootfs: dir };
        facts.mounts.names = origin.names(proc, looker.scene.mounts.all())?;
    }
    // Nobody has asked where nothing is bound.
    facts.mounts.others = looker.scene.others.unwrap_or_default();
    facts.mountinfo = table;
    Ok(())
}

/// Where the audit log lies, also beneath what is stacked there, and every link that leads there, without links: for an ordinary
/// caller what that caller may change.
///
/// # Errors
/// What is stacked there cannot be told.
fn of_log(
    log: &str,
    (euid, host_root): (u32, bool),
    mounts: &[mountinfo::Mount<'_>],
) -> Result<Vec<String>> {
    let beneath = Beneath::new(mounts);
    let mut found = Vec::new();
    for place in trust::places(Path::new(log), |owner| host_root || owner == euid) {
        let place = place.to_string_lossy().into_owned();
        let names = beneath.names(&place).map_err(|why| anyhow!("audit.file {log}: {why}"))?;
        found.extend(names);
        found.push(place);
    }
    Ok(found)
}

fn is_unconfined(process: &Process) -> bool {
    process.apparmor_profile.as_deref().is_none_or(|profile| profile == "unconfined")
}
