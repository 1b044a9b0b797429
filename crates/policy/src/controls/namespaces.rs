//! `namespaces.*`: what must be the container's own.

use super::prelude::*;
use crate::profile::ProfileName;
use crate::spec::{Namespace, NamespaceKind};

/// **What.** A container without a mount namespace of its own is refused, and so is one that joins
/// a mount namespace by path. casemate always creates a mount namespace for the container
/// (`a_mount_namespace_is_made_for_the_container_and_never_joined`).
///
/// **Why.** Masks, read-only paths and the read-only root all exist in that namespace. Without it
/// they would have to be omitted. If it were joined, the container's root file system would become
/// `/` for every process in it: a service of the host, another container.
///
/// **What breaks.** Configurations that run a program on the host's tree,
/// `ctr run --with-ns mount:...`. No engine writes one by default.
///
/// **Workaround.** Put `{"type": "mount"}` into `linux.namespaces`, without a path.
///
/// **Override.** None. The profile `privileged` runs such a configuration.
///
/// **In the profiles.**
///
/// - privileged: A container may share the host's mount namespace.
/// - baseline: Nothing can be confined without it.
/// - hardened: Without a mount namespace of its own, nothing can be masked or made read-only: such
///   a configuration is refused, not weakened.
pub(crate) const MOUNT: Control = Control {
    id: ControlId::MountNamespace,
    name: "namespaces.mount",
    allow: &[],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "the container has a mount namespace of its own",
};

