//! The systemd driver against a running systemd: the system's (as root) and a user's own.
//!
//! Ignored by default; run in the test machine with `--ignored`. Tests named `user_...` are to be run as an ordinary user with a
//! session bus, the others as root.
#![allow(clippy::unwrap_used)]

mod support;

use casemate_cgroup::devices::{DeviceAccess, DeviceKind, DeviceRule};
use casemate_cgroup::limits::{Cpu, Hugetlb, Memory};
use casemate_cgroup::systemd::{manager_uid, BusAddress, Manager, Scope, ScopeRequest, Value};
use casemate_cgroup::{Cgroup, Controllers, Error, Hierarchy, Limits, SystemdPath};
use std::path::Path;
use std::process::{Child, Command};
use support::{eventually, unique, PATIENCE};

/// A scope with its placeholder, stopped when the test ends.
struct Fixture {
    placeholder: Child,
    scope: Scope,
}

fn request<'a>(path: &'a SystemdPath, placeholder: &Child, limits: &'a Limits) -> ScopeRequest<'a> {
    ScopeRequest {
        manager: if rustix::process::geteuid().is_root() { Manager::System } else { Manager::User },
        path,
        description: "casemate test",
        placeholder: placeholder.id() as i32,
        limits,
        devices: None,
        extra: &[],
    }
}

fn park() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

fn triple(slice: &str, name: &str) -> SystemdPath {
    let user = !rustix::process::geteuid().is_root();
    SystemdPath::parse(Some(&format!("{slice}:casemate:{}", unique(name))), "", user).unwrap()
}

fn start(path: &SystemdPath, limits: &Limits) -> Fixture {
    let placeholder = park();
    let host = Hierarchy::discover().unwrap();
    let scope = Scope::start(&host, &request(path, &placeholder, limits)).unwrap();
    Fixture { placeholder, scope }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.scope.unit.stop().ok();
        self.placeholder.kill().ok();
        self.placeholder.wait().ok();
    }
}

fn show(unit: &str, property: &str) -> String {
    let user = !rustix::process::geteuid().is_root();
    let output = Command::new("systemctl")
        .args(user.then_some("--user"))
        .args(["show", "--value", "-p", property, unit])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn content(cgroup: &Cgroup, file: &str) -> String {
    std::fs::read_to_string(cgroup.path().join(file)).unwrap().trim().to_owned()
}

fn limits() -> Limits {
    Limits {
        memory: Memory { limit: Some(64 << 20), ..Memory::default() },
        cpu: Cpu { shares: Some(512), quota: Some(30_000), ..Cpu::default() },
        pids: Some(30),
        ..Limits::default()
    }
}

/// Put a process into the scope; from outside a user's delegated tree, only systemd can.
fn enter(scope: &Scope, process: &Child) {
    let procs = scope.cgroup.path().join("cgroup.procs");
    match std::fs::write(procs, process.id().to_string()) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            eprintln!("the caller is outside the delegated tree: systemd attaches");
            scope.unit.attach("", &[process.id() as i32]).unwrap();
        }
        other => other.unwrap(),
    }
    assert!(scope.cgroup.procs(false).unwrap().contains(&(process.id() as i32)));
}

