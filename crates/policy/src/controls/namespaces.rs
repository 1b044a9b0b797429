//! `namespaces.*`: what must be the container's own.

use super::prelude::*;
use crate::profile::ProfileName;
use crate::spec::{Namespace, NamespaceKind};

pub(crate) const MOUNT: Control = Control {
    id: ControlId::MountNamespace,
    name: "namespaces.mount",
    allow: &[],
    modes: [OFF, ON, ON, ON],
    summary: "the container has a mount namespace of its own",
};

pub(crate) const NETWORK: Control = Control {
    id: ControlId::HostNetwork,
    name: "namespaces.host-network",
    allow: &["namespaces.host-network"],
    modes: [OFF, ON, ON, ON],
    summary: "the container has a network of its own",
};

pub(crate) const PID: Control = Control {
    id: ControlId::HostPid,
    name: "namespaces.host-pid",
    allow: &["namespaces.host-pid"],
    modes: [OFF, ON, ON, ON],
    summary: "the container does not see the host's processes",
};

pub(crate) const IPC: Control = Control {
    id: ControlId::HostIpc,
    name: "namespaces.host-ipc",
    allow: &["namespaces.host-ipc"],
    modes: [OFF, ON, ON, ON],
    summary: "the container does not reach the host's shared memory and queues",
};

pub(crate) const UTS: Control = Control {
    id: ControlId::HostUts,
    name: "namespaces.host-uts",
    allow: &["namespaces.host-uts"],
    modes: [OFF, ON, ON, ON],
    summary: "the container has a host name of its own",
};

pub(crate) const CGROUP: Control = Control {
    id: ControlId::HostCgroup,
    name: "namespaces.host-cgroup",
    allow: &["namespaces.host-cgroup"],
    modes: [OFF, ON, ON, ON],
    summary: "the container sees its own control group as the root",
};

type Asked = Vec<Namespace>;

pub(crate) fn mount(draft: &mut Draft<'_>, asked: Asked) -> Result<Asked, Refusal> {
    let (rule, pointer) = (ControlId::MountNamespace, "/linux/namespaces");
    if draft.asked.namespace(NamespaceKind::Mount).is_none() {
        let reason = "a container without a mount namespace cannot be confined; add one, \
                      or use the profile privileged";
        return Err(draft.refuse(rule, pointer, reason, None));
    }
    draft.log.note(rule, pointer, Verdict::Kept, "the container has a mount namespace");
    Ok(asked)
}

pub(crate) fn network(draft: &mut Draft<'_>, asked: Asked) -> Result<Asked, Refusal> {
    let reason =
        "the network namespace is the host's: its interfaces, its ports, its abstract sockets";
    // runc's own rootless configuration has no network namespace, because the user could not connect it to anything.
    let ordinary_user = draft.facts.euid != 0 && draft.profile.name < ProfileName::Restricted;
    if ordinary_user && draft.is_hosts(NamespaceKind::Network) {
        let reason = "the container of an ordinary user reaches the network as that user does";
        draft.log.note(ControlId::HostNetwork, "/linux/namespaces", Verdict::Waived, reason);
        return Ok(asked);
    }
    own(draft, asked, ControlId::HostNetwork, NamespaceKind::Network, reason)
}

pub(crate) fn pid(draft: &mut Draft<'_>, asked: Asked) -> Result<Asked, Refusal> {
    let reason = "the pid namespace is the host's: its processes can be seen and signalled";
    own(draft, asked, ControlId::HostPid, NamespaceKind::Pid, reason)
}

pub(crate) fn ipc(draft: &mut Draft<'_>, asked: Asked) -> Result<Asked, Refusal> {
    let reason = "the ipc namespace is the host's: its shared memory and message queues";
    own(draft, asked, ControlId::HostIpc, NamespaceKind::Ipc, reason)
}

pub(crate) fn uts(draft: &mut Draft<'_>, asked: Asked) -> Result<Asked, Refusal> {
    own(
        draft,
        asked,
        ControlId::HostUts,
        NamespaceKind::Uts,
        "the uts namespace is the host's: its name",
    )
}

/// One of its own takes nothing from a container, so it is given and not demanded.
pub(crate) fn cgroup(draft: &mut Draft<'_>, mut asked: Asked) -> Result<Asked, Refusal> {
    let (rule, kind) = (ControlId::HostCgroup, NamespaceKind::Cgroup);
    if !draft.is_hosts(kind) {
        draft.log.note(rule, "/linux/namespaces", Verdict::Kept, "is not the host's");
        return Ok(asked);
    }
    let reason = "paths of the host's control groups tell what else runs there";
    if let Some(source) = draft.allows("namespaces.host-cgroup") {
        draft.log.waive(rule, "/linux/namespaces", source, "the cgroup namespace is the host's");
        return Ok(asked);
    }
    let wanted = Namespace { kind, path: None };
    match asked.iter_mut().enumerate().find(|(_, namespace)| namespace.kind == kind) {
        Some((at, namespace)) => {
            let before = std::mem::replace(namespace, wanted);
            let pointer = format!("/linux/namespaces/{at}");
            let change = values(&before, namespace);
            draft.log.change(rule, pointer, Verdict::Tightened, change, reason);
        }
        None => {
            let change = values(&(), &[&wanted]);
            draft.log.change(rule, "/linux/namespaces/-", Verdict::Added, change, reason);
            asked.push(wanted);
        }
    }
    Ok(asked)
}

/// A namespace that must not be the host's. Which one it was to be in its place nobody knows, so there is no mending.
/// The override has the name of the rule.
fn own(
    draft: &mut Draft<'_>,
    asked: Asked,
    rule: ControlId,
    kind: NamespaceKind,
    reason: &'static str,
) -> Result<Asked, Refusal> {
    let pointer = "/linux/namespaces";
    if !draft.is_hosts(kind) {
        draft.log.note(rule, pointer, Verdict::Kept, "is not the host's");
        return Ok(asked);
    }
    match draft.allows(rule.as_str()) {
        Some(source) => draft.log.waive(rule, pointer, source, reason),
        None => return Err(draft.refuse(rule, pointer, reason, Some(rule.as_str()))),
    }
    Ok(asked)
}
