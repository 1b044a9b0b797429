//! cgroups as the running kernel makes them: creation, freezing, killing, devices, events, removal.
//!
//! Needs root and any cgroup2 mount; no controller is used, so that a hybrid host will do.
#![allow(clippy::unwrap_used)]

mod support;

use casemate_cgroup::devices::{DeviceAccess, DeviceKind, DeviceRule};
use casemate_cgroup::{Cgroup, CgroupEvent, Controllers, Error, EventWatcher, Limits, Signal};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::time::Duration;
use support::{eventually, hierarchy, unique, Temporary, PATIENCE};

#[test]
fn create_makes_missing_ancestors_and_remove_takes_the_subtree() {
    let Some(host) = hierarchy() else { return };
    let top = unique("nested");
    let inner = Path::new("/").join(&top).join("a/b");
    let cgroup = Cgroup::create(&host, &inner, &Controllers::none()).unwrap();
    assert!(cgroup.path().join("cgroup.procs").exists());
    std::fs::create_dir(cgroup.path().join("made-by-payload")).unwrap();
    let top = Cgroup::open(&host.mount_point().join(&top)).unwrap();
    top.remove().unwrap();
    assert!(!top.path().exists());
    top.remove().unwrap();
}

#[test]
fn an_existing_empty_cgroup_is_taken_over() {
    let Some(host) = hierarchy() else { return };
    let first = Temporary::new(&host, "again");
    let second = Cgroup::create(&host, &first.inner, &Controllers::none()).unwrap();
    assert_eq!(second.path(), first.path);
}

#[test]
fn a_cgroup_with_processes_is_refused_and_left_alone() {
    let Some(host) = hierarchy() else { return };
    let used = Temporary::new(&host, "used");
    let mut child = used.start("exec sleep 600");
    let error = Cgroup::create(&host, &used.inner, &Controllers::none()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("container's cgroup is not empty: 1 process(es) found"), "{text}");
    assert!(child.try_wait().unwrap().is_none());
    used.cgroup.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_cgroup_with_processes_only_below_it_is_refused_and_left_alone() {
    let Some(host) = hierarchy() else { return };
    let above = Temporary::new(&host, "above");
    let below = Cgroup::create(&host, &above.inner.join("a/b"), &Controllers::none()).unwrap();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::write(below.path().join("cgroup.procs"), child.id().to_string()).unwrap();
    let mut needed = Controllers::none();
    needed.need("nonsense", "resources.nonsense.limit");
    // The refusal comes before anything is written, or the controller would be missing first.
    let error = Cgroup::create(&host, &above.inner, &needed).unwrap_err();
    assert!(matches!(error, Error::NotEmpty { processes: 1, .. }), "{error}");
    assert!(child.try_wait().unwrap().is_none());
    above.cgroup.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_cgroup_with_children_is_refused_and_they_stay() {
    let Some(host) = hierarchy() else { return };
    let above = Temporary::new(&host, "parent");
    let below = Cgroup::create(&host, &above.inner.join("child"), &Controllers::none()).unwrap();
    let error = Cgroup::create(&host, &above.inner, &Controllers::none()).unwrap_err();
    assert!(matches!(error, Error::HasChildren { children: 1, .. }), "{error}");
    assert!(below.path().exists());
    // Beside what is there, a new one is welcome: this is how engines have their containers below a parent.
    let beside = Cgroup::create(&host, &above.inner.join("new"), &Controllers::none()).unwrap();
    assert!(!beside.existed());
}

#[test]
fn a_cgroup_that_existed_is_given_back_as_it_was() {
    let Some(host) = hierarchy() else { return };
    let prepared = Temporary::new(&host, "prepared");
    std::fs::write(prepared.path.join("cgroup.max.depth"), "5").unwrap();
    let cgroup = Cgroup::create(&host, &prepared.inner, &Controllers::none()).unwrap();
    assert!(cgroup.existed());
    let before = cgroup.contents().unwrap();
    for (file, value) in [("cgroup.max.depth", "7"), ("cgroup.max.descendants", "9")] {
        std::fs::write(prepared.path.join(file), value).unwrap();
    }
    std::fs::create_dir(prepared.path.join("made-by-payload")).unwrap();
    cgroup.freeze(PATIENCE).unwrap();
    casemate_cgroup::give_back(&prepared.path, &before).unwrap();
    assert_eq!(cgroup.contents().unwrap(), before);
    assert!(!prepared.path.join("made-by-payload").exists());
    assert_eq!(before["cgroup.max.depth"], "5\n");
}

#[test]
fn a_frozen_cgroup_is_refused() {
    let Some(host) = hierarchy() else { return };
    let frozen = Temporary::new(&host, "frozen");
    frozen.cgroup.freeze(PATIENCE).unwrap();
    let error = Cgroup::create(&host, &frozen.inner, &Controllers::none()).unwrap_err();
    assert!(error.to_string().contains("container's cgroup unexpectedly frozen"), "{error}");
}

#[test]
fn a_missing_controller_is_named_and_nothing_is_left_behind() {
    let Some(host) = hierarchy() else { return };
    let mut needed = Controllers::none();
    needed.need("nonsense", "resources.nonsense.limit");
    let top = unique("missing");
    let inner = Path::new("/").join(&top).join("deeper");
    let error = Cgroup::create(&host, &inner, &needed).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::ControllerUnavailable { .. }), "{text}");
    assert!(text.contains("resources.nonsense.limit needs"), "{text}");
    assert!(text.contains("controller nonsense"), "{text}");
    assert!(!host.mount_point().join(top).exists());
}

