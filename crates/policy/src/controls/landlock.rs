//! `landlock.layer`: whether the runtime puts a Landlock layer under the read-only flags.

use super::prelude::*;

/// **What.** A Landlock ruleset (landlock(7)) applies to the container and every process that
/// `exec` adds. Files can be written, created, renamed and removed only on mounts that are writable
/// when the container is created (volumes, tmpfs, /dev/shm, /dev/mqueue), in the device nodes of
/// /dev, in terminals, in files of processes in /proc, and in what the standard streams are. Device
/// nodes cannot be created anywhere, and device-specific ioctls work only on the container's own
/// devices. If the container shares its network or pid namespace with others, it cannot connect to
/// their abstract unix sockets or signal their processes. A node's policy can list the TCP ports
/// that may be bound and connected to (`[values]`, `"landlock.tcp-bind" = [8080]`,
/// `"landlock.tcp-connect" = [443, 5432]`; Linux 6.7; other protocols are not limited). Denials for
/// programs in the container go to the kernel's audit log. The control is on in `restricted`, and a
/// node's policy can turn it on in `hardened`. It is off for a container with CAP_SYS_ADMIN,
/// because Landlock would prevent it from mounting.
///
/// **Why.** Read-only flags are set one by one, separately for each mount. This layer states the
/// same once, in another part of the kernel. It also applies where flags do not: to a pipe on a
/// read-only mount, to a file or directory of the host that reached the container as a descriptor
/// and is opened from there (like CVE-2024-21626), and to a host's abstract sockets
/// (CVE-2020-15257).
///
/// **What breaks.** Programs that watch or signal neighbours in a pod that shares its pid
/// namespace. Each process that `exec` adds has its own layer: debuggers among them cannot trace
/// the container's processes, and with a shared pid namespace they cannot signal them either.
/// startContainer hooks run inside the layer.
///
/// **Requirements.** Linux 6.2 (ABI 3); older kernels cannot deny truncation, and `restricted`
/// refuses the container there. Device ioctls are limited since 6.10 (ABI 5), signals and abstract
/// sockets since 6.12 (ABI 6), and denials are audited since 6.15 (ABI 7). On older kernels the
/// decision says what is missing.
///
/// **Override.**
///
/// - `landlock.off`: no Landlock layer
///
/// **In the profiles.**
///
/// - privileged: No Landlock layer, and user namespaces as deep as the kernel permits.
/// - hardened: Off: programs that change the metadata of devices, or use abstract sockets to talk
///   to other containers of a pod, would fail in ways that are hard to diagnose. A node's policy
///   may turn it on.
/// - restricted: There are many read-only flags, each set separately. One layer below them costs
///   little in this profile, where nothing is meant to be written outside of volumes and tmpfs.
pub(crate) const LAYER: Control = Control {
    id: ControlId::Landlock,
    name: "landlock.layer",
    allow: &["landlock.off"],
    modes: [OFF, OFF, OFF, ON],
    severity: LOW,
    summary:
        "a second layer below the read-only flags: only writable mounts and devices can be written",
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
