//! Whose container it is that a mount is judged for.

use crate::admit::{Draft, Pod};
use crate::facts::{is_below, FileFact, FileKind, HostFacts, MountFacts};
use crate::spec::NamespaceKind;

/// Whose container it is that something is judged for.
pub(super) struct Scope<'a> {
    pub(super) facts: &'a MountFacts,
    pub(super) pod: &'a Pod,
    /// Places that the node's policy calls data.
    pub(super) data: &'a [String],
    /// Namespaces of others that it joins.
    pub(super) joined: Vec<NamespaceKind>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(draft: &'a Draft<'_>) -> Self {
        Self {
            facts: &draft.facts.mounts,
            pod: &draft.asked.pod,
            data: draft.choice.overrides.values.paths_data.as_deref().unwrap_or_default(),
            joined: [
                (NamespaceKind::Network, draft.joins_process(NamespaceKind::Network)),
                (NamespaceKind::Ipc, draft.joins(NamespaceKind::Ipc)),
            ]
            .into_iter()
            .filter_map(|(kind, joins)| joins.then_some(kind))
            .collect(),
        }
    }

    pub(super) fn is_data(&self, path: &str) -> bool {
        self.data.iter().any(|top| path == top.trim_end_matches('/') || is_below(path, top))
    }
}

/// True for a root that is root of the host; others can do to the host only what they could do anyway.
pub(super) fn is_root(facts: &HostFacts) -> bool {
    facts.euid == 0 && facts.in_initial_userns
}

/// True when `path` is `top` or lies in it.
pub(super) fn covers(top: &str, path: &str) -> bool {
    path == top || is_below(path, top)
}

/// The state directory, if this is a directory above it: that goes by engines' data.
pub(super) fn holds_state<'a>(file: &FileFact, scope: &Scope<'a>) -> Option<&'a str> {
    let own = scope.facts.state_root.as_str();
    let above =
        file.all_names().any(|name| is_below(own, name)) || file.holds.iter().any(|at| at == own);
    (above && !own.is_empty() && file.kind == FileKind::Directory).then_some(own)
}
