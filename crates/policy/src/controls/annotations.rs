//! `annotations.acting`: annotations that runtimes and hooks obey.
//!
//! casemate obeys those that set a property of the container's unit. Others name a file or a program
//! of the host, which crun, runc or a hook would open, write or run; hooks read all annotations.

use super::prelude::*;
use std::collections::BTreeMap;

/// **What.** Of the annotations `org.systemd.property.NAME`, casemate passes KillSignal,
/// TimeoutStopUSec, TimeoutStopSec, Description, After and CollectMode on to systemd. It drops the
/// others, and the record says so. It also drops annotations that name a file or a program of the
/// host: `run.oci.*` of crun (`handler`, `hooks.stdout`, `seccomp.receiver`, ...),
/// `org.criu.config`, `io.containers.trace-syscall`, `io.katacontainers.*`. casemate itself obeys
/// none of them, but hooks, which read a container's annotations and run as root, might.
///
/// **Why.** systemd applies these properties last, so they override limits and device rules:
/// `DevicePolicy=auto` would open every device. podman 4 copies the annotations of an image.
///
/// **What breaks.** Units with custom settings.
///
/// **Override.**
///
/// - `annotations.systemd`: annotations that set any property of the container's systemd unit
/// - `annotations.host-files`: annotations that name files or programs of the host
///
/// **In the profiles.**
///
/// - privileged: As the configuration asks.
/// - hardened: systemd applies properties of the container's unit last, so they would override its
///   limits and device rules.
pub(crate) const ACTING: Control = Control {
    id: ControlId::Annotations,
    name: "annotations.acting",
    allow: &["annotations.systemd", "annotations.host-files"],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary:
        "annotations set only harmless properties of a systemd unit and name no file of the host",
};

/// What runc and crun take as a property of the container's scope.
const SYSTEMD: &str = "org.systemd.property.";

/// Properties that say how the scope ends and is called, and nothing of what its processes may do (systemd.kill(5),
/// systemd.unit(5)). podman writes the first two.
const HARMLESS: [&str; 6] =
    ["KillSignal", "TimeoutStopUSec", "TimeoutStopSec", "Description", "After", "CollectMode"];

/// What crun obeys, and runc and hooks of the containers project: a configuration of criu, a handler
/// that is loaded as a library, files that output is written to, a cgroup.
const OF_THE_HOST: [&str; 6] = [
    "run.oci.",
    "org.criu.config",
    "io.containers.trace-syscall",
    "io.katacontainers.",
    "module.wasm.",
    "com.github.containers.crun.",
];

/// Of these, what casemate has a control or no file for.
const KNOWN: [&str; 2] = ["run.oci.keep_original_groups", "run.oci.mount_context_type"];

/// Takes out what may loosen limits and device rules, and what leads to files of the host.
pub(crate) fn acting(
    draft: &mut Draft<'_>,
    mut asked: BTreeMap<String, String>,
) -> Result<BTreeMap<String, String>, Refusal> {
    let unit = |key: &str| key.strip_prefix(SYSTEMD).is_some_and(|name| !HARMLESS.contains(&name));
    let host =
        |key: &str| OF_THE_HOST.iter().any(|begin| key.starts_with(begin)) && !KNOWN.contains(&key);
    let units = taken(&asked, unit);
    let hosts = taken(&asked, host);
    if units.is_empty() && hosts.is_empty() {
        let reason = "no annotation acts on the host's side";
        draft.log.note(ControlId::Annotations, "/annotations", Verdict::Kept, reason);
        return Ok(asked);
    }
    let reason =
        "a property of the container's unit may loosen what its limits and device rules say";
    take_out(draft, &mut asked, &units, ("annotations.systemd", reason));
    let reason = "it names a file or a program of the host, for another runtime or a hook";
    take_out(draft, &mut asked, &hosts, ("annotations.host-files", reason));
    Ok(asked)
}

fn taken(asked: &BTreeMap<String, String>, acts: impl Fn(&str) -> bool) -> Vec<String> {
    asked.keys().filter(|key| acts(key)).cloned().collect()
}

fn take_out(
    draft: &mut Draft<'_>,
    asked: &mut BTreeMap<String, String>,
    keys: &[String],
    (override_name, reason): (&str, &'static str),
) {
    let (control, pointer) = (ControlId::Annotations, "/annotations");
    if keys.is_empty() {
        return;
    }
    if let Some(source) = draft.allows(override_name) {
        let reason = format!("annotations are kept as they are: {}", keys.join(", "));
        draft.log.waive(control, pointer, source, reason);
        return;
    }
    for key in keys {
        asked.remove(key);
    }
    let keys = keys.to_vec();
    draft.log.change(control, pointer, Verdict::Tightened, values(&keys, &()), reason);
}
