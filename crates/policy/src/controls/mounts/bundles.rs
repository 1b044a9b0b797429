//! Bundles: what lies there says what the caller runs next, so no container writes it.

use super::{covers, Scope};
use crate::facts::{is_below, BundleFact, FileFact, SIGNS};

/// What of a bundle a file is or holds, as messages go on behind it: the container's own configuration, or what another
/// container was made from. What lies beside the own configuration in the bundle, such as the root file system, is not meant.
///
/// `root`: the caller is root of the host. What holds a bundle that an engine of an ordinary caller keeps is that caller's home
/// directory, which containers are given as a whole (toolbox, distrobox).
pub(super) fn held(file: &FileFact, scope: &Scope<'_>, root: bool) -> Option<String> {
    let facts = scope.facts;
    let holds = |path: &str| match path.is_empty() {
        true => false,
        false => {
            let above = root || !is_engines(path);
            file.all_names().any(|name| name == path || (above && is_below(path, name)))
        }
    };
    let says = |bundle: &str, config: &Option<String>| match config {
        Some(config) => holds(config),
        None => holds(bundle) || holds(&config_of(bundle)),
    };
    if says(&facts.bundle, &facts.config) {
        return Some(" (holds the container's configuration)".to_owned());
    }
    // One that runs on the host's own root has none that would be its own.
    let is_root = |path: &str| {
        path != "/" && (holds(path) || file.all_names().any(|name| covers(path, name)))
    };
    let is_its = |other: &&BundleFact| says(&other.bundle, &other.config) || is_root(&other.root);
    let other = facts.others.iter().find(is_its);
    other.map(|other| format!(" (of the container {})", other.container))
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