/// What the runtime does: processes come and go in the scope, the placeholder ends, the limits hold.
fn scope_works(slice: &str) {
    let path = triple(slice, "works");
    let mut fixture = start(&path, &limits());
    let unit = path.unit();
    let cgroup = &fixture.scope.cgroup;
    assert!(cgroup.path().ends_with(&unit));
    assert_eq!(cgroup.procs(false).unwrap(), [fixture.placeholder.id() as i32]);
    cgroup.apply(&limits()).unwrap();
    assert_eq!(content(cgroup, "memory.max"), "67108864");
    assert_eq!(content(cgroup, "cpu.weight"), "59");
    assert_eq!(content(cgroup, "cpu.max"), "30000 100000");
    assert_eq!(content(cgroup, "pids.max"), "30");
    assert_eq!(show(&unit, "MemoryMax"), "67108864");
    assert_eq!(show(&unit, "Delegate"), "yes");
    assert_eq!(show(&unit, "Slice"), path.slice);
    assert_eq!(show(&unit, "TasksMax"), "30");

    let mut payload = park();
    enter(&fixture.scope, &payload);
    fixture.placeholder.kill().unwrap();
    fixture.placeholder.wait().unwrap();
    assert_eq!(show(&unit, "ActiveState"), "active");

    let update = Limits { pids: Some(40), ..Limits::default() };
    let merged = limits().merge(&update);
    fixture.scope.unit.set_limits(&merged).unwrap();
    cgroup.apply(&merged).unwrap();
    assert_eq!((show(&unit, "TasksMax"), content(cgroup, "pids.max")), ("40".into(), "40".into()));

    cgroup.freeze(PATIENCE).unwrap();
    assert!(cgroup.is_frozen().unwrap());
    cgroup.kill_all().unwrap();
    payload.wait().unwrap();
    fixture.scope.unit.stop().unwrap();
    cgroup.remove().unwrap();
    assert!(!cgroup.path().exists());
    eventually("the unit is forgotten", || show(&unit, "LoadState") == "not-found");
    fixture.scope.unit.stop().unwrap();
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_scope_holds_processes_and_limits() {
    scope_works("machine.slice");
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_scope_goes_below_a_nested_slice() {
    let path = triple("casemate-test.slice", "nested");
    let fixture = start(&path, &Limits::default());
    let parent = fixture.scope.cgroup.path().parent().unwrap().to_owned();
    assert!(parent.ends_with("casemate.slice/casemate-test.slice"), "{}", parent.display());
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_unit_that_is_alive_is_not_taken_over() {
    let path = triple("", "twice");
    let fixture = start(&path, &Limits::default());
    let mut second = park();
    let host = Hierarchy::discover().unwrap();
    let none = Limits::default();
    let error = Scope::start(&host, &request(&path, &second, &none)).unwrap_err();
    assert!(
        matches!(&error, Error::Systemd { name, .. } if name.ends_with("UnitExists")),
        "{error}"
    );
    assert_eq!(fixture.scope.cgroup.procs(false).unwrap().len(), 1);
    second.kill().unwrap();
    second.wait().unwrap();
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_unit_that_has_failed_is_reset_and_made_again() {
    let path = triple("", "failed");
    let mut fixture = start(&path, &Limits::default());
    let unit = path.unit();
    // A scope fails when its processes do not go away by themselves in time.
    let mut stubborn =
        Command::new("sh").args(["-c", "trap '' TERM; while :; do sleep 1; done"]).spawn().unwrap();
    let procs = fixture.scope.cgroup.path().join("cgroup.procs");
    std::fs::write(procs, stubborn.id().to_string()).unwrap();
    let set = Command::new("systemctl").args(["kill", "-s", "KILL", &unit]).status().unwrap();
    assert!(set.success());
    stubborn.wait().unwrap();
    fixture.placeholder.wait().unwrap();
    let left = || show(&unit, "ActiveState");
    eventually("the unit has ended", || left() == "failed" || left() == "inactive");
    let again = start(&path, &Limits::default());
    assert_eq!(show(&unit, "ActiveState"), "active");
    drop(again);
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_scope_takes_devices_and_annotations() {
    let path = triple("", "extra");
    let placeholder = park();
    let null = DeviceRule {
        allow: true,
        kind: DeviceKind::Char,
        major: Some(1),
        minor: Some(3),
        access: DeviceAccess::ALL,
    };
    let pts = DeviceRule { major: Some(136), minor: None, ..null };
    let none = Limits::default();
    let extra = [("TimeoutStopUSec".to_owned(), Value::U64(7_000_000))];
    // Before Rust 1.89 a temporary in a braced expression ends with its statement.
    let devices = [null, pts];
    let request = ScopeRequest {
        devices: Some(&devices),
        extra: &extra,
        ..request(&path, &placeholder, &none)
    };
    let scope = Scope::start(&Hierarchy::discover().unwrap(), &request).unwrap();
    let fixture = Fixture { placeholder, scope };
    let unit = path.unit();
    assert_eq!(show(&unit, "DevicePolicy"), "strict");
    let allowed = show(&unit, "DeviceAllow");
    assert!(allowed.contains("/dev/char/1:3 rwm") && allowed.contains("char-136 rwm"), "{allowed}");
    assert_eq!(show(&unit, "TimeoutStopUSec"), "7s");
    fixture.scope.cgroup.set_devices(&[null]).unwrap();
    fixture.scope.cgroup.replace_devices(&[null, pts]).unwrap();
    // Ours beside systemd's, not in its place.
    assert_eq!(fixture.scope.cgroup.device_program_count().unwrap(), 2);
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_slice_that_exists_is_refused_and_not_stopped() {
    let unit = format!("casemate_kept_{}.slice", std::process::id());
    let path = SystemdPath::parse(Some(&format!("system.slice:x:{unit}")), "", false).unwrap();
    let first = start(&path, &Limits::default());
    let mut placeholder = park();
    let host = Hierarchy::discover().unwrap();
    let again = Scope::start(&host, &request(&path, &placeholder, &limits()));
    let error = again.unwrap_err().to_string();
    assert!(error.contains("UnitExists"), "{error}");
    assert_eq!(show(&unit, "ActiveState"), "active");
    assert_eq!(content(&first.scope.cgroup, "pids.max"), "max");
    placeholder.kill().unwrap();
    placeholder.wait().unwrap();
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_slice_of_a_service_is_refused_and_the_service_goes_on() {
    let name = format!("casemate_services_{}", std::process::id());
    let (slice, service) = (format!("{name}.slice"), format!("{name}.service"));
    let run = ["-q", "--slice", &slice, "--unit", &service, "sleep", "600"];
    assert!(Command::new("systemd-run").args(run).status().unwrap().success());
    let path = SystemdPath::parse(Some(&format!("-.slice::{slice}")), "", false).unwrap();
    let mut placeholder = park();
    let host = Hierarchy::discover().unwrap();
    let outcome = Scope::start(&host, &request(&path, &placeholder, &limits()));
    let states = (show(&service, "ActiveState"), show(&slice, "ActiveState"));
    let tasks = std::fs::read_to_string(host.mount_point().join(&slice).join("pids.max"));
    Command::new("systemctl").args(["stop", &service, &slice]).status().unwrap();
    placeholder.kill().unwrap();
    placeholder.wait().unwrap();
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("UnitExists"), "{error}");
    assert_eq!(states, ("active".to_owned(), "active".to_owned()));
    assert_eq!(tasks.unwrap(), "max\n");
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_slice_can_be_the_unit_itself() {
    let slice = format!("casemate_{}.slice", std::process::id());
    let path = SystemdPath::parse(Some(&format!("system.slice:x:{slice}")), "", false).unwrap();
    let fixture = start(&path, &Limits::default());
    assert!(fixture.scope.cgroup.path().ends_with(&slice));
    assert!(fixture.scope.cgroup.path().exists());
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_failure_leaves_no_unit_behind() {
    let path = triple("", "undone");
    let hugetlb = vec![Hugetlb { page_size: "2MB".into(), limit: 0 }];
    let limits = Limits { hugetlb, ..Limits::default() };
    let host = Hierarchy::discover().unwrap();
    if host.controllers().unwrap().iter().any(|name| name == "hugetlb") {
        return;
    }
    let mut placeholder = park();
    let error = Scope::start(&host, &request(&path, &placeholder, &limits)).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("resources.hugepageLimits needs the cgroup v2 controller hugetlb"),
        "{text}"
    );
    eventually("the unit is gone", || show(&path.unit(), "LoadState") == "not-found");
    // Stopping the scope ended it.
    placeholder.wait().unwrap();
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_manager_is_root_on_the_bus() {
    let bus = BusAddress::of(Manager::System).unwrap();
    assert_eq!(manager_uid(&bus).unwrap(), 0);
}

#[test]
#[ignore = "needs a cgroup v2 host: hack/vm"]
fn system_scopes_can_be_made_and_stopped_over_and_over() {
    let path = triple("", "often");
    for _ in 0..50 {
        let mut fixture = start(&path, &Limits::default());
        fixture.scope.unit.stop().unwrap();
        fixture.placeholder.wait().unwrap();
    }
}

#[test]
#[ignore = "needs a cgroup v2 host and a user session: hack/vm"]
fn user_scope_holds_processes_and_limits() {
    scope_works("user.slice");
}

#[test]
#[ignore = "needs a cgroup v2 host and a user session: hack/vm"]
fn user_scope_is_reached_from_a_user_namespace() {
    let bus = BusAddress::of(Manager::User).unwrap();
    let host_uid = rustix::process::geteuid().as_raw();
    assert_eq!(manager_uid(&bus).unwrap(), host_uid);
    if std::env::var_os("CASEMATE_TEST_INNER").is_some() {
        return;
    }
    // Run this same file's scope test as "root" of a new user namespace, where the uid is not the bus's.
    let me = std::env::current_exe().unwrap();
    let args = ["--ignored", "--exact", "user_scope_from_inside", "--nocapture"];
    let status = Command::new("unshare")
        .arg("-r")
        .arg(me)
        .args(args)
        .env("CASEMATE_TEST_INNER", "1")
        .status();
    assert!(status.unwrap().success());
}

#[test]
#[ignore = "run by user_scope_is_reached_from_a_user_namespace"]
fn user_scope_from_inside() {
    if std::env::var_os("CASEMATE_TEST_INNER").is_none() {
        return;
    }
    let host = Hierarchy::discover().unwrap();
    let path =
        SystemdPath::parse(Some(&format!(":casemate:{}", unique("inside"))), "", true).unwrap();
    let placeholder = park();
    let none = Limits::default();
    let request = ScopeRequest { manager: Manager::User, ..request(&path, &placeholder, &none) };
    let scope = Scope::start(&host, &request).unwrap();
    let fixture = Fixture { placeholder, scope };
    assert!(fixture.scope.cgroup.path().ends_with(path.unit()));
    assert_eq!(fixture.scope.cgroup.procs(false).unwrap().len(), 1);
}

#[test]
#[ignore = "needs a cgroup v2 host and a user session: hack/vm"]
fn user_without_rights_is_told_apart() {
    let host = Hierarchy::discover().unwrap();
    let inner = Path::new("/").join(unique("denied"));
    let error = Cgroup::create(&host, &inner, &Controllers::none()).unwrap_err();
    assert!(error.is_permission(), "{error}");
    assert!(error.to_string().starts_with("mkdir /sys/fs/cgroup/"), "{error}");
}
