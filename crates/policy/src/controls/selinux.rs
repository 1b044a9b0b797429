//! `selinux.label` and `selinux.assign`: the SELinux label, and one for a container whose configuration has none.
//!
//! The control only decides that there is to be one. Which pair of categories no other container has is found out by the
//! runtime, which then says so by [`HardenedSpec::assign_label`]; what the files allow is the runtime's to find out too
//! ([`HardenedSpec::refuse_files`]).

use super::prelude::*;
use crate::auto::AutoLabel;
use crate::decision::Decision;
use crate::overrides::Values;
use crate::source::Source;
use serde_json::{json, Value};

/// **What.** If SELinux enforces and the configuration names no process label, the container gets
/// `system_u:system_r:container_t:s0:cA,cB`, with a pair of categories that no other container
/// labelled by casemate has (containers of one pod share theirs). Its tmpfs, its `/dev` and the
/// overlay of its root get `container_file_t` with the same pair. The pair is kept in
/// `/run/casemate-mcs` and released when the container is deleted. Both labels are read back before
/// the program starts (`posture.json`). If a configuration names only a label for mounts (an
/// engine's `label=disable`), the container gets the categories of that label. A root that is a
/// plain directory, or an overlay that could not be reassembled (`userns.auto`), must have a label
/// that containers can read; otherwise the container is refused. Volumes keep their labels: those
/// without `container_file_t` remain inaccessible.
///
/// **Settings.** In `[values]` of the node's policy: `"selinux.process-type"`,
/// `"selinux.file-type"`, and `"selinux.relabel" = true`, which relabels the files of a plain
/// directory one by one, as `chcon -R` does. `"selinux.assign" = "off"` in `[controls]` leaves
/// labels to engines.
///
/// **Why.** Without a label, a container runs in the domain of its engine, and SELinux does not
/// confine it. A label stopped CVE-2019-5736, CVE-2021-30465 and CVE-2024-21626.
///
/// **If it is not available.** SELinux is off, or the caller is an ordinary user: verdict `waived`,
/// in every profile. SELinux is permissive: `waived`, but `restricted` still assigns the label. The
/// loaded policy has no such types (hint: container-selinux): `waived`; it is refused by
/// `restricted`, and if a node's policy names types that do not exist.
///
/// **What breaks.** Volumes without the label: use `chcon -Rt container_file_t DIRECTORY`, or `:Z`
/// with an engine that does that.
///
/// **Override.**
///
/// - `selinux.unassigned`: no SELinux label where the configuration has none
///
/// **In the profiles.**
///
/// - privileged: The configuration's own label, or none.
/// - baseline: Files of this profile's containers have arbitrary labels.
/// - hardened: If SELinux enforces, a container without a label gets one, with a pair of categories
///   of its own: without categories, containers may read each other's files. Files are not
///   relabelled unless the node's policy says so; a root file system that the label cannot read is
///   refused.
/// - restricted: If SELinux is on, even permissive, and the caller has the privilege to assign a
///   label.
pub(crate) const ASSIGN: Control = Control {
    id: ControlId::SelinuxAssign,
    name: "selinux.assign",
    allow: &["selinux.unassigned"],
    modes: [OFF, OFF, ON, ON],
    severity: LOW,
    summary:
        "a container without an SELinux label gets one, with categories that no other container has",
};

