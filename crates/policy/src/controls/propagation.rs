//! `mounts.shared-propagation`: of the root and of each mount.

use super::prelude::*;
use crate::spec::{Mount, Propagation};

/// **What.** `shared` and `rshared`, for the root or for a mount, become `slave` and `rslave`.
///
/// **Why.** Otherwise a mount made in the container would appear on the host.
///
/// **What breaks.** Storage drivers and node agents that mount volumes for others. Mounts made on
/// the host still appear in the container; in a container with ids of its own (`userns.auto`),
/// their files belong to nobody.
///
/// **Override.**
///
/// - `mounts.shared`: propagation of mounts to the host
///
/// **In the profiles.**
///
/// - privileged: Mount propagation as the configuration asks, including back to the host.
/// - baseline: Storage drivers in containers need it.
/// - hardened: Mounts made in the container must not appear on the host; "shared" becomes "slave",
///   so mounts made on the host still appear in the container.
pub(crate) const SHARED: Control = Control {
    id: ControlId::SharedPropagation,
    name: "mounts.shared-propagation",
    allow: &["mounts.shared"],
    modes: [OFF, WARN, ON, ON],
    severity: HIGH,
    summary: "mounts made in the container do not appear on the host",
};

const REASON: &str = "mounts made in the container must not appear on the host";

pub(crate) fn of_root(
    draft: &mut Draft<'_>,
    asked: Option<Propagation>,
) -> Result<Option<Propagation>, Refusal> {
    let tightened = match asked {
        Some(Propagation::Shared) => Some(Propagation::Slave),
        Some(Propagation::Rshared) => Some(Propagation::Rslave),
        Some(
            Propagation::Slave
            | Propagation::Rslave
            | Propagation::Private
            | Propagation::Rprivate
            | Propagation::Unbindable
            | Propagation::Runbindable,
        )
        | None => return Ok(asked),
    };
    if draft.allows("mounts.shared").is_some() {
        return Ok(asked);
    }
    let (control, change) = (ControlId::SharedPropagation, values(&asked, &tightened));
    draft.log.change(control, "/linux/rootfsPropagation", Verdict::Tightened, change, REASON);
    Ok(tightened)
}

pub(crate) fn of_mounts(
    draft: &mut Draft<'_>,
    mut asked: Vec<Mount>,
) -> Result<Vec<Mount>, Refusal> {
    let control = ControlId::SharedPropagation;
    if let Some(source) = draft.allows("mounts.shared") {
        draft.log.waive(control, "/mounts", source, "propagation to the host is as asked for");
        return Ok(asked);
    }
    let mut changed = false;
    for (i, mount) in asked.iter_mut().enumerate() {
        for (j, option) in mount.options.iter_mut().enumerate() {
            let tightened = match option.as_str() {
                "shared" => "slave",
                "rshared" => "rslave",
                _ => continue,
            };
            let before = std::mem::replace(option, tightened.to_owned());
            let pointer = format!("/mounts/{i}/options/{j}");
            let change = values(&before, &tightened);
            draft.log.change(control, pointer, Verdict::Tightened, change, REASON);
            changed = true;
        }
    }
    if !changed {
        draft.log.note(control, "/mounts", Verdict::Kept, "nothing propagates to the host");
    }
    Ok(asked)
}
