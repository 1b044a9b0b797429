//! The kernel's release, the system calls that casemate is built on, and kernel parameters.

use super::check::{Check, Status};
use super::files::Host;
use casemate_runtime::caller::kernel_release;
use rustix::fs::{Mode, OFlags, ResolveFlags};

/// The first release with every call that a container needs (docs/operate/KERNEL-FEATURES.md).
const OLDEST: (u32, u32) = (5, 12);

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = vec![release(), openat2()];
    checks.extend(namespaces(host));
    checks.extend(parameters(host));
    checks
}

fn release() -> Check {
    let text = rustix::system::uname().release().to_string_lossy().into_owned();
    let status = if kernel_release() >= OLDEST { Status::Ok } else { Status::Missing };
    Check::new("kernel.release", status, text)
        .needed_for("every container: mount_setattr, clone3 with CLONE_INTO_CGROUP, openat2")
        .fix("Linux 5.12 or newer")
}

/// Older sandboxes answer it with an error of their own (a container in a container, for instance).
fn openat2() -> Check {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let tried = rustix::fs::openat2(
        rustix::fs::CWD,
        "/proc",
        flags,
        Mode::empty(),
        ResolveFlags::NO_MAGICLINKS,
    );
    let check = match tried {
        Ok(_) => Check::new("kernel.openat2", Status::Ok, "works"),
        Err(error) => Check::new("kernel.openat2", Status::Missing, format!("fails: {error}")),
    };
    check.needed_for("every path of a container").fix("allow it in the sandbox around casemate")
}

fn namespaces(host: &Host) -> Vec<Check> {
    let kinds = ["mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time"];
    let missing: Vec<&str> =
        kinds.into_iter().filter(|kind| !host_has_namespace(host, kind)).collect();
    let namespaces = if missing.is_empty() {
        Check::new("kernel.namespaces", Status::Ok, kinds.join(" "))
    } else {
        let found = format!("the kernel has none of kind {}", missing.join(" "));
        Check::new("kernel.namespaces", Status::Missing, found)
    };
    vec![namespaces.fix("a kernel with CONFIG_NAMESPACES and all its kinds"), user_namespaces(host)]
}

fn host_has_namespace(host: &Host, kind: &str) -> bool {
    !host.is_running() || host.exists(format!("/proc/self/ns/{kind}"))
}

/// How many may be made, and by whom.
fn user_namespaces(host: &Host) -> Check {
    // Files of the kernel's: one that is there has a number.
    let number = |path: &str| host.line(path).and_then(|text| text.parse::<u64>().ok());
    let most = number("/proc/sys/user/max_user_namespaces");
    let by_users = number("/proc/sys/kernel/unprivileged_userns_clone").unwrap_or(1) != 0
        && number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").unwrap_or(0) == 0;
    let check = match most {
        None => {
            Check::new("kernel.user-namespaces", Status::Missing, "none: CONFIG_USER_NS is off")
        }
        Some(0) => Check::new(
            "kernel.user-namespaces",
            Status::Missing,
            "none can be created: user.max_user_namespaces = 0",
        ),
        Some(most) if !by_users => {
            let found = format!("up to {most}, by root only: no rootless containers");
            let check = Check::new("kernel.user-namespaces", Status::Info, found);
            return check.hint(
                "sysctl kernel.unprivileged_userns_clone=1, on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0",
            );
        }
        Some(most) => Check::new("kernel.user-namespaces", Status::Ok, format!("up to {most}")),
    };
    check
        .needed_for("root in a container without privileges on the host")
        .fix("sysctl user.max_user_namespaces=65536")
}

fn parameters(host: &Host) -> Vec<Check> {
    let line = |name: &str| host.line(format!("/proc/sys/{}", name.replace('.', "/")));
    [tiocsti(line), core_pattern(line), ptrace_scope(line), unprivileged_bpf(line)]
        .into_iter()
        .flatten()
        .collect()
}

fn tiocsti(line: impl Fn(&str) -> Option<String>) -> Option<Check> {
    let check = match line("dev.tty.legacy_tiocsti")?.as_str() {
        "0" => Check::new("sysctl.tiocsti", Status::Ok, "dev.tty.legacy_tiocsti = 0"),
        other => Check::new(
            "sysctl.tiocsti",
            Status::Info,
            format!("dev.tty.legacy_tiocsti = {other}: only the filter prevents it"),
        ),
    };
    let check =
        check.needed_for("containers that cannot type into the terminal of a user who attaches");
    Some(check.hint("sysctl dev.tty.legacy_tiocsti=0, if no program of the host needs it"))
}

/// A program there runs as root of the host, on data that a container made.
fn core_pattern(line: impl Fn(&str) -> Option<String>) -> Option<Check> {
    let pattern = line("kernel.core_pattern")?;
    let status = if pattern.starts_with('|') { Status::Info } else { Status::Ok };
    let shown = match status {
        Status::Ok => pattern,
        _ => format!("{pattern}: a program on the host; containers get no core dumps"),
    };
    Some(Check::new("sysctl.core-pattern", status, shown))
}

fn ptrace_scope(line: impl Fn(&str) -> Option<String>) -> Option<Check> {
    let scope = line("kernel.yama.ptrace_scope")?;
    let status = if scope == "0" { Status::Info } else { Status::Ok };
    let found = format!("kernel.yama.ptrace_scope = {scope}");
    let check = Check::new("sysctl.ptrace-scope", status, found);
    let check = check.needed_for("processes of one user that cannot inspect each other");
    Some(check.hint("sysctl kernel.yama.ptrace_scope=1"))
}

fn unprivileged_bpf(line: impl Fn(&str) -> Option<String>) -> Option<Check> {
    let value = line("kernel.unprivileged_bpf_disabled")?;
    let status = if value == "0" { Status::Warning } else { Status::Ok };
    let found = format!("kernel.unprivileged_bpf_disabled = {value}");
    let check = Check::new("sysctl.unprivileged-bpf", status, found);
    Some(
        check
            .needed_for("containers without the filter")
            .fix("sysctl kernel.unprivileged_bpf_disabled=2"),
    )
}
