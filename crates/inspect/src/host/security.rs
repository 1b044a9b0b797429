//! Security modules and filters: seccomp, AppArmor, SELinux, Landlock.

use super::check::{Check, Status};
use super::files::Host;
use casemate_policy::{usual, Usual};
use casemate_runtime::caller;
use std::path::Path;

/// From this version on signals and abstract sockets can be kept inside (Linux 6.12).
const LANDLOCK_WHOLE: u32 = 6;

/// The profile that casemate brings.
const PROFILE: &str = "casemate-default";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = vec![seccomp(host)];
    checks.extend(mandatory(host));
    checks.push(landlock());
    checks.extend(host.is_running().then(program).flatten());
    checks
}

/// The runtime's own program among data, under a second name: a container that is given the directory of that one could write it,
/// and no judgement of that directory can tell. `None`: nothing is to be said.
fn program() -> Option<Check> {
    let id = "security.program";
    let unreadable = |why: String| Some(Check::new(id, Status::Warning, why));
    let path = match casemate_boot::image::on_host() {
        Ok(path) => path,
        Err(error) => return unreadable(error.to_string()),
    };
    match rustix::fs::stat(&path) {
        Ok(found) => names(&path, found.st_nlink),
        Err(error) => {
            unreadable(format!("{}: {}", path.display(), casemate_sys::errno_text(error)))
        }
    }
}

/// `links`: an `st_nlink`, whose width depends on the processor.
fn names(path: &Path, links: impl Into<u64>) -> Option<Check> {
    let links = links.into();
    // In the host's system every file may have several, as OSTree lays it out.
    if links < 2 || usual(&path.to_string_lossy()) == Usual::Host {
        return None;
    }
    let found = format!("{} has {links} names (hard links)", path.display());
    let check = Check::new("security.program", Status::Warning, found);
    Some(check.needed_for("protecting it from containers").fix("install a copy of the program"))
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
            "neither AppArmor nor SELinux is on: only the other layers apply",
        )
        .needed_for("an independent check of every file and signal")
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
        Check::new("security.selinux", Status::Warning, "on, permissive: it only logs")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_among_data_with_a_second_name_is_told() {
        let told = |path: &str, links: u64| names(Path::new(path), links).is_some();
        assert!(told("/opt/casemate/casemate", 2) && told("/home/u/casemate", 3));
        assert!(!told("/opt/casemate/casemate", 1) && !told("/usr/bin/casemate", 2));
    }
}
