//! Bundles: what lies there says what the caller runs next, so no container writes it.

use super::scope::{covers, Scope};
use crate::facts::{is_below, BundleFact, FileFact, SIGNS};

/// What of a bundle a file is or holds, as messages go on behind it: the container's own configuration, or what another
/// container was made from. What lies beside the own configuration in the bundle, such as the root file system, is not meant.
///
/// `root`: the caller is root of the host. What holds a bundle that an engine of an ordinary caller keeps is that caller's home
/// directory, which containers are given as a whole (toolbox, distrobox).
pub(super) fn held(file: &FileFact, scope: &Scope<'_>, root: bool) -> Option<String> {
    let facts = scope.facts;
    if is_own(file, scope, root) {
        return Some(OWN.to_owned());
    }
    // One that runs on the host's own root has none that would be its own.
    let is_root = |path: &str| {
        path != "/" && (holds(file, path, root) || file.all_names().any(|name| covers(path, name)))
    };
    let is_its = |other: &&BundleFact| {
        is_of(file, other, root)
            || is_root(&other.root)
            || other.root_names.iter().any(|name| is_root(name))
    };
    facts.others.iter().find(is_its).map(of_other)
}

/// The same of what is to be a root file system. Containers may share one, and each lies in a bundle of its own mostly. The
/// container's own configuration may lie in a root that is `read_only`, as in the bundles of the OCI's validation suite.
pub(super) fn held_by_root(
    file: &FileFact,
    scope: &Scope<'_>,
    root: bool,
    read_only: bool,
) -> Option<String> {
    let facts = scope.facts;
    if !read_only && is_own(file, scope, root) {
        return Some(OWN.to_owned());
    }
    let is_its = |other: &&BundleFact| is_of(file, other, root);
    facts.others.iter().find(is_its).map(of_other)
}

const OWN: &str = " (holds the container's configuration)";

fn of_other(other: &BundleFact) -> String {
    format!(" (of the container {})", other.container)
}

fn is_own(file: &FileFact, scope: &Scope<'_>, root: bool) -> bool {
    let facts = scope.facts;
    says(file, (&facts.bundle, &facts.config), root)
        || facts.names.iter().any(|name| holds(file, name, root))
}

fn is_of(file: &FileFact, other: &BundleFact, root: bool) -> bool {
    says(file, (&other.bundle, &other.config), root)
        || other.names.iter().any(|name| holds(file, name, root))
}

/// Whether a file is or holds what a container was made from, by its own path or by what is mounted from inside of it.
fn says(file: &FileFact, (bundle, config): (&str, &Option<String>), root: bool) -> bool {
    match config {
        Some(config) => holds(file, config, root),
        None => holds(file, bundle, root) || holds(file, &config_of(bundle), root),
    }
}

fn holds(file: &FileFact, path: &str, root: bool) -> bool {
    if path.is_empty() {
        return false;
    }
    let above = root || !is_engines(path);
    let mounted = file.holds.iter().any(|point| covers(point, path));
    (above && mounted)
        || file.all_names().any(|name| name == path || (above && is_below(path, name)))
}

fn config_of(bundle: &str) -> String {
    match bundle.is_empty() {
        true => String::new(),
        false => format!("{bundle}/config.json"),
    }
}

fn is_engines(path: &str) -> bool {
    path.split('/').any(|part| SIGNS.iter().any(|(sign, _)| *sign == part))
}
