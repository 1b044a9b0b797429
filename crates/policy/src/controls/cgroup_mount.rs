//! `cgroup.readonly`: the cgroup file system.

use super::prelude::*;
use super::{mounts, userns};
use crate::check::clean;
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::{Mount, NamespaceKind};
use casemate_kernel::mountinfo;

/// **What.** The cgroup file system is read-only, unless three conditions hold: the configuration
/// says `rw`, the container has a new cgroup namespace (systemd in a container), and the kernel
/// prevents the container from changing its own limits. The kernel does so in a user namespace, or
/// if the host mounted cgroup v2 with the option `nsdelegate` (systemd does).
///
/// **Why.** A container must not set its own limits. Without a namespace it could even set those of
/// the whole host (CVE-2022-0492).
///
/// **What breaks.** Programs that manage cgroups of their own and do not ask for it; under
/// `baseline`, also those that ask for it, on a host without `nsdelegate`
/// (`mount -o remount,nsdelegate /sys/fs/cgroup` sets it).
///
/// **Override.**
///
/// - `cgroup.writable`: a writable cgroup file system
///
/// **In the profiles.**
///
/// - privileged: As the configuration asks.
/// - hardened: A container must not set its own limits, and without a cgroup namespace it sees all
///   of the host's. A writable cgroup file system in a namespace of its own (systemd in a
///   container) is a request, not an omission, and is permitted.
pub(crate) const READONLY: Control = Control {
    id: ControlId::CgroupMount,
    name: "cgroup.readonly",
    allow: &["cgroup.writable"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "the cgroup file system is read-only unless asked for otherwise in a cgroup namespace",
};

pub(crate) fn readonly(
    draft: &mut Draft<'_>,
    mut asked: Vec<Mount>,
) -> Result<Vec<Mount>, Refusal> {
    let rule = ControlId::CgroupMount;
    if let Some(source) = draft.allows("cgroup.writable") {
        draft.log.waive(rule, "/mounts", source, "the cgroup file system is as asked for");
        return Ok(asked);
    }
    let own = draft
        .asked
        .namespace(NamespaceKind::Cgroup)
        .is_some_and(|namespace| namespace.path.is_none());
    let own = own && keeps_limits(draft);
    let mut changed = false;
    for (index, mount) in asked.iter_mut().enumerate() {
        let is_cgroup = matches!(mount.kind.as_deref(), Some("cgroup" | "cgroup2"));
        // What cannot be read was refused when the configuration was checked.
        let Ok(flags) = MountPlanFlags::parse(&mount.options) else { continue };
        let read_only = flags.attrs.set & attr::RDONLY != 0;
        let writable = mount.options.iter().any(|option| option == "rw");
        if mount.is_bind() || !is_cgroup || read_only || (writable && own) {
            continue;
        }
        mount.options.push("ro".to_owned());
        changed = true;
        let reason =
            format!("{}: limits are not the container's to set", clean(&mount.destination));
        let pointer = format!("/mounts/{index}/options/-");
        draft.log.change(rule, pointer, Verdict::Tightened, values(&(), &["ro"]), reason);
    }
    if changed {
        mounts::remounts(draft, &mut asked);
    } else {
        let reason = "no cgroup but the container's own can be written";
        draft.log.note(rule, "/mounts", Verdict::Kept, reason);
    }
    Ok(asked)
}

/// Root in a cgroup namespace may write to what that begins with, its limits too, unless it is nobody to the files there, or
/// the hierarchy was mounted so that namespaces are boundaries (cgroup-v2.rst, "nsdelegate").
fn keeps_limits(draft: &Draft<'_>) -> bool {
    if !draft.facts.can_make_user_namespace || userns::is_expected(draft) {
        return true;
    }
    // Nothing was looked at, or it is no table: then nobody knows of the option.
    let Ok(mounts) = mountinfo::parse(&draft.facts.mountinfo) else { return false };
    let mut hierarchies = mounts.iter().filter(|mount| mount.fstype == "cgroup2");
    hierarchies.any(|mount| {
        mount.super_options.split(|byte| *byte == b',').any(|option| option == b"nsdelegate")
    })
}
