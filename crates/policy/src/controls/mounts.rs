//! `mounts.*`: what mounts may do to the host.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::Draft;
use crate::spec::Propagation;
use serde_json::{json, Value};

/// Rule `mounts.shared-propagation`: of the root and of each mount.
pub(crate) fn shared_propagation(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::SharedPropagation;
    if let Some(source) = draft.allows("mounts.shared") {
        draft.log.waive(rule, "/mounts", source, "propagation to the host is as asked for");
        return Ok(());
    }
    let reason = "mounts made in the container must not appear on the host";
    let mut changed = false;
    let root = &mut draft.spec.linux.rootfs_propagation;
    let tightened = match root {
        Some(Propagation::Shared) => Some(Propagation::Slave),
        Some(Propagation::Rshared) => Some(Propagation::Rslave),
        _ => None,
    };
    if tightened.is_some() {
        let before = std::mem::replace(root, tightened);
        let values = (json!(before), json!(tightened));
        draft.log.change(rule, "/linux/rootfsPropagation", Verdict::Tightened, values, reason);
        changed = true;
    }
    for (i, mount) in draft.spec.mounts.iter_mut().enumerate() {
        for (j, option) in mount.options.iter_mut().enumerate() {
            let tightened = match option.as_str() {
                "shared" => "slave",
                "rshared" => "rslave",
                _ => continue,
            };
            let before = std::mem::replace(option, tightened.to_owned());
            let pointer = format!("/mounts/{i}/options/{j}");
            let values = (json!(before), json!(tightened));
            draft.log.change(rule, pointer, Verdict::Tightened, values, reason);
            changed = true;
        }
    }
    if !changed {
        draft.log.note(rule, "/mounts", Verdict::Kept, "nothing propagates to the host");
    }
    Ok(())
}

/// Options of proc(5): no files but those of processes, and those only for who may trace them.
const SUBSET: [&str; 2] = ["subset=pid", "hidepid=ptraceable"];

/// Rule `mounts.proc-subset`.
pub(crate) fn proc_subset(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let (rule, pointer) = (ControlId::ProcSubset, "/mounts");
    if let Some(source) = draft.allows("mounts.proc-full") {
        draft.log.waive(rule, pointer, source, "/proc shows all that is not hidden");
        return Ok(());
    }
    let mut changed = false;
    let procs = draft.spec.mounts.iter_mut().enumerate();
    for (i, mount) in procs.filter(|(_, mount)| mount.kind.as_deref() == Some("proc")) {
        let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
        let given: Vec<String> = mount.options.iter().map(|option| name(option)).collect();
        let missing: Vec<&str> =
            SUBSET.iter().copied().filter(|option| !given.contains(&name(option))).collect();
        if missing.is_empty() {
            continue;
        }
        mount.options.extend(missing.iter().map(|option| (*option).to_owned()));
        let reason = "what /proc tells of the host beside processes is not needed by most programs";
        let values = (Value::Null, json!(missing));
        draft.log.change(rule, format!("/mounts/{i}/options/-"), Verdict::Added, values, reason);
        changed = true;
    }
    if !changed {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
    }
    Ok(())
}
