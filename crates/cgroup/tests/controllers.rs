//! Limits as the kernel enforces them: needs a pure cgroup v2 host with the usual controllers, as root.
//!
//! Ignored by default, because a hybrid host has no controllers in cgroup v2; run in the test machine with `--ignored`.
#![allow(clippy::unwrap_used)]

mod support;

use casemate_cgroup::limits::{Cpu, Cpuset, DeviceRate, Io, Memory};
use casemate_cgroup::{Cgroup, CgroupEvent, Error, EventWatcher, Hierarchy, Limits};
use std::path::Path;
use support::{eventually, unique, Temporary};

const MEBIBYTE: i64 = 1 << 20;

fn limited(name: &str, limits: &Limits) -> Temporary {
    let host = Hierarchy::discover().unwrap();
    limits.validate().unwrap();
    let group = Temporary::with(&host, name, &limits.needed_controllers());
    group.cgroup.apply(limits).unwrap();
    group
}

fn content(group: &Temporary, file: &str) -> String {
    std::fs::read_to_string(group.path.join(file)).unwrap().trim().to_owned()
}

fn memory(limit: i64, swap: Option<i64>) -> Limits {
    Limits { memory: Memory { limit: Some(limit), swap, ..Memory::default() }, ..Limits::default() }
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn every_limit_lands_in_its_file() {
    let limits = Limits {
        memory: Memory {
            limit: Some(64 * MEBIBYTE),
            reservation: Some(8 * MEBIBYTE),
            swap: Some(96 * MEBIBYTE),
            check_before_update: true,
        },
        cpu: Cpu {
            shares: Some(512),
            quota: Some(20_000),
            period: Some(50_000),
            burst: Some(10_000),
            idle: None,
        },
        cpuset: Cpuset { cpus: Some("0".into()), mems: Some("0".into()) },
        pids: Some(17),
        oom_group: Some(true),
        unified: [("memory.high".to_owned(), "50331648".to_owned())].into(),
        ..Limits::default()
    };
    let group = limited("files", &limits);
    for (file, expected) in [
        ("memory.max", "67108864"),
        ("memory.low", "8388608"),
        ("memory.high", "50331648"),
        ("memory.oom.group", "1"),
        ("cpu.weight", "59"),
        ("cpu.max", "20000 50000"),
        ("cpuset.cpus", "0"),
        ("cpuset.mems", "0"),
        ("pids.max", "17"),
    ] {
        assert_eq!(content(&group, file), expected, "{file}");
    }
    if group.path.join("memory.swap.max").exists() {
        assert_eq!(content(&group, "memory.swap.max"), "33554432");
    }
    if group.path.join("cpu.max.burst").exists() {
        assert_eq!(content(&group, "cpu.max.burst"), "10000");
    }
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn an_update_changes_what_it_names_and_can_be_taken_back() {
    let old = Limits { pids: Some(10), ..memory(64 * MEBIBYTE, None) };
    let group = limited("update", &old);
    let merged = old.merge(&memory(-1, None));
    group.cgroup.apply(&merged).unwrap();
    assert_eq!(
        (content(&group, "memory.max"), content(&group, "pids.max")),
        ("max".into(), "10".into())
    );
    group.cgroup.apply(&old).unwrap();
    assert_eq!(content(&group, "memory.max"), "67108864");
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn burst_and_quota_can_both_grow_and_shrink() {
    let cpu = |quota, burst| Limits {
        cpu: Cpu { quota: Some(quota), burst: Some(burst), ..Cpu::default() },
        ..Limits::default()
    };
    let group = limited("burst", &cpu(10_000, 10_000));
    if !group.path.join("cpu.max.burst").exists() {
        return;
    }
    group.cgroup.apply(&cpu(90_000, 80_000)).unwrap();
    assert_eq!(content(&group, "cpu.max.burst"), "80000");
    group.cgroup.apply(&cpu(20_000, 10_000)).unwrap();
    assert_eq!(content(&group, "cpu.max"), "20000 100000");
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn idle_is_set_and_taken_back() {
    let cpu = |idle, shares| Limits {
        cpu: Cpu { idle: Some(idle), shares, ..Cpu::default() },
        ..Limits::default()
    };
    let group = limited("idle", &cpu(1, Some(2048)));
    assert_eq!(content(&group, "cpu.idle"), "1");
    group.cgroup.apply(&cpu(0, Some(2048))).unwrap();
    assert_eq!(
        (content(&group, "cpu.idle"), content(&group, "cpu.weight")),
        ("0".into(), "174".into())
    );
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn the_task_limit_holds() {
    let group = limited("pids", &Limits { pids: Some(2), ..Limits::default() });
    let code = group.shell("sleep 5 & sleep 5 & sleep 5 & exit 0");
    assert_ne!(code, 0);
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn running_out_of_memory_is_counted_and_reported() {
    let limits = Limits { oom_group: Some(true), ..memory(16 * MEBIBYTE, Some(16 * MEBIBYTE)) };
    let group = limited("oom", &limits);
    let mut watcher = EventWatcher::new(Cgroup::open(&group.path).unwrap()).unwrap();
    let mut child = group.start("tail /dev/zero");
    assert!(!child.wait().unwrap().success());
    assert!(group.cgroup.oom_kill_count().unwrap() >= 1);
    let mut news = Vec::new();
    eventually("kill and end are reported", || {
        news.extend(watcher.read().unwrap());
        news.contains(&CgroupEvent::Empty)
    });
    assert!(matches!(news[0], CgroupEvent::OomKill { total } if total >= 1), "{news:?}");
    let stats = group.cgroup.stats().unwrap();
    assert_eq!(stats.memory.usage.limit, 16 << 20);
    assert!(stats.memory.usage.failcnt > 0);
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn a_limit_below_the_usage_is_refused_when_asked_to_check() {
    let group = limited("check", &memory(256 * MEBIBYTE, None));
    let mut child = group.start("head -c 60000000 /dev/zero | tail -c 50000000 | sleep 600");
    let used = || group.cgroup.stats().unwrap().memory.usage.usage;
    eventually("memory is used", || used() > 4 << 20);
    let mut small = memory(MEBIBYTE, None);
    small.memory.check_before_update = true;
    let error = group.cgroup.apply(&small).unwrap_err();
    assert!(matches!(error, Error::BadLimit { .. }), "{error}");
    assert!(error.to_string().contains("rejecting memory limit"), "{error}");
    assert!(error.to_string().contains("below the current usage"), "{error}");
    small.memory.swap = Some(2 << 20);
    let error = group.cgroup.apply(&small).unwrap_err();
    assert!(error.to_string().contains("rejecting memory+swap limit"), "{error}");
    group.cgroup.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn io_limits_are_set_per_device_and_taken_back() {
    let Some((major, minor)) = block_device() else { return };
    let io = |rate| Limits {
        io: Io {
            weight: Some(500),
            read_bps: vec![DeviceRate { major, minor, rate }],
            write_iops: vec![DeviceRate { major, minor, rate }],
            ..Io::default()
        },
        ..Limits::default()
    };
    let group = limited("io", &io(1_048_576));
    let line = content(&group, "io.max");
    assert!(line.starts_with(&format!("{major}:{minor} ")), "{line}");
    assert!(line.contains("rbps=1048576") && line.contains("wiops=1048576"), "{line}");
    let weight =
        if group.path.join("io.bfq.weight").exists() { "io.bfq.weight" } else { "io.weight" };
    let expected = if weight == "io.weight" { "default 4950" } else { "default 500" };
    assert_eq!(content(&group, weight), expected);
    group.cgroup.apply(&io(0)).unwrap();
    assert_eq!(content(&group, "io.max"), "");
}

/// A whole disk of this machine.
fn block_device() -> Option<(u32, u32)> {
    let disks = std::fs::read_dir("/sys/block").ok()?;
    disks.flatten().find_map(|disk| {
        let name = disk.file_name().to_string_lossy().into_owned();
        if !["ubd", "vd", "sd", "nvme"].iter().any(|prefix| name.starts_with(prefix)) {
            return None;
        }
        let number = std::fs::read_to_string(disk.path().join("dev")).ok()?;
        let (major, minor) = number.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    })
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn a_parent_with_processes_cannot_hand_controllers_down_and_says_so() {
    let host = Hierarchy::discover().unwrap();
    let parent = Temporary::new(&host, "inner");
    let mut child = parent.start("exec sleep 600");
    let limits = memory(64 * MEBIBYTE, None);
    let inner = parent.inner.join("container");
    let error = Cgroup::create(&host, &inner, &limits.needed_controllers()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("resources.memory needs the cgroup v2 controller memory"), "{text}");
    assert!(text.contains("has processes of its own"), "{text}");
    assert!(!parent.path.join("container").exists());
    parent.cgroup.kill_all().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn a_threaded_parent_is_named_as_the_cause() {
    let host = Hierarchy::discover().unwrap();
    let parent = Temporary::new(&host, "threaded");
    std::fs::create_dir(parent.path.join("sibling")).unwrap();
    std::fs::write(parent.path.join("sibling/cgroup.type"), "threaded").unwrap();
    let limits = memory(64 * MEBIBYTE, None);
    let inner = parent.inner.join("container");
    let error = Cgroup::create(&host, &inner, &limits.needed_controllers()).unwrap_err();
    assert!(matches!(error, Error::WrongType { .. }), "{error}");
    assert!(error.to_string().contains("domain invalid"), "{error}");
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn beside_processes_a_cgroup_becomes_threaded_and_holds_what_it_can() {
    let host = Hierarchy::discover().unwrap();
    let parent = Temporary::new(&host, "beside");
    let mut beside = parent.start("sleep 600");
    let pids = Limits { pids: Some(3), ..Limits::default() };
    let inner = parent.inner.join("container");
    let cgroup = Cgroup::create(&host, &inner, &pids.needed_controllers()).unwrap();
    cgroup.apply(&pids).unwrap();
    assert_eq!(std::fs::read_to_string(cgroup.path().join("cgroup.type")).unwrap(), "threaded\n");
    let mut child = std::process::Command::new("sleep").arg("600").spawn().unwrap();
    std::fs::write(cgroup.path().join("cgroup.procs"), child.id().to_string()).unwrap();
    assert_eq!(cgroup.procs(false).unwrap(), [child.id() as i32]);
    cgroup.kill_all().unwrap();
    child.wait().unwrap();
    beside.kill().unwrap();
    beside.wait().unwrap();
    cgroup.remove().unwrap();
}

#[test]
#[ignore = "needs all cgroup v2 controllers: integration/cgroup/crate.sh runs it"]
fn a_deep_path_gets_the_controllers_of_every_ancestor() {
    let host = Hierarchy::discover().unwrap();
    let top = unique("deep");
    let limits = Limits { pids: Some(5), ..memory(64 * MEBIBYTE, None) };
    let inner = Path::new("/").join(&top).join("a/b/c");
    let cgroup = Cgroup::create(&host, &inner, &limits.needed_controllers()).unwrap();
    cgroup.apply(&limits).unwrap();
    let above =
        std::fs::read_to_string(host.mount_point().join(&top).join("a/cgroup.subtree_control"));
    assert_eq!(above.unwrap().trim(), "memory pids");
    casemate_cgroup::remove_tree(&host.mount_point().join(top)).unwrap();
}