/// **What.** If SELinux is on, the process label must be one for containers: user `system_u` or
/// `unconfined_u`, role `system_r`, type `container_t`, `container_init_t`, `container_kvm_t` or
/// `container_engine_t`. Under `restricted` there must be a label with a pair of categories
/// (`s0:c1,c2`). A configuration without a label gets one from `selinux.assign`. The label is read
/// back before the program starts, and `exec` keeps it.
///
/// **Why.** `spc_t` and the labels of services are not confined as containers are. Without
/// categories of their own, containers are not separated from one another.
///
/// **What breaks.** Labels of a custom policy.
///
/// **Override.**
///
/// - `selinux.unlabelled`: an SELinux label that is not for containers, or none
///
/// **In the profiles.**
///
/// - privileged: The configuration's own label, or none.
/// - baseline: Users, roles and types that the standard permits.
/// - hardened: A label that SELinux does not confine as a container is refused.
/// - restricted: A label is required, with categories of the container's own.
pub(crate) const LABEL: Control = Control {
    id: ControlId::SelinuxLabel,
    name: "selinux.label",
    allow: &["selinux.unlabelled"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "if SELinux is on, the label is one for containers",
};

const POINTER: &str = "/process/selinuxLabel";

/// Types of container-selinux: what processes of containers are, and files that they alone use.
const PROCESS: &str = "container_t";
const FILE: &str = "container_file_t";

/// Decides that the container is to have a label; which categories it has is found out by the runtime.
pub(crate) fn assign(
    draft: &mut Draft<'_>,
    asked: Option<String>,
) -> Result<Option<String>, Refusal> {
    let rule = ControlId::SelinuxAssign;
    if draft.joining.is_some() {
        return Ok(asked);
    }
    if asked.is_some() {
        draft.log.note(rule, POINTER, Verdict::Kept, "set by the configuration");
        return Ok(asked);
    }
    if !draft.facts.selinux {
        draft.log.note(rule, POINTER, Verdict::Waived, "this kernel runs without SELinux");
        return Ok(asked);
    }
    if let Some(source) = draft.allows("selinux.unassigned") {
        draft.log.waive(rule, POINTER, source, "the container runs without a label of its own");
        return Ok(asked);
    }
    let Some(host) = &draft.facts.selinux_host else {
        let reason = "the caller has no privilege on the host to give it one";
        draft.log.note(rule, POINTER, Verdict::Waived, reason);
        return Ok(asked);
    };
    if !host.enforcing && !draft.profile.fail_closed {
        let reason = "SELinux is permissive here: it refuses nothing";
        draft.log.note(rule, POINTER, Verdict::Waived, reason);
        return Ok(asked);
    }
    let values = &draft.choice.overrides.values;
    if let Some(fault) = &host.fault {
        // Who names types wants them, and not nothing.
        let named = values.selinux_process_type.is_some() || values.selinux_file_type.is_some();
        if named || draft.profile.fail_closed {
            return Err(draft.refuse(rule, POINTER, fault.clone(), Some("selinux.unassigned")));
        }
        draft.log.note(rule, POINTER, Verdict::Waived, fault.clone());
        return Ok(asked);
    }
    let mounts = draft.asked.mount_label.as_deref();
    let categories = mounts.and_then(categories).map(str::to_owned);
    draft.extras.auto_label = Some(AutoLabel { categories, ..AutoLabel::of(values) });
    let reason = "SELinux enforces, and without a label it would not keep this container apart";
    draft.log.note(rule, POINTER, Verdict::Added, reason);
    Ok(asked)
}

/// Users, and types, of processes in containers (container-selinux; Pod Security Standards, "SELinux").
const USERS: [&str; 2] = ["system_u", "unconfined_u"];
const TYPES: [&str; 4] =
    ["container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Whether the label is one for containers.
pub(crate) fn label(
    draft: &mut Draft<'_>,
    asked: Option<String>,
) -> Result<Option<String>, Refusal> {
    let (rule, pointer) = (ControlId::SelinuxLabel, POINTER);
    if draft.joining.is_some() {
        // The container's own is kept by `process.labels`.
        return Ok(asked);
    }
    if !draft.facts.selinux {
        draft.log.note(rule, pointer, Verdict::Waived, "this kernel runs without SELinux");
        return Ok(asked);
    }
    let fault = match asked.as_deref() {
        Some(label) => fault(label, draft.profile.fail_closed),
        None if draft.extras.auto_label.is_some() => None,
        None if draft.profile.fail_closed => Some("no SELinux label".to_owned()),
        None => {
            let reason = "the configuration has no label, and its files would need one too";
            draft.log.note(rule, pointer, Verdict::Waived, reason);
            return Ok(asked);
        }
    };
    let Some(fault) = fault else {
        draft.log.note(rule, pointer, Verdict::Kept, "a label for containers");
        return Ok(asked);
    };
    if let Some(source) = draft.allows("selinux.unlabelled") {
        draft.log.waive(rule, pointer, source, format!("the label is as asked for: {fault}"));
        return Ok(asked);
    }
    Err(draft.refuse(rule, pointer, fault, Some("selinux.unlabelled")))
}

/// What is wrong with a label `user:role:type:level`; `pair`: it must have categories.
fn fault(label: &str, pair: bool) -> Option<String> {
    let mut parts = label.splitn(4, ':');
    let [user, role, kind, level] = [(); 4].map(|()| parts.next().unwrap_or_default());
    if !USERS.contains(&user) || role != "system_r" || !TYPES.contains(&kind) {
        return Some(format!("SELinux label {label} is not one for containers"));
    }
    let categories = level.split_once(':').map_or("", |(_, categories)| categories);
    let separated = !categories.is_empty() && categories.split(',').all(|c| c.starts_with('c'));
    (pair && !separated).then(|| format!("SELinux label {label} has no categories"))
}

/// `c1,c2` of `user:role:type:s0:c1,c2`.
fn categories(label: &str) -> Option<&str> {
    label.splitn(5, ':').nth(4).filter(|categories| !categories.is_empty())
}

impl AutoLabel {
    /// What a node's policy makes of it.
    #[must_use]
    pub fn of(values: &Values) -> Self {
        let name = |own: Option<String>, usual: &str| own.unwrap_or_else(|| usual.to_owned());
        let process = name(values.selinux_process_type.as_ref().map(ToString::to_string), PROCESS);
        let file = name(values.selinux_file_type.as_ref().map(ToString::to_string), FILE);
        Self {
            process: format!("system_u:system_r:{process}:s0"),
            file: format!("system_u:object_r:{file}:s0"),
            categories: None,
            relabel: values.selinux_relabel.unwrap_or(false),
        }
    }
}

impl HardenedSpec {
    /// Gives the container the label that it is to have, with these categories (`c1,c2`).
    pub fn assign_label(&mut self, wanted: &AutoLabel, categories: &str) -> Decision {
        let process = format!("{}:{categories}", wanted.process);
        let spec = self.spec_mut();
        let file = spec.linux.mount_label.get_or_insert(format!("{}:{categories}", wanted.file));
        let after = json!({ "selinuxLabel": process, "mountLabel": file });
        if let Some(init) = &mut spec.process {
            init.selinux_label = Some(process);
        }
        let reason = match &wanted.categories {
            None => "no other container has these categories: it cannot open their files",
            Some(_) => "its mounts have these categories already",
        };
        Decision { after, ..decision(Verdict::Added, reason.to_owned()) }
    }

    /// The container's files cannot be opened with that label, for this reason.
    #[must_use]
    pub fn refuse_files(&self, why: String) -> Refusal {
        self.refuse_later(ControlId::SelinuxAssign, "/root/path", why, Some("selinux.unassigned"))
    }
}

fn decision(verdict: Verdict, reason: String) -> Decision {
    Decision {
        rule: ControlId::SelinuxAssign,
        pointer: POINTER.into(),
        verdict,
        source: Source::Profile,
        before: Value::Null,
        after: Value::Null,
        reason: reason.into(),
    }
}
