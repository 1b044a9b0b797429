//! Control groups: version 2, its controllers, and who may use them.

use super::check::{Check, Status};
use super::files::Host;
use casemate_cgroup::Hierarchy;

/// Without these a limit of that kind cannot be set.
const CONTROLLERS: [(&str, &str); 5] = [
    ("pids", "the task limit that every container gets"),
    ("memory", "memory limits"),
    ("cpu", "processor limits"),
    ("cpuset", "pinning to processors"),
    ("io", "disk limits"),
];

const UNIFIED: &str =
    "boot with systemd.unified_cgroup_hierarchy=1, or unmount what is of version 1";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let hierarchy = match Hierarchy::discover() {
        Ok(hierarchy) => hierarchy,
        Err(error) => {
            let check = Check::new("cgroup.v2", Status::Missing, error.to_string());
            return vec![check.needed_for("every container").fix(UNIFIED)];
        }
    };
    let shown = hierarchy.mount_point().display().to_string();
    let unified = if hierarchy.is_hybrid() {
        let found = format!("{shown}, with version 1 controllers beside it");
        Check::new("cgroup.v2", Status::Warning, found).fix(UNIFIED)
    } else {
        Check::new("cgroup.v2", Status::Ok, shown)
    };
    let mut checks = vec![unified.needed_for("every container")];
    checks.extend(controllers(&hierarchy));
    checks.push(kill(&hierarchy));
    checks.push(systemd(host));
    checks.extend(delegation(host));
    checks
}

fn controllers(hierarchy: &Hierarchy) -> Vec<Check> {
    let present = match hierarchy.controllers() {
        Ok(present) => present,
        Err(error) => {
            return vec![Check::new("cgroup.controllers", Status::Warning, error.to_string())
                .needed_for("limits")]
        }
    };
    let one = |(name, needed_for): (&'static str, &'static str)| {
        let id = format!("cgroup.{name}");
        if present.iter().any(|controller| controller == name) {
            return Check::new(id, Status::Ok, "available").needed_for(needed_for);
        }
        Check::new(id, Status::Warning, "not in the version 2 hierarchy")
            .needed_for(needed_for)
            .fix("remove it from version 1, or enable it in the kernel's configuration")
    };
    CONTROLLERS.into_iter().map(one).collect()
}

/// `cgroup.kill` exists in every cgroup but the root.
fn kill(hierarchy: &Hierarchy) -> Check {
    // What cannot be listed has none to look at, which is said.
    let below = std::fs::read_dir(hierarchy.mount_point()).into_iter().flatten().flatten();
    let found = below.into_iter().find(|entry| entry.path().join("cgroup.procs").exists());
    let present = found.map(|entry| entry.path().join("cgroup.kill").exists());
    let (status, text) = match present {
        Some(true) => (Status::Ok, "available"),
        Some(false) => (Status::Info, "missing (Linux 5.14): freezing and signalling is used"),
        None => (Status::Info, "no cgroup to look at"),
    };
    Check::new("cgroup.kill", status, text)
        .needed_for("killing all of a container at once")
        .hint("Linux 5.14 or newer")
}

fn systemd(host: &Host) -> Check {
    let (status, text) = match host.exists("/run/systemd/system") {
        true => (Status::Ok, "systemd runs this host: use the systemd driver"),
        false => (Status::Info, "no systemd: use the cgroupfs driver"),
    };
    Check::new("cgroup.driver", status, text)
}

/// What systemd hands to the users' own managers (user@.service), which is all that a rootless container can use.
fn delegation(host: &Host) -> Option<Check> {
    let uid = rustix::process::geteuid().as_raw();
    if uid == 0 || !host.is_running() {
        return None;
    }
    let slice =
        format!("/sys/fs/cgroup/user.slice/user-{uid}.slice/user@{uid}.service/cgroup.controllers");
    let check = match host.line(&slice) {
        Some(list) if list.split(' ').any(|name| name == "pids") => {
            Check::new("cgroup.delegation", Status::Ok, list)
        }
        Some(list) => Check::new("cgroup.delegation", Status::Warning, list),
        None => Check::new("cgroup.delegation", Status::Warning, "nothing is delegated to you"),
    };
    let fix =
        "a drop-in for user@.service with Delegate=cpu cpuset io memory pids, then log in again";
    Some(check.needed_for("limits of rootless containers").fix(fix))
}
