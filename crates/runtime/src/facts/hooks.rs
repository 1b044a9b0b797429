//! Hooks that run on the host's side: who could change their programs, what these are, and where they lie.

use casemate_policy::spec::{Hook, Hooks};
use casemate_policy::{usual, HookFile, HostFacts, Usual};
use casemate_sandbox::trust::{self, Owners};
use rustix::fd::OwnedFd;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Those that are on the host's side, by JSON pointer. startContainer hooks are programs of the container, with its rights.
fn on_host(hooks: &Hooks) -> impl Iterator<Item = (String, &Hook)> {
    let kinds = hooks.kinds().into_iter().filter(|(kind, _)| *kind != "startContainer");
    kinds.flat_map(|(kind, list)| {
        let each = list.iter().enumerate();
        each.map(move |(index, hook)| (format!("/hooks/{kind}/{index}"), hook))
    })
}

/// Why hooks are not to be trusted, by JSON pointer.
pub(super) fn faults(hooks: &Hooks, facts: &HostFacts) -> BTreeMap<String, String> {
    let owners = Owners { euid: facts.euid, initial: facts.in_initial_userns };
    let fault = |(at, hook): (String, &Hook)| Some((at, owners.trust(hook.path.as_ref()).err()?));
    on_host(hooks).filter_map(fault).collect()
}

/// What the hooks are, for a list of them and for records.
pub(crate) fn files(hooks: &Hooks) -> BTreeMap<String, HookFile> {
    let each = on_host(hooks).map(|(at, Hook { path, .. })| {
        // Without a path or a digest it is on no list, and a record says that it is not known.
        let real = std::fs::read_link(path).ok().filter(|_| path.starts_with("/proc/"));
        let real = real.or_else(|| real_path(Path::new(path))).unwrap_or_default();
        let path_of = real.to_string_lossy().into_owned();
        (at, HookFile { path: path_of, sha256: crate::digest::of_file(path) })
    });
    each.collect()
}

/// Without links, as the kernel has it; `None` when that cannot be told, see [`files`].
fn real_path(path: &Path) -> Option<PathBuf> {
    let proc = crate::procfs::open().ok()?;
    let file = casemate_sys::mount::open_path(path, false).ok()?;
    crate::overlay::real_path(&proc, &file).ok()
}

/// Where the programs of hooks lie, and every link that leads to them, without links: what is written there runs with the
/// caller's rights, so no container writes it. For an ordinary caller those that the caller may change: what belongs to the
/// host's root a container of that caller cannot write anyway.
///
/// # Errors
/// What a hook is named by its process leads to cannot be told.
pub(crate) fn places(
    hooks: &Hooks,
    (euid, host_root): (u32, bool),
    proc: &OwnedFd,
) -> anyhow::Result<Vec<String>> {
    let of = |path: &Path| trust::places(path, |owner| host_root || owner == euid);
    let mut found = BTreeSet::new();
    for (_, hook) in on_host(hooks) {
        for place in of(hook.path.as_ref()) {
            // What a link of procfs leads to has a name, too.
            match place.starts_with("/proc") {
                true => found.extend(of(super::real(&place, proc)?.as_ref())),
                false => _ = found.insert(place),
            }
        }
    }
    Ok(found.iter().map(|place| place.to_string_lossy().into_owned()).collect())
}

/// Those that other containers have to be told of: what lies in the host's system, or with an engine, is none of theirs to write
/// anyway, unless the node's policy calls it data.
pub(crate) fn among_data(places: Vec<String>, data: &[String]) -> Vec<String> {
    let is_data = |path: &str| {
        let own = matches!(usual(path), Usual::Other | Usual::Packaged(_));
        own || data.iter().any(|top| casemate_policy::is_below(path, top))
    };
    places.into_iter().filter(|path| is_data(path)).collect()
}