#[test]
fn wanted_controllers_that_are_missing_are_no_error() {
    let Some(host) = hierarchy() else { return };
    let inner = Path::new("/").join(unique("wanted"));
    let none = Controllers::none();
    let cgroup = Cgroup::create_with(&host, &inner, &none, &["nonsense"]).unwrap();
    cgroup.remove().unwrap();
}

#[test]
fn freezing_stops_and_thawing_resumes() {
    let Some(host) = hierarchy() else { return };
    let busy = Temporary::new(&host, "freeze");
    let mut child = busy.start("while :; do :; done");
    assert!(!busy.cgroup.is_frozen().unwrap());
    busy.cgroup.freeze(PATIENCE).unwrap();
    assert!(busy.cgroup.is_frozen().unwrap());
    let usage = || busy.cgroup.stats().unwrap().cpu.usage.total;
    // Who was frozen a moment ago may still have time to be counted; what runs uses some every time it is looked at.
    let mut stopped_at = usage();
    eventually("no processor time is used any more", || {
        let before = std::mem::replace(&mut stopped_at, usage());
        std::thread::sleep(Duration::from_millis(200));
        before == usage()
    });
    busy.cgroup.thaw(PATIENCE).unwrap();
    assert!(!busy.cgroup.is_frozen().unwrap());
    eventually("processor time is used again", || usage() > stopped_at);
    busy.cgroup.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn kill_all_reaches_descendants_even_when_frozen() {
    let Some(host) = hierarchy() else { return };
    let top = Temporary::new(&host, "kill");
    let mut outer = top.start("sleep 600 & sleep 600");
    let below = Cgroup::create(&host, &top.inner.join("below"), &Controllers::none()).unwrap();
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::write(below.path().join("cgroup.procs"), child.id().to_string()).unwrap();
    eventually("all are there", || top.cgroup.procs(true).unwrap().len() == 4);
    assert_eq!(below.procs(false).unwrap(), [child.id() as i32]);
    top.cgroup.freeze(PATIENCE).unwrap();
    top.cgroup.kill_all().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(outer.wait().unwrap().signal(), Some(9));
    top.cgroup.wait_empty(PATIENCE).unwrap();
    top.cgroup.remove().unwrap();
    assert!(!top.path.exists());
    top.cgroup.kill_all().unwrap();
    top.cgroup.wait_empty(PATIENCE).unwrap();
}

#[test]
fn other_signals_reach_every_process() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "signal");
    let mut children: Vec<_> = (0..3).map(|_| group.start("exec sleep 600")).collect();
    group.cgroup.signal_all(Signal::TERM).unwrap();
    for child in &mut children {
        assert_eq!(child.wait().unwrap().signal(), Some(15));
    }
    assert!(!group.cgroup.is_frozen().unwrap());
}

#[test]
fn signals_reach_more_processes_than_are_held_open_at_a_time() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "many");
    let script = "i=0; while [ $i -lt 150 ]; do sleep 600 & i=$((i + 1)); done; wait";
    let mut shell = group.start(script);
    eventually("all are there", || group.cgroup.procs(true).unwrap().len() > 150);
    group.cgroup.signal_all(Signal::TERM).unwrap();
    assert_eq!(shell.wait().unwrap().signal(), Some(15));
    group.cgroup.wait_empty(PATIENCE).unwrap();
}

#[test]
fn real_time_signals_reach_every_process() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "realtime");
    let mut child = group.start("exec sleep 600");
    group.cgroup.signal_all_raw(0).unwrap();
    assert!(child.try_wait().unwrap().is_none());
    group.cgroup.signal_all_raw(40).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(40));
}

