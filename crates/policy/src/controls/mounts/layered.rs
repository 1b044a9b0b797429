//! A source on an overlay that is mounted already shows the layers of that overlay, and writes to one of them.

use super::judgement::{Judgement, Place, ENGINE_DATA};
use super::scope::{covers, Scope};
use super::{judge, places};
use crate::facts::{Engine, FileFact, LayerFact, LayerRole, SourceFact};

/// The strictest judgement of the layers that `file` lies on, and of those that they lie on.
pub(super) fn judge(file: &FileFact, scope: &Scope<'_>, root: bool) -> Judgement {
    let engines = is_engines(file, scope);
    let each = file.layers.iter().map(|layer| one(layer, engines, scope, root));
    each.fold(Judgement::LetIn, Judgement::stricter)
}

/// What the judgement of a directory means for it as a layer: an overlay writes to two of them only.
pub(super) fn as_layer(judgement: Judgement, role: LayerRole) -> Judgement {
    match judgement {
        Judgement::ReadOnly { class, note } => match role {
            LayerRole::Upper | LayerRole::Work => Judgement::refused(class, note),
            LayerRole::Lower | LayerRole::Data => Judgement::LetIn,
        },
        other => other,
    }
}

fn one(layer: &LayerFact, engines: bool, scope: &Scope<'_>, root: bool) -> Judgement {
    let path = layer.path.as_str();
    let found = match &layer.source {
        // An ordinary caller has no more of the layers than that caller may open anyway.
        SourceFact::Missing(_) if !root => return Judgement::LetIn,
        SourceFact::Missing(why) => {
            let note = format!(" (on an overlay whose layer {path:?} cannot be judged: {why})");
            return Judgement::refused(ENGINE_DATA, note);
        }
        // Relative to the directory of who mounted it, which only engines' layouts tell.
        SourceFact::Found(_) if root && !engines && !path.starts_with('/') => {
            let note = format!(" (on an overlay with the relative layer {path:?})");
            return Judgement::refused(ENGINE_DATA, note);
        }
        SourceFact::Found(found) => found,
    };
    let own = match judge::source(found, scope, root) {
        Judgement::Refused { class: Some(ENGINE_DATA), .. } if engines => Judgement::LetIn,
        // A name that is gone can have been anybody's, and a link to anywhere: only engines' own layers are told by their form.
        Judgement::LetIn | Judgement::ReadOnly { .. } if root && layer.moved => {
            let note = format!(" (on an overlay whose layer {path:?} is gone)");
            return Judgement::refused(ENGINE_DATA, note);
        }
        other => as_layer(other, layer.role),
    };
    let nested = as_layer(judge(found, scope, root), layer.role);
    match own.stricter(nested) {
        Judgement::Refused { class, note } => {
            let note = format!(" (on an overlay with the layer {}{note})", found.path);
            Judgement::Refused { class, note }
        }
        other => other,
    }
}

/// True where engines mount the overlays that they made: among their data, or in the bundle. A volume is mounted as
/// its creator says, layers and all.
fn is_engines(file: &FileFact, scope: &Scope<'_>) -> bool {
    let bundle = scope.facts.bundle.as_str();
    if !bundle.is_empty() && covers(bundle, &file.path) {
        return true;
    }
    if let Some(engine) = &file.engine {
        return is_kept(engine.engine, &engine.root, &file.path);
    }
    // Podman hands the root of a container with other ids over through a bind mount outside of its data, in a directory that
    // those ids may enter.
    file.all_names().any(|name| match places::judge(name) {
        Place::Engine { engine, root } => is_kept(engine, root, name),
        _ => false,
    })
}

/// Whether an engine keeps `path` below its `top` for itself. The kubelet's directory is its own as a whole.
fn is_kept(engine: Engine, top: &str, path: &str) -> bool {
    let rest = path.strip_prefix(top).unwrap_or_default();
    engine == Engine::Kubelet || !rest.split('/').any(|part| part == "volumes")
}
