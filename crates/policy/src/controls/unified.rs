//! `cgroup.files`: which files of the container's cgroup a configuration may write by name.

use super::prelude::*;
use crate::spec::{Pids, Resources};
use std::collections::BTreeMap;

/// **What.** Of `linux.resources.unified`, casemate writes only files of controllers and
/// `cgroup.max.*`. It refuses `cgroup.procs`, `cgroup.type` and similar files,
/// `cpuset.cpus.partition` and `cpuset.cpus.exclusive`.
///
/// **Why.** These files move, freeze or kill processes, or take CPUs away from everybody else.
///
/// **What breaks.** CPU partitions that a configuration creates itself.
///
/// **Override.**
///
/// - `cgroup.any-file`: any file of a controller in `linux.resources.unified`, such as
///   `cpuset.cpus.partition`; every profile refuses files that are not settings (`cgroup.procs`,
///   `cgroup.freeze`)
///
/// **In the profiles.**
///
/// - privileged: As the configuration asks.
/// - hardened: Files of the cgroup that are neither limits nor shares move processes, freeze them,
///   or take CPUs away from others.
pub(crate) const FILES: Control = Control {
    id: ControlId::UnifiedFiles,
    name: "cgroup.files",
    allow: &["cgroup.any-file"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "a configuration can write only those cgroup files that set limits or shares",
};

/// Controllers whose files limit or share (kernel, Documentation/admin-guide/cgroup-v2.rst).
const CONTROLLERS: [&str; 9] =
    ["cpu", "cpuset", "memory", "io", "pids", "hugetlb", "rdma", "misc", "dmem"];

/// Files of the core that limit.
const CORE: [&str; 2] = ["cgroup.max.descendants", "cgroup.max.depth"];

/// A partition takes processors away from everybody else.
const REACHING: [&str; 2] = ["cpuset.cpus.partition", "cpuset.cpus.exclusive"];

pub(crate) fn known(
    draft: &mut Draft<'_>,
    asked: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let (control, pointer) = (ControlId::UnifiedFiles, "/linux/resources/unified");
    // One that nothing lets through before those that an override does.
    let moves = asked.keys().find(|file| file.starts_with("cgroup.") && !limits(file));
    let Some(other) = moves.or_else(|| asked.keys().find(|file| !limits(file))) else {
        draft.log.note(control, pointer, Verdict::Kept, "only files that limit or share");
        return Ok(asked);
    };
    let reason = format!("linux.resources.unified {other}: is neither a limit nor a share");
    if let Some(source) = draft.allows("cgroup.any-file") {
        draft.log.waive(control, pointer, source, reason);
        return Ok(asked);
    }
    // Files of the core that are no limits move, stop or kill processes: they are no resources at all.
    let allow = moves.is_none().then_some("cgroup.any-file");
    Err(draft.refuse(control, pointer, reason, allow))
}

/// Of two limits on one thing, the lower one; what is not above 0 is none.
fn stricter(typed: Option<i64>, written: i64) -> i64 {
    match typed {
        Some(typed) if typed > 0 && (written <= 0 || typed < written) => typed,
        _ => written,
    }
}

/// Moves the limits that have a property of their own there.
pub(crate) fn join(asked: &mut Resources) {
    let number = |text: &str| match text.trim() {
        "max" => Some(-1),
        // What is no number is left for the kernel to refuse.
        text => text.parse::<u64>().ok().map(|value| i64::try_from(value).unwrap_or(i64::MAX)),
    };
    if let Some(limit) = asked.unified.get("memory.max").and_then(|text| number(text)) {
        asked.memory.limit = Some(stricter(asked.memory.limit, limit));
        asked.unified.remove("memory.max");
    }
    if let Some(limit) = asked.unified.get("pids.max").and_then(|text| number(text)) {
        let typed = asked.pids.and_then(|Pids { limit }| limit);
        asked.pids = Some(Pids { limit: Some(stricter(typed, limit)) });
        asked.unified.remove("pids.max");
    }
}

fn limits(file: &str) -> bool {
    let controller = file.split('.').next().unwrap_or_default();
    (CONTROLLERS.contains(&controller) || CORE.contains(&file)) && !REACHING.contains(&file)
}
