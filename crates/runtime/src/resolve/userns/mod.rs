//! A user namespace for a container whose configuration has none.
//!
//! The policy decides that there is to be one; this finds the ids. A container that joins namespaces of another one with a
//! range of ours joins its user namespace too: only so do the capabilities of the one count for what the other has made, and
//! may the two signal each other. Every other container gets a range that nobody has. What the range becomes is put into the
//! hardened configuration, as if the bundle had asked for it, and everything else follows from there.

mod extra;
pub(crate) mod idmap;
pub(crate) mod network;
mod share;
pub(crate) use share::pid_of;

use crate::decide::Decided;
use crate::report::bounded;
use crate::resolve::ids::IdMaps;
use crate::resolve::pool::brought::{self, Ids, Kept};
use crate::resolve::pool::ids::{Range, Source, Span, DIR};
use crate::resolve::pool::{self, Claimant, Pool};
use anyhow::{Context as _, Result};
use casemate_policy::spec::Spec;
use casemate_policy::{ControlId, Decision, HardenedSpec, IdRange, Verdict};
use std::path::{Path, PathBuf};

/// Annotations by which an engine says which sandbox a container belongs to.
const POD: [&str; 2] = ["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];

/// The pod that an engine says a container belongs to.
pub(crate) fn pod(spec: &Spec) -> Option<String> {
    POD.iter().find_map(|name| spec.annotations.get(*name)).cloned()
}

/// A range that is the container's.
pub(crate) type Lease = pool::Lease<Range>;

/// Who asks a pool for something.
pub(crate) fn claimant(spec: &Spec, id: &str, state: PathBuf) -> Claimant {
    let joined = share::joined(spec).iter().map(|joined| joined.inode).collect();
    Claimant { container: id.to_owned(), state, pod: pod(spec), joined }
}

fn source(spec: &HardenedSpec) -> Result<Source> {
    let configured = spec.overrides().values.userns_range;
    let span = |range: IdRange| Span { first: range.first.get(), count: range.count.get() };
    Source::read(Path::new("/etc"), configured.map(span))
}

/// Take ids for the container `id` of state directory `state`, if it is to have some, and put them into its configuration.
pub(crate) fn provide(decided: &mut Decided, id: &str, state: PathBuf) -> Result<Option<Lease>> {
    if decided.spec.extras().auto_userns.is_none() {
        return Ok(None);
    }
    let about = "user namespace";
    let pool = Pool::open(Path::new(DIR), source(&decided.spec)?).context(about)?;
    let joined = share::joined(&decided.spec);
    let who = claimant(&decided.spec, id, state);
    let wanted = extra::wanted(&decided.spec);
    if let Some(other) = share::user_namespace(&decided.proc, &joined)? {
        if let Some(lease) = pool.share(&who, other.range).context(about)? {
            let decision = enter_shared(&mut decided.spec, other, &wanted, &lease)?;
            decided.decisions.push(decision);
            return Ok(Some(lease));
        }
    }
    let lease = pool.take(&who, &decided.proc).context(about)?;
    let maps = wanted.maps(lease.resource)?;
    decided.decisions.push(decided.spec.enter_user_namespace(None, maps.uid, maps.gid));
    Ok(Some(lease))
}

/// The other container's namespace; a new one with the same range if that lacks an id that is needed here.
fn enter_shared(
    spec: &mut HardenedSpec,
    other: share::Shared,
    wanted: &extra::Wanted,
    lease: &Lease,
) -> Result<Decision> {
    if wanted.are_in(&other.maps) {
        let IdMaps { uid, gid } = other.maps;
        return Ok(named(spec.enter_user_namespace(Some(other.path), uid, gid), &other.whose));
    }
    let maps = wanted.maps(lease.resource)?;
    Ok(spec.enter_user_namespace(None, maps.uid, maps.gid))
}

/// Tells the caller's log which volumes do not show with the container's ids what the host mounts later.
pub(crate) fn warn_of_later_mounts(decisions: &[Decision]) {
    let about_mounts = |decision: &&Decision| {
        decision.rule == ControlId::AutoUserns
            && decision.verdict == Verdict::Warned
            && decision.pointer.starts_with("/mounts/")
    };
    for decision in decisions.iter().filter(about_mounts) {
        crate::warnings::add(bounded(decision.reason.clone().into_owned()));
    }
}

/// The decision, with whose user namespace it is.
fn named(mut decision: Decision, whose: &str) -> Decision {
    decision.reason = format!("{} ({whose})", decision.reason).into();
    decision
}

/// What [`provide`] would do, without taking anything: for `explain`.
pub(crate) fn predict(decided: &mut Decided, id: &str) -> Result<()> {
    if decided.spec.extras().auto_userns.is_none() {
        return Ok(());
    }
    let joined = share::joined(&decided.spec);
    let decision = match share::user_namespace(&decided.proc, &joined)? {
        Some(other) => {
            let IdMaps { uid, gid } = other.maps;
            named(decided.spec.enter_user_namespace(Some(other.path), uid, gid), &other.whose)
        }
        None => {
            let who = claimant(&decided.spec, id, PathBuf::new());
            let range = Pool::expected(Path::new(DIR), &source(&decided.spec)?, &who)?;
            let maps = extra::wanted(&decided.spec).maps(range)?;
            decided.spec.enter_user_namespace(None, maps.uid, maps.gid)
        }
    };
    decided.decisions.push(decision);
    Ok(())
}

/// Writes down the ids that the configuration brings itself, so that nobody is given them while the container is there.
pub(crate) fn keep(decided: &Decided, id: &str, state: PathBuf) -> Result<Option<Kept>> {
    let (spec, facts) = (&decided.spec, &decided.facts);
    if !facts.can_make_user_namespace || !crate::decide::facts::brings_ids(spec) {
        return Ok(None);
    }
    let ids = Ids::of(&spec.linux.uid_mappings, &spec.linux.gid_mappings);
    let held = facts.held_uids.iter().zip(&facts.held_gids);
    let judged: Vec<Range> = held.map(|(uid, gid)| Range { uid: uid.0, gid: gid.0 }).collect();
    let judged = (!spec.is_verbatim()).then_some(judged.as_slice());
    let pool = Pool::open(Path::new(DIR), Source::default())?;
    brought::keep(&pool, &claimant(spec, id, state), &ids, judged).map(Some)
}

/// Give a range back that is held.
pub(crate) fn give_back(lease: Lease) -> Result<()> {
    let outcome = release(&lease.name);
    drop(lease);
    outcome
}

/// The same of ids that the configuration brought.
pub(crate) fn give_up(kept: Kept) -> Result<()> {
    let outcome = release(&kept.name);
    drop(kept);
    outcome
}

/// Give a range back, or ids of the configuration's own.
pub(crate) fn release(name: &str) -> Result<()> {
    pool::release::<Range>(Path::new(DIR), name)
}

/// The same for a container whose record cannot be read.
pub(crate) fn release_of(state: &rustix::fd::OwnedFd) -> Result<()> {
    pool::release_of::<Range>(Path::new(DIR), state)?;
    brought::release_of(Path::new(DIR), state)
}

/// The same for a container that has no state directory (any more): its runtime may have been killed before it made one.
pub(crate) fn forget(state: &Path) -> Result<()> {
    pool::forget(Path::new(DIR), Source::default(), state)?;
    brought::forget(Path::new(DIR), Source::default(), state)
}

/// How the kernel shows the mapping: for `state`.
pub(crate) fn shown(spec: &Spec) -> String {
    let lines: Vec<String> = spec
        .linux
        .uid_mappings
        .iter()
        .map(|map| format!("{} {} {}", map.container_id, map.host_id, map.size))
        .collect();
    lines.join(", ")
}
