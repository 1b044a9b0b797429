//! `paths.*`: the union of the configuration's and the profile's lists.

use super::prelude::*;
use crate::check::clean;

pub(crate) const MASKED: Control = Control {
    id: ControlId::MaskedPaths,
    name: "paths.masked",
    allow: &["paths.unmasked"],
    modes: [OFF, ON, ON, ON],
    summary: "paths that show or change the host are hidden",
};

pub(crate) const READONLY: Control = Control {
    id: ControlId::ReadonlyPaths,
    name: "paths.readonly",
    allow: &["paths.writable"],
    modes: [OFF, ON, ON, ON],
    summary: "paths that change the host when written are read-only",
};

pub(crate) fn masked(
    draft: &mut Draft<'_>,
    mut asked: Vec<String>,
) -> Result<Vec<String>, Refusal> {
    let (control, pointer) = (ControlId::MaskedPaths, "/linux/maskedPaths");
    if let Some(source) = draft.allows("paths.unmasked") {
        let reason = "only what the configuration lists is hidden";
        draft.log.waive(control, pointer, source, reason);
    } else if is_left_open(draft) {
        let reason = "the configuration hides nothing, and has a user namespace";
        draft.log.note(control, pointer, Verdict::Kept, reason);
    } else {
        let added = missing(draft.profile.masked_paths, &[&asked], &draft.asked.destinations);
        let reason =
            "shows or changes the host; engines' lists differ, so the profile adds its own";
        record(draft, (control, pointer), &added, reason);
        asked.extend(added.iter().map(|path| (*path).to_owned()));
    }
    draft.masked.clone_from(&asked);
    Ok(asked)
}

/// Comes after the masks: a hidden path need not be made read-only as well.
pub(crate) fn readonly(
    draft: &mut Draft<'_>,
    mut asked: Vec<String>,
) -> Result<Vec<String>, Refusal> {
    let (control, pointer) = (ControlId::ReadonlyPaths, "/linux/readonlyPaths");
    if let Some(source) = draft.allows("paths.writable") {
        let reason = "only what the configuration lists is read-only";
        draft.log.waive(control, pointer, source, reason);
    } else if is_left_open(draft) {
        let reason = "the configuration protects nothing, and has a user namespace";
        draft.log.note(control, pointer, Verdict::Kept, reason);
    } else {
        let lists = [&asked, &draft.masked];
        let added = missing(draft.profile.readonly_paths, &lists, &draft.asked.destinations);
        record(draft, (control, pointer), &added, "changes the host when written");
        asked.extend(added.iter().map(|path| (*path).to_owned()));
    }
    Ok(asked)
}

/// Kubernetes' `procMount: Unmasked` for a pod with `hostUsers: false`, which the baseline standard has nothing against: in a
/// user namespace, what is not hidden cannot be written.
fn is_left_open(draft: &Draft<'_>) -> bool {
    draft.profile.unmasked_in_userns && draft.has_userns() && draft.asked.hides_nothing
}

/// Those of `wanted` that are in none of the lists and that no mount covers (lxcfs puts its own files
/// over some: covering those would take the container's view away again).
fn missing(
    wanted: &[&'static str],
    lists: &[&Vec<String>],
    mounts: &[String],
) -> Vec<&'static str> {
    let listed = lists.iter().flat_map(|list| list.iter()).map(|path| clean(path));
    let mounted = mounts.iter().map(|mount| clean(mount));
    let known: Vec<_> = listed.chain(mounted).collect();
    wanted.iter().copied().filter(|path| !known.iter().any(|known| known == path)).collect()
}

fn record(
    draft: &mut Draft<'_>,
    (rule, pointer): (ControlId, &'static str),
    added: &[&'static str],
    reason: &'static str,
) {
    if added.is_empty() {
        let reason = "the configuration covers all of the profile's paths";
        return draft.log.note(rule, pointer, Verdict::Kept, reason);
    }
    draft.log.change(rule, format!("{pointer}/-"), Verdict::Added, values(&(), &added), reason);
}