#[test]
fn a_path_below_cannot_climb() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "below");
    std::fs::create_dir(group.path.join("sub")).unwrap();
    let sub = group.cgroup.open_below(Path::new("/sub")).unwrap();
    assert_eq!(sub.path(), group.path.join("sub"));
    assert_eq!(group.cgroup.open_below(Path::new("/")).unwrap().procs(false).unwrap(), []);
    for climbing in ["..", "sub/../..", "/../.."] {
        assert!(group.cgroup.open_below(Path::new(climbing)).is_err(), "{climbing}");
    }
}

#[test]
fn a_cgroup_in_use_cannot_be_removed() {
    let Some(host) = hierarchy() else { return };
    let used = Temporary::new(&host, "busy");
    let mut child = used.start("exec sleep 600");
    let error = used.cgroup.remove().unwrap_err();
    assert!(error.to_string().starts_with("rmdir "), "{error}");
    assert!(used.path.exists());
    used.cgroup.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_emptied_cgroup_is_reported() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "events");
    let mut child = group.start("exec sleep 600");
    let mut watcher = EventWatcher::new(Cgroup::open(&group.path).unwrap()).unwrap();
    assert!(watcher.read().unwrap().is_empty());
    group.cgroup.kill_all().unwrap();
    let fd = watcher.as_fd().try_clone_to_owned().unwrap();
    let mut poll = [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)];
    let limit = rustix::event::Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut poll, Some(&limit)).unwrap(), 1);
    eventually("the end is read", || watcher.read().unwrap() == [CgroupEvent::Empty]);
    child.wait().unwrap();
}

fn rule(allow: bool, major: Option<u32>, minor: Option<u32>, access: &str) -> DeviceRule {
    let access = DeviceAccess::parse(access).unwrap();
    let kind = if major.is_some() { DeviceKind::Char } else { DeviceKind::All };
    DeviceRule { allow, kind, major, minor, access }
}

#[test]
fn device_rules_are_enforced_and_replaced() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "devices");
    let null = rule(true, Some(1), Some(3), "rw");
    let zero = rule(true, Some(1), Some(5), "r");
    group.cgroup.set_devices(&[rule(false, None, None, "rwm"), null, zero]).unwrap();
    assert_eq!(group.shell("exec 3<>/dev/null"), 0);
    assert_eq!(group.shell("exec 3</dev/zero"), 0);
    assert_ne!(group.shell("exec 3>/dev/zero"), 0);
    assert_ne!(group.shell("exec 3</dev/full"), 0);
    group.cgroup.replace_devices(&[null]).unwrap();
    assert_eq!(group.cgroup.device_program_count().unwrap(), 1);
    assert_ne!(group.shell("exec 3</dev/zero"), 0);
    group.cgroup.replace_devices(&[rule(true, None, None, "rwm")]).unwrap();
    assert_eq!(group.shell("exec 3</dev/full"), 0);
}

#[test]
fn a_program_of_many_rules_passes_the_verifier() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "many");
    let access = ["r", "w", "m", "rw", "rwm"];
    let rules: Vec<DeviceRule> = (0..1000u32)
        .map(|n| {
            let access = DeviceAccess::parse(access[n as usize % 5]).unwrap();
            let kind = [DeviceKind::Char, DeviceKind::Block, DeviceKind::All][n as usize % 3];
            let minor = (n % 7 != 0).then_some(n);
            DeviceRule { allow: n % 4 != 0, kind, major: Some(n % 300), minor, access }
        })
        .collect();
    group.cgroup.set_devices(&rules).unwrap();
}

#[test]
fn delegation_gives_only_the_kernels_list_away() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "delegate");
    group.cgroup.delegate(12345).unwrap();
    let owner = |file: &str| std::fs::metadata(group.path.join(file)).unwrap().uid();
    assert_eq!(owner(""), 12345);
    assert_eq!(owner("cgroup.procs"), 12345);
    assert_eq!(owner("cgroup.freeze"), 0);
    assert_eq!(owner("cgroup.max.descendants"), 0);
}

#[test]
fn unified_values_are_written_and_refusals_name_file_and_value() {
    let Some(host) = hierarchy() else { return };
    let group = Temporary::new(&host, "unified");
    let unified = |value: &str| Limits {
        unified: [("cgroup.max.depth".to_owned(), value.to_owned())].into(),
        ..Limits::default()
    };
    group.cgroup.apply(&unified("7")).unwrap();
    let text = std::fs::read_to_string(group.path.join("cgroup.max.depth")).unwrap();
    assert_eq!(text.trim(), "7");
    let error = group.cgroup.apply(&unified("many")).unwrap_err().to_string();
    assert!(error.contains("write \"many\" to") && error.contains("cgroup.max.depth"), "{error}");
}
