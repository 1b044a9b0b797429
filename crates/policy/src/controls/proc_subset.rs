//! `mounts.proc-subset`: of /proc, the processes only.

use super::prelude::*;
use crate::spec::Mount;

/// **What.** Under restricted, /proc is mounted with `subset=pid,hidepid=ptraceable`.
///
/// **Why.** Everything else in /proc belongs to the host: its load, its kernel, its devices. What
/// is absent need not be masked.
///
/// **What breaks.** Programs that read `/proc/meminfo`, `/proc/cpuinfo`, `/proc/sys` or
/// `/proc/mounts`: the Go and Java runtimes have other sources for these numbers, but `free`, `top`
/// and `mount` do not.
///
/// **Override.**
///
/// - `mounts.proc-full`: all of /proc (restricted)
///
/// **In the profiles.**
///
/// - privileged: All of /proc.
/// - hardened: A /proc with only processes breaks every program that asks for the amount of memory
///   or the number of CPUs.
/// - restricted: Programs built for this profile get these numbers from their cgroup.
pub(crate) const SUBSET: Control = Control {
    id: ControlId::ProcSubset,
    name: "mounts.proc-subset",
    allow: &["mounts.proc-full"],
    modes: [OFF, OFF, OFF, ON],
    severity: LOW,
    summary: "/proc shows only processes, and only those of the same user",
};

/// Options of proc(5): no files but those of processes, and those only for who may trace them.
const OPTIONS: [&str; 2] = ["subset=pid", "hidepid=ptraceable"];

pub(crate) fn subset(draft: &mut Draft<'_>, mut asked: Vec<Mount>) -> Result<Vec<Mount>, Refusal> {
    let (rule, pointer) = (ControlId::ProcSubset, "/mounts");
    if let Some(source) = draft.allows("mounts.proc-full") {
        draft.log.waive(rule, pointer, source, "/proc shows all that is not hidden");
        return Ok(asked);
    }
    let mut changed = false;
    let procs = asked.iter_mut().enumerate();
    for (i, mount) in procs.filter(|(_, mount)| mount.kind.as_deref() == Some("proc")) {
        let name = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
        let given: Vec<String> = mount.options.iter().map(|option| name(option)).collect();
        let missing: Vec<&str> =
            OPTIONS.iter().copied().filter(|option| !given.contains(&name(option))).collect();
        if missing.is_empty() {
            continue;
        }
        mount.options.extend(missing.iter().map(|option| (*option).to_owned()));
        let reason = "most programs do not need what /proc shows of the host besides processes";
        let (pointer, change) = (format!("/mounts/{i}/options/-"), values(&(), &missing));
        draft.log.change(rule, pointer, Verdict::Added, change, reason);
        changed = true;
    }
    if !changed {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
    }
    Ok(asked)
}
