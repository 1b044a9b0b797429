//! A label for a container whose configuration has none (control `selinux.assign`): whether the loaded policy knows it, a pair
//! of categories that no other container has, and files that it opens.
//!
//! What the label means is the loaded policy's. Only the top of a root file system is looked at: what lies below is as it
//! was put there.

mod relabel;

pub(crate) use relabel::relabel;

use crate::decide::caller::Caller;
use crate::decide::Decided;
use crate::resolve::pool::categories::{AllPairs, Pair, DIR};
use crate::resolve::pool::{self, Pool};
use anyhow::{Context as _, Result};
use casemate_policy::{AutoLabel, ControlId, HardenedSpec, SelinuxFacts, Values};
use casemate_sandbox::plan::OverlayPlan;
use casemate_sys::errno_text;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// A pair that is the container's.
pub(crate) type Lease = pool::Lease<Pair>;

/// Where the kernel's interface is mounted.
const SELINUXFS: &str = "/sys/fs/selinux";

/// The extended attribute that holds a file's label.
const XATTR: &str = "security.selinux";

/// Types of files that processes of containers may use as a root file system, beside the configured one.
const READABLE: [&str; 4] =
    ["container_file_t", "container_ro_file_t", "container_share_t", "svirt_sandbox_file_t"];

/// What giving a label depends on; `None`: this caller may give none.
pub(crate) fn facts(values: &Values, caller: &Caller) -> Result<Option<SelinuxFacts>> {
    if !(caller.privileged && caller.initial_user_namespace) {
        return Ok(None);
    }
    let path = Path::new(SELINUXFS).join("enforce");
    let enforce = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let wanted = AutoLabel::of(values);
    let unknown = [&wanted.process, &wanted.file].into_iter().find_map(|label| unknown(label));
    Ok(Some(SelinuxFacts { enforcing: enforce.starts_with(b"1"), fault: unknown }))
}

/// Why the loaded policy does not take a label of this kind; `None`: it does.
fn unknown(label: &str) -> Option<String> {
    let label = format!("{label}:c0,c1");
    let path = Path::new(SELINUXFS).join("context");
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let answer = rustix::fs::open(&path, flags, Mode::empty())
        .and_then(|file| rustix::io::write(&file, label.as_bytes()));
    match answer {
        Ok(_) => None,
        Err(Errno::INVAL) => Some(format!(
            "the loaded SELinux policy has no label {label} (hint: install container-selinux)"
        )),
        Err(e) => Some(format!("{}: {}", path.display(), errno_text(e))),
    }
}

/// Take categories for the container `id` of state directory `state`, if it is to have a label, and put the label into its
/// configuration.
pub(crate) fn provide(decided: &mut Decided, id: &str, state: PathBuf) -> Result<Option<Lease>> {
    let Some(wanted) = decided.spec.extras().auto_label.clone() else { return Ok(None) };
    let lease = match &wanted.categories {
        Some(_) => None,
        None => {
            let who = crate::resolve::userns::claimant(&decided.spec, id, state);
            let pool = Pool::open(Path::new(DIR), AllPairs)?;
            Some(pool.take(&who, &decided.proc)?)
        }
    };
    decided.categories =
        lease.as_ref().map(|lease| (lease.resource.to_string(), lease.name.clone()));
    assign(decided);
    Ok(lease)
}

/// Put the label into the configuration, or into one that was made once more.
pub(crate) fn assign(decided: &mut Decided) {
    if let Some(wanted) = decided.spec.extras().auto_label.clone() {
        let reserved = decided.categories.as_ref().map(|(categories, _)| categories.clone());
        apply(decided, &wanted, reserved.as_deref());
    }
}

fn apply(decided: &mut Decided, wanted: &AutoLabel, reserved: Option<&str>) {
    let Some(categories) = wanted.categories.as_deref().or(reserved) else { return };
    let decision = decided.spec.assign_label(wanted, categories);
    decided.decisions.retain(|decision| decision.rule != ControlId::SelinuxAssign);
    decided.decisions.push(decision);
}

/// What [`provide`] would do, without taking anything: for `explain`.
pub(crate) fn foretell(decided: &mut Decided, id: &str) -> Result<()> {
    if let Some(wanted) = decided.spec.extras().auto_label.clone() {
        let who = crate::resolve::userns::claimant(&decided.spec, id, PathBuf::new());
        let expected = Pool::expected(Path::new(DIR), &AllPairs, &who)?;
        apply(decided, &wanted, Some(&expected.to_string()));
    }
    Ok(())
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

/// Whether a process with the categories of `own` may use files with the label `found`, as far as types of containers go.
pub(crate) fn opens(found: &str, own: &str) -> bool {
    let parts = |label: &str| {
        let mut parts = label.splitn(5, ':').map(str::to_owned).skip(2);
        [(); 3].map(|()| parts.next().unwrap_or_default())
    };
    let ([kind, _, categories], [own_kind, _, own_categories]) = (parts(found), parts(own));
    let known = kind == own_kind || READABLE.contains(&kind.as_str());
    known && (categories.is_empty() || categories == own_categories)
}

/// The label of a file or directory.
pub(crate) fn label_of(path: &Path) -> Result<String, String> {
    let mut bytes = [0; 512];
    let length = rustix::fs::getxattr(path, XATTR, &mut bytes[..]).map_err(errno_text)?;
    let text = String::from_utf8_lossy(&bytes[..length]);
    Ok(text.trim_end_matches('\0').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_opened_by_type_and_categories() {
        let own = "system_u:object_r:container_file_t:s0:c1,c2";
        for found in [own, "u:object_r:container_ro_file_t:s0", "u:r:container_share_t:s0:c1,c2"] {
            assert!(opens(found, own), "{found}");
        }
        for found in ["u:object_r:container_file_t:s0:c1,c3", "u:object_r:user_home_t:s0", "", "x"]
        {
            assert!(!opens(found, own), "{found}");
        }
        let mine = "system_u:object_r:mine_t:s0:c1,c2";
        assert!(opens("system_u:object_r:mine_t:s0", mine));
    }
}
