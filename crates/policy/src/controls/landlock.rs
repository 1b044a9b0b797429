//! `landlock.layer`: whether the runtime puts a Landlock layer under the read-only flags.

use super::prelude::*;

pub(crate) const LAYER: Control = Control {
    id: ControlId::Landlock,
    name: "landlock.layer",
    allow: &["landlock.off"],
    modes: [OFF, OFF, OFF, ON],
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
