//! What other containers of the state root are told of this one: where its bundle lies, and which hooks it
//! has.

use crate::decide::caller::Caller;
use crate::decide::facts::{self, Origin};
use crate::state::{bundles, Record};
use anyhow::Result;
use casemate_kernel::mountinfo::{self, Mount};
use casemate_policy::{BundleFact, Usual, SIGNS};
use rustix::fd::OwnedFd;
use std::borrow::Cow;
use std::path::Path;

/// Write down where the bundle of a container lies, unless an engine keeps it, and what its hooks depend on. `table`: mountinfo of
/// the host, or nothing.
///
/// # Errors
/// It cannot be written, or what it is to say cannot be looked at.
pub(crate) fn register(
    root: &Path,
    record: &Record,
    caller: &Caller,
    (proc, table): (&OwnedFd, &[u8]),
) -> Result<()> {
    let engines = is_engines(&record.bundle.to_string_lossy());
    if engines && record.spec.hooks.kinds().iter().all(|(_, list)| list.is_empty()) {
        return Ok(());
    }
    // Where no control was asked nobody has read it.
    let table = match table.is_empty() {
        true => Cow::Owned(crate::procfs::read_bytes(proc, "self/mountinfo")?),
        false => Cow::Borrowed(table),
    };
    let mounts = mountinfo::parse(&table)?;
    let hooks = hooks(record, caller, proc, &mounts)?;
    let fact = match engines {
        true if hooks.is_empty() => return Ok(()),
        // `/` is nobody's root file system, for whoever reads this; releases that know no hooks, too.
        true => BundleFact { root: "/".to_owned(), ..BundleFact::default() },
        false => {
            let (bundle, config) = (record.bundle.as_path(), record.config.as_deref());
            Origin { bundle, config, rootfs: &record.rootfs }.fact(proc, &mounts)?
        }
    };
    let fact = BundleFact { container: record.id.clone(), hooks, ..fact };
    bundles::write(root, &fact)
}

fn hooks(
    record: &Record,
    caller: &Caller,
    proc: &OwnedFd,
    mounts: &[Mount<'_>],
) -> Result<Vec<String>> {
    let root = caller.euid == 0 && caller.initial_user_namespace;
    let places = facts::hook_places(&record.spec.hooks, (caller.euid, root), proc, mounts)?;
    let data = record.spec.overrides().values.paths_data.as_deref().unwrap_or_default();
    Ok(facts::among_data(places, data))
}

/// Whether a bundle lies where an engine keeps them, and lets nobody else write.
fn is_engines(bundle: &str) -> bool {
    if facts::is_in_volume(bundle) {
        return false;
    }
    let is_sign = |part: &str| SIGNS.iter().any(|(sign, _)| *sign == part);
    casemate_policy::usual(bundle) == Usual::Engine || bundle.split('/').any(is_sign)
}
