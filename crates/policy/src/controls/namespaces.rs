//! `namespaces.*`: what must be the container's own.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::profile::ProfileName;
use crate::spec::{Namespace, NamespaceKind};
use serde_json::{json, Value};

/// Rule `namespaces.mount`.
pub(crate) fn mount(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::MountNamespace, "/linux/namespaces");
    if draft.spec.namespace(NamespaceKind::Mount).is_none() {
        let reason = "a container without a mount namespace cannot be confined; add one, \
                      or use the profile privileged";
        return Err(draft.refuse(rule, pointer, reason, None));
    }
    draft.log.note(rule, pointer, Verdict::Kept, "the container has a mount namespace");
    Ok(())
}

/// Rule `namespaces.host-network`.
pub(crate) fn network(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let reason =
        "the network namespace is the host's: its interfaces, its ports, its abstract sockets";
    // runc's own rootless configuration has no network namespace, because the user could not connect it to anything.
    let ordinary_user = draft.facts.euid != 0 && draft.profile.name < ProfileName::Restricted;
    if ordinary_user && is_hosts(draft, NamespaceKind::Network) {
        let reason = "the container of an ordinary user reaches the network as that user does";
        draft.log.note(ControlId::HostNetwork, "/linux/namespaces", Verdict::Waived, reason);
        return Ok(());
    }
    own(draft, ControlId::HostNetwork, NamespaceKind::Network, reason)
}

/// Rule `namespaces.host-pid`.
pub(crate) fn pid(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let reason = "the pid namespace is the host's: its processes can be seen and signalled";
    own(draft, ControlId::HostPid, NamespaceKind::Pid, reason)
}

/// Rule `namespaces.host-ipc`.
pub(crate) fn ipc(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let reason = "the ipc namespace is the host's: its shared memory and message queues";
    own(draft, ControlId::HostIpc, NamespaceKind::Ipc, reason)
}

/// Rule `namespaces.host-uts`.
pub(crate) fn uts(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    own(draft, ControlId::HostUts, NamespaceKind::Uts, "the uts namespace is the host's: its name")
}

/// Rule `namespaces.host-cgroup`. One of its own takes nothing from a container, so it is given and not demanded.
pub(crate) fn cgroup(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, kind) = (ControlId::HostCgroup, NamespaceKind::Cgroup);
    if !is_hosts(draft, kind) {
        draft.log.note(rule, "/linux/namespaces", Verdict::Kept, "is not the host's");
        return Ok(());
    }
    let reason = "paths of the host's control groups tell what else runs there";
    if let Some(source) = draft.allows("namespaces.host-cgroup") {
        draft.log.waive(rule, "/linux/namespaces", source, "the cgroup namespace is the host's");
        return Ok(());
    }
    let list = &mut draft.spec.linux.namespaces;
    let wanted = Namespace { kind, path: None };
    match list.iter().position(|namespace| namespace.kind == kind) {
        Some(at) => {
            let before = std::mem::replace(&mut list[at], wanted);
            let values = (json!(before), json!(list[at]));
            let pointer = format!("/linux/namespaces/{at}");
            draft.log.change(rule, pointer, Verdict::Tightened, values, reason);
        }
        None => {
            let values = (Value::Null, json!([wanted]));
            list.push(wanted);
            draft.log.change(rule, "/linux/namespaces/-", Verdict::Added, values, reason);
        }
    }
    Ok(())
}

/// A namespace that must not be the host's. Which one it was to be in its place nobody knows, so there is no mending.
/// The override has the name of the rule.
fn own(
    draft: &mut Draft<'_>,
    rule: ControlId,
    kind: NamespaceKind,
    reason: &'static str,
) -> Result<(), Refusal> {
    let pointer = "/linux/namespaces";
    if !is_hosts(draft, kind) {
        draft.log.note(rule, pointer, Verdict::Kept, "is not the host's");
        return Ok(());
    }
    match draft.allows(rule.as_str()) {
        Some(source) => draft.log.waive(rule, pointer, source, reason),
        None => return Err(draft.refuse(rule, pointer, reason, Some(rule.as_str()))),
    }
    Ok(())
}

/// No entry means the runtime's own, and an entry with a path may lead there.
pub(crate) fn is_hosts(draft: &Draft<'_>, kind: NamespaceKind) -> bool {
    match draft.spec.namespace(kind) {
        None => true,
        Some(namespace) => namespace.path.is_some() && draft.facts.host_namespaces.contains(&kind),
    }
}
