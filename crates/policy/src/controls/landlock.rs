//! `landlock.layer`: whether the runtime puts a Landlock layer under the read-only flags.

use super::prelude::*;

/// **What.** Landlock (landlock(7)) for the container and every process that `exec` adds: files are
/// written, made, renamed and removed only on mounts that are writable when the container is made
/// (volumes, tmpfs, /dev/shm, /dev/mqueue), in the device nodes of /dev, in terminals, in files of
/// processes in /proc, and in what the standard streams are. No device node can be made anywhere,
/// and device-specific ioctls work on the container's own devices only. Where the container shares
/// its network or pid namespace with others, it can neither connect to their abstract unix sockets
/// nor signal their processes. A node's policy can list the TCP ports that may be bound and
/// connected to (`[values]`, `"landlock.tcp-bind" = [8080]`, `"landlock.tcp-connect" = [443,
/// 5432]`; Linux 6.7; other protocols are not limited). Denials of programs in the container go to
/// the kernel's audit log. On in `restricted`; a node's policy can switch it on in `hardened`. Off
/// for a container that was granted CAP_SYS_ADMIN, because Landlock would forbid it to mount.
///
/// **Why.** Read-only flags are set one by one, and each mount has its own. This layer says the
/// same once, in another part of the kernel, and holds where flags do not: for a pipe on a
/// read-only mount, for a file or directory of the host that reached the container as a descriptor
/// and is opened from there (the class of CVE-2024-21626), for a host's abstract sockets
/// (CVE-2020-15257).
///
/// **What breaks.** Programs that watch or signal neighbours of a pod that shares its pid
/// namespace. Processes that `exec` adds are a layer of their own: debuggers among them cannot
/// trace the container's processes, and with a shared pid namespace not signal them either.
/// startContainer hooks run inside the layer.
///
/// **Needs.** Linux 6.2 (ABI 3); before that truncation could not be denied, and `restricted`
/// refuses the container. Device ioctls are limited since 6.10 (ABI 5), signals and abstract
/// sockets since 6.12 (ABI 6), audited since 6.15 (ABI 7); on older kernels the decision says what
/// is missing.
///
/// **Override.**
///
/// - `landlock.off`: no Landlock layer
///
/// **In the profiles.**
///
/// - privileged: No layer of ours, and user namespaces as deep as the kernel lets them.
/// - hardened: Off: programs that change the metadata of devices or talk to other containers of a
///   pod by abstract sockets would fail in ways that are hard to see. A node's policy may switch it
///   on.
/// - restricted: Read-only flags are many and each is set by somebody; one layer below them that
///   says it once costs little here, where nothing is meant to be written outside of volumes and
///   tmpfs.
pub(crate) const LAYER: Control = Control {
    id: ControlId::Landlock,
    name: "landlock.layer",
    allow: &["landlock.off"],
    modes: [OFF, OFF, OFF, ON],
    severity: LOW,
    summary:
        "a second layer under the read-only flags: no writing but to writable mounts and devices",
};

const POINTER: &str = "/process";
const CAP_SYS_ADMIN: u64 = 1 << 21;
/// Before ABI 3 (Linux 6.2) a file can be truncated whatever the rules say: the layer would not keep its promise.
const FIRST_USEFUL: u32 = 3;
/// TCP ports.
const FIRST_WITH_PORTS: u32 = 4;
/// Device ioctls since ABI 5 (Linux 6.10), signals and abstract sockets since ABI 6 (Linux 6.12).
const COMPLETE: u32 = 6;

/// What may be written is found by the runtime when the tree stands; the rule decides only whether.
/// Without effect on a process that may mount: Landlock forbids mounting, and a capability that was granted is meant to
/// be used.
pub(crate) fn layer(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::Landlock;
    if let Some(source) = draft.allows("landlock.off") {
        draft.log.waive(rule, POINTER, source, "no Landlock layer");
        return Ok(());
    }
    if draft.reachable & CAP_SYS_ADMIN != 0 {
        let reason = "CAP_SYS_ADMIN is granted, and Landlock would forbid to mount";
        draft.log.note(rule, POINTER, Verdict::Waived, reason);
        return Ok(());
    }
    let abi = draft.facts.landlock_abi;
    let values = &draft.choice.overrides.values;
    let ports = values.tcp_bind.is_some() || values.tcp_connect.is_some();
    if abi < FIRST_USEFUL || (ports && abi < FIRST_WITH_PORTS) {
        let has = match abi {
            FIRST_USEFUL => {
                "the kernel's Landlock (ABI 3) has no TCP ports; Linux 6.7 has".to_owned()
            }
            0 => "the kernel has no Landlock (boot with lsm=landlock,...)".to_owned(),
            _ => format!("the kernel's Landlock (ABI {abi}) cannot deny truncation; Linux 6.2 can"),
        };
        if draft.profile.fail_closed {
            return Err(draft.refuse(rule, POINTER, has, Some("landlock.off")));
        }
        draft.log.note(rule, POINTER, Verdict::Waived, has);
        return Ok(());
    }
    draft.extras.landlock = true;
    let reason = if abi < COMPLETE {
        "writing only to writable mounts and devices; this kernel cannot limit signals and abstract sockets"
    } else {
        "writing only to writable mounts and devices; no signals and abstract sockets to others"
    };
    let reason = match ports {
        true => format!("{reason}; TCP ports as the node's policy lists them"),
        false => reason.to_owned(),
    };
    draft.log.note(rule, POINTER, Verdict::Added, reason);
    Ok(())
}
