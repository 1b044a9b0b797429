//! A label for a container whose configuration has none (control `selinux.assign`): whether the loaded policy knows it, a pair
//! of categories that no other container has, and files that it opens.
//!
//! What the label means is the loaded policy's. Only the top of a root file system is looked at: what lies below is as it
//! was put there.

mod label;
mod relabel;

pub(crate) use label::{label_of, opens};
pub(crate) use relabel::relabel;

use crate::decide::Decided;
use crate::resolve::pool::categories::{AllPairs, Pair, DIR};
use crate::resolve::pool::{self, Pool};
use crate::resolve::userns;
use anyhow::Result;
use casemate_policy::{ControlId, HardenedSpec};
use casemate_sandbox::plan::OverlayPlan;
use std::path::{Path, PathBuf};

/// A pair that is the container's.
pub(crate) type Lease = pool::Lease<Pair>;

/// Take categories for the container `id` of state directory `state`, if it is to have some of its own.
///
/// # Errors
/// None are free; the pool's files.
pub(crate) fn take(decided: &Decided, id: &str, state: PathBuf) -> Result<Option<Lease>> {
    match &decided.spec.extras().auto_label {
        Some(wanted) if wanted.categories.is_none() => {
            let who = userns::claimant(&decided.spec, id, state);
            let pool = Pool::open(Path::new(DIR), AllPairs)?;
            pool.take(&who, &decided.proc).map(Some)
        }
        _ => Ok(None),
    }
}

/// Put the label into the configuration, or into one that was made once more. `reserved`: the categories that were
/// taken for it.
pub(crate) fn assign(decided: &mut Decided, reserved: Option<&str>) {
    let Some(wanted) = decided.spec.extras().auto_label.clone() else { return };
    let Some(categories) = wanted.categories.as_deref().or(reserved) else { return };
    let decision = decided.spec.assign_label(&wanted, categories);
    decided.decisions.retain(|decision| decision.rule != ControlId::SelinuxAssign);
    decided.decisions.push(decision);
}

/// What [`take`] and [`assign`] would do, without taking anything: for `explain`.
pub(crate) fn predict(decided: &mut Decided, id: &str) -> Result<()> {
    if decided.spec.extras().auto_label.is_some() {
        let who = userns::claimant(&decided.spec, id, PathBuf::new());
        let expected = Pool::expected(Path::new(DIR), &AllPairs, &who)?;
        assign(decided, Some(&expected.to_string()));
    }
    Ok(())
}

/// Give categories back that are held.
pub(crate) fn give_back(lease: Lease) -> Result<()> {
    let outcome = release(&lease.name);
    drop(lease);
    outcome
}

/// Give categories back.
pub(crate) fn release(name: &str) -> Result<()> {
    pool::release::<Pair>(Path::new(DIR), name)
}

/// The same for a container whose record cannot be read.
pub(crate) fn release_of(state: &rustix::fd::OwnedFd) -> Result<()> {
    pool::release_of::<Pair>(Path::new(DIR), state)
}

/// The same for a container that has no state directory (any more): its runtime may have been killed before it made one.
pub(crate) fn forget(state: &Path) -> Result<()> {
    pool::forget(Path::new(DIR), AllPairs, state)
}

/// Make the root file system one that the label opens: an overlay of our own gets the label as a whole. True when the files
/// of a plain directory are to be relabelled.
///
/// # Errors
/// A root that the label does not open, and that is not to be relabelled: a refusal.
pub(crate) fn fit_root(
    spec: &HardenedSpec,
    rootfs: &Path,
    overlay: Option<&mut OverlayPlan>,
) -> Result<bool> {
    let (Some(wanted), Some(label)) = (&spec.extras().auto_label, &spec.linux.mount_label) else {
        return Ok(false);
    };
    if let Some(overlay) = overlay {
        overlay.options.retain(|(key, _)| !key.ends_with("context"));
        overlay.options.push(("context".to_owned(), Some(label.clone())));
        return Ok(false);
    }
    let found = label_of(rootfs);
    if found.as_deref().is_ok_and(|found| opens(found, label)) {
        return Ok(false);
    }
    if wanted.relabel {
        return Ok(true);
    }
    let found = found.unwrap_or_else(|e| format!("none ({e})"));
    let kind = wanted.file.split(':').nth(2).unwrap_or_default();
    let why = format!(
        "root.path {}: has the SELinux label {found}, which the container could not use \
         (hint: chcon -R -t {kind} -l s0 {}, or \"selinux.relabel\" = true in [values] of the node policy)",
        rootfs.display(),
        rootfs.display()
    );
    Err(spec.refuse_files(why).into())
}