/// **What.** A container that would share the host's network namespace is refused, whether its
/// configuration omits the namespace or joins it by a path whose inode is the host's. casemate
/// checks the path again when it opens it. "The host" is the namespace in which casemate itself
/// runs. casemate does not create a namespace instead, because only the caller knows which one was
/// meant.
///
/// **Why.** With the host's network, a container reaches every service on the loopback interface
/// and every abstract socket (CVE-2020-15257: containerd's own, and through it a root shell), and
/// with CAP_NET_RAW or CAP_NET_ADMIN all traffic.
///
/// **What breaks.** `--network=host`; Kubernetes' `hostNetwork`, which needs the override for uts
/// as well. A container of an ordinary user may omit the network namespace, as runc's rootless
/// configurations do: it reaches the network as that user does. `restricted` refuses that too.
///
/// **Override.**
///
/// - `namespaces.host-network`: the host's network namespace
///
/// **In the profiles.**
///
/// - privileged: Whichever namespaces the configuration names, or omits.
/// - baseline: The standard's "host namespaces".
/// - hardened: The host's network gives access to its interfaces, its loopback services, and its
///   abstract sockets; CVE-2020-15257 was a root shell through one of these. Only the caller knows
///   which network was meant, so the configuration is refused and not changed; the same is true of
///   processes, ipc and the host's name.
pub(crate) const NETWORK: Control = Control {
    id: ControlId::HostNetwork,
    name: "namespaces.host-network",
    allow: &["namespaces.host-network"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "the container has a network of its own",
};

/// **What.** A container that would share the host's pid namespace is refused, whether its
/// configuration omits the namespace or joins it by a path whose inode is the host's. casemate
/// checks the path again when it opens it. "The host" is the namespace in which casemate itself
/// runs. casemate does not create a namespace instead, because only the caller knows which one was
/// meant.
///
/// **Why.** The container sees every process of the host with its arguments and, where the ids
/// allow it, also its environment and, through `/proc/PID/root`, its files. It can send signals to
/// these processes.
///
/// **What breaks.** `--pid=host`, Kubernetes' `hostPID`: monitoring and debugging agents.
///
/// **Override.**
///
/// - `namespaces.host-pid`: the host's pid namespace
///
/// To debug one container, join that container's pid namespace instead (`--pid=container:NAME`,
/// `shareProcessNamespace`), which needs no override.
///
/// **In the profiles.**
///
/// - privileged: Whichever namespaces the configuration names, or omits.
/// - baseline: The standard's "host namespaces".
/// - hardened: It gives access to the host's processes: their environment, their files through
///   /proc/PID/root, and signals to them.
pub(crate) const PID: Control = Control {
    id: ControlId::HostPid,
    name: "namespaces.host-pid",
    allow: &["namespaces.host-pid"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "the container does not see the host's processes",
};

/// **What.** A container that would share the host's ipc namespace is refused, whether its
/// configuration omits the namespace or joins it by a path whose inode is the host's. casemate
/// checks the path again when it opens it. "The host" is the namespace in which casemate itself
/// runs. casemate does not create a namespace instead, because only the caller knows which one was
/// meant.
///
/// **Why.** Only ids and modes protect System V shared memory, semaphores and message queues, and
/// databases keep their buffers there. `kernel.shm*` and `kernel.msg*` would be the host's.
///
/// **What breaks.** `--ipc=host`, Kubernetes' `hostIPC`.
///
/// **Override.**
///
/// - `namespaces.host-ipc`: the host's ipc namespace
///
/// Containers that share memory with each other can share one namespace without this override
/// (`--ipc=container:NAME`, pods).
///
/// **In the profiles.**
///
/// - privileged: Whichever namespaces the configuration names, or omits.
/// - baseline: The standard's "host namespaces".
/// - hardened: It gives access to the host's shared memory and queues, which may contain the keys
///   of databases.
pub(crate) const IPC: Control = Control {
    id: ControlId::HostIpc,
    name: "namespaces.host-ipc",
    allow: &["namespaces.host-ipc"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "the container does not reach the host's shared memory and queues",
};

/// **What.** A container that would share the host's uts namespace is refused, whether its
/// configuration omits the namespace or joins it by a path whose inode is the host's. casemate
/// checks the path again when it opens it. "The host" is the namespace in which casemate itself
/// runs. casemate does not create a namespace instead, because only the caller knows which one was
/// meant.
///
/// **Why.** With CAP_SYS_ADMIN, a container can rename the host, and with it everything that uses
/// its name, such as log lines and leases. Without that capability, it learns the name.
///
/// **What breaks.** `--uts=host`, and `--network=host`, with which engines share it too.
///
/// **Override.**
///
/// - `namespaces.host-uts`: the host's uts namespace
///
/// **In the profiles.**
///
/// - privileged: Whichever namespaces the configuration names, or omits.
/// - baseline: Not in the standard's list, but only useful to a container that wants to look like
///   the host.
/// - hardened: It gives access to the host's name, which some software trusts.
pub(crate) const UTS: Control = Control {
    id: ControlId::HostUts,
    name: "namespaces.host-uts",
    allow: &["namespaces.host-uts"],
    modes: [OFF, ON, ON, ON],
    severity: LOW,
    summary: "the container has a host name of its own",
};

/// **What.** A container without a cgroup namespace of its own gets one.
///
/// **Why.** The paths of the host's cgroups show what else runs there, and escapes through
/// `release_agent` began there (CVE-2022-0492). A namespace of its own takes nothing away from a
/// program.
///
/// **What breaks.** Monitoring agents that look for other containers' cgroups (`--cgroupns=host`).
///
/// **Override.**
///
/// - `namespaces.host-cgroup`: the host's cgroup namespace
///
/// **In the profiles.**
///
/// - privileged: Whichever namespaces the configuration names, or omits.
/// - baseline: Not in the standard's list, but only useful to a container that wants to look like
///   the host.
/// - hardened: Cgroup paths show what else runs on the host. A namespace of its own costs a
///   container nothing, so it gets one.
pub(crate) const CGROUP: Control = Control {
    id: ControlId::HostCgroup,
    name: "namespaces.host-cgroup",
    allow: &["namespaces.host-cgroup"],
    modes: [OFF, ON, ON, ON],
    severity: LOW,
    summary: "the container sees its own cgroup as the root",
};

type Asked = Vec<Namespace>;

pub(crate) fn mount(draft: &mut Draft<'_>, asked: Asked) -> Result<Asked, Refusal> {
    let (rule, pointer) = (ControlId::MountNamespace, "/linux/namespaces");
    if draft.asked.namespace(NamespaceKind::Mount).is_none() {
        let reason = "a container without a mount namespace cannot be confined; add one, \
                      or use the profile privileged";
        return Err(draft.refuse(rule, pointer, reason, None));
    }
    if asked.iter().any(|one| one.kind == NamespaceKind::Mount && one.path.is_some()) {
        let reason = "the mount namespace would be joined: the container's root file system \
                      would become that of every process in it; omit its path, or use the profile privileged";
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
    let reason = "cgroup paths show what else runs on the host";
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
