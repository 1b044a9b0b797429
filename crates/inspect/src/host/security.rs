//! Security modules and filters: seccomp, AppArmor, SELinux, Landlock.

use super::{Check, Host, Status};
use casemate_runtime::caller;

/// From this version on signals and abstract sockets can be kept inside (Linux 6.12).
const LANDLOCK_WHOLE: u32 = 6;

/// The profile that casemate brings.
const PROFILE: &str = "casemate-default";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = vec![seccomp(host)];
    checks.extend(mandatory(host));
    checks.push(landlock());
    checks
}

fn seccomp(host: &Host) -> Check {
    let actions = host.line("/proc/sys/kernel/seccomp/actions_avail");
    let check = match actions {
        Some(actions) => Check::new("security.seccomp", Status::Ok, actions),
        None => Check::new("security.seccomp", Status::Missing, "the kernel has no filters"),
    };
    check.needed_for("the default filter").fix("a kernel with CONFIG_SECCOMP_FILTER")
}

/// One of the two is enough; without either that layer is missing.
fn mandatory(host: &Host) -> Vec<Check> {
    match (caller::apparmor(), caller::selinux()) {
        (Ok(true), _) => vec![apparmor(host)],
        (_, Ok(true)) => vec![selinux(host)],
        (Err(why), _) | (_, Err(why)) => {
            let found = format!("cannot be read: {why:#}: no container will be created");
            vec![Check::new("security.mac", Status::Missing, found)]
        }
        _ => vec![Check::new(
            "security.mac",
            Status::Info,
            "neither AppArmor nor SELinux is on: the other layers have to do",
        )
        .needed_for("a second opinion on every file and signal")
        .hint("add apparmor to the kernel's lsm= parameter (Debian, Ubuntu), or switch SELinux on (Fedora)")],
    }
}

fn apparmor(host: &Host) -> Check {
    let id = "security.apparmor";
    let Some(list) = host.read("/sys/kernel/security/apparmor/profiles") else {
        let check = Check::new(id, Status::Info, "on; the list of profiles is for root only");
        return check.hint("run this as root");
    };
    let loaded = list.lines().any(|line| line.split(" (").next() == Some(PROFILE));
    let parser =
        ["/sbin", "/usr/sbin"].iter().any(|dir| host.exists(format!("{dir}/apparmor_parser")));
    let check = if loaded {
        Check::new(id, Status::Ok, format!("on, {PROFILE} is loaded"))
    } else if parser {
        let found = format!("on; {PROFILE} is loaded when the first container needs it");
        Check::new(id, Status::Ok, found)
    } else {
        Check::new(id, Status::Warning, format!("on, {PROFILE} is not loaded"))
    };
    check
        .needed_for("confining containers that bring no profile")
        .fix("install apparmor_parser (package apparmor)")
}

fn selinux(host: &Host) -> Check {
    let enforcing = host.line("/sys/fs/selinux/enforce").as_deref() == Some("1");
    let check = if enforcing {
        Check::new("security.selinux", Status::Ok, "on, enforcing")
    } else {
        Check::new("security.selinux", Status::Warning, "on, permissive: it only writes a log")
    };
    check.needed_for("labels that keep containers apart").fix("setenforce 1")
}

fn landlock() -> Check {
    let id = "security.landlock";
    let check = match casemate_sys::landlock::abi() {
        0 => Check::new(id, Status::Warning, "the kernel has none, or it is not switched on"),
        abi if abi < LANDLOCK_WHOLE => {
            let found = format!("version {abi}: no scopes for signals and sockets before 6");
            Check::new(id, Status::Info, found).hint("Linux 6.12 or newer")
        }
        abi => Check::new(id, Status::Ok, format!("version {abi}")),
    };
    check
        .needed_for("the profile restricted")
        .fix("add landlock to the kernel's lsm= parameter (CONFIG_LANDLOCK, Linux 5.13)")
}
