//! `paths.*`: the union of the configuration's and the profile's lists.

use crate::check::clean;
use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::spec::{Mount, NamespaceKind, Spec};
use serde_json::{json, Value};

/// Rule `paths.masked`.
pub(crate) fn masked(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let wanted = draft.profile.masked_paths;
    if let Some(source) = draft.allows("paths.unmasked") {
        let reason = "only what the configuration lists is hidden";
        draft.log.waive(ControlId::MaskedPaths, "/linux/maskedPaths", source, reason);
        return Ok(());
    }
    if is_left_open(draft) {
        let reason = "the configuration hides nothing, and has a user namespace";
        draft.log.note(ControlId::MaskedPaths, "/linux/maskedPaths", Verdict::Kept, reason);
        return Ok(());
    }
    let Spec { linux, mounts, .. } = &mut *draft.spec;
    let added = missing(wanted, &[&linux.masked_paths], mounts);
    linux.masked_paths.extend(added.iter().map(|path| (*path).to_owned()));
    let reason = "shows or changes the host; engines' lists differ, so the profile adds its own";
    record(draft, (ControlId::MaskedPaths, "/linux/maskedPaths"), &added, reason);
    Ok(())
}

/// Rule `paths.readonly`. Comes after the masks: a hidden path need not be made read-only as well.
pub(crate) fn readonly(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let wanted = draft.profile.readonly_paths;
    if let Some(source) = draft.allows("paths.writable") {
        let reason = "only what the configuration lists is read-only";
        draft.log.waive(ControlId::ReadonlyPaths, "/linux/readonlyPaths", source, reason);
        return Ok(());
    }
    if is_left_open(draft) {
        let reason = "the configuration protects nothing, and has a user namespace";
        draft.log.note(ControlId::ReadonlyPaths, "/linux/readonlyPaths", Verdict::Kept, reason);
        return Ok(());
    }
    let Spec { linux, mounts, .. } = &mut *draft.spec;
    let added = missing(wanted, &[&linux.readonly_paths, &linux.masked_paths], mounts);
    linux.readonly_paths.extend(added.iter().map(|path| (*path).to_owned()));
    let reason = "changes the host when written";
    record(draft, (ControlId::ReadonlyPaths, "/linux/readonlyPaths"), &added, reason);
    Ok(())
}

/// Kubernetes' `procMount: Unmasked` for a pod with `hostUsers: false`, which the baseline standard has nothing against: in a
/// user namespace, what is not hidden cannot be written.
fn is_left_open(draft: &Draft<'_>) -> bool {
    let linux = &draft.spec.linux;
    draft.profile.unmasked_in_userns
        && draft.spec.namespace(NamespaceKind::User).is_some()
        && linux.masked_paths.is_empty()
        && linux.readonly_paths.is_empty()
}

/// Those of `wanted` that are in none of the lists and that no mount covers (lxcfs puts its own files
/// over some: covering those would take the container's view away again).
fn missing(wanted: &[&'static str], lists: &[&Vec<String>], mounts: &[Mount]) -> Vec<&'static str> {
    let listed = lists.iter().flat_map(|list| list.iter()).map(|path| clean(path));
    let mounted = mounts.iter().map(|mount| clean(&mount.destination));
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
    let values = (Value::Null, json!(added));
    draft.log.change(rule, format!("{pointer}/-"), Verdict::Added, values, reason);
}
