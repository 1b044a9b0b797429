//! Tests of the limits' data: what is valid, what is needed, how an update merges.

use super::*;

fn memory(limit: Option<i64>, swap: Option<i64>) -> Limits {
    Limits { memory: Memory { limit, swap, ..Memory::default() }, ..Limits::default() }
}

#[test]
fn no_limits_need_no_controller() {
    assert!(Limits::default().is_empty());
    let zeros = Limits {
        memory: Memory { limit: Some(0), swap: Some(0), ..Memory::default() },
        cpu: Cpu { shares: Some(0), quota: Some(0), period: Some(0), ..Cpu::default() },
        ..Limits::default()
    };
    assert!(zeros.is_empty());
}

#[test]
fn each_limit_names_its_controller() {
    let limits = Limits {
        pids: Some(7),
        oom_group: Some(true),
        unified: [
            ("misc.max".to_owned(), "x 1".to_owned()),
            ("cgroup.max.depth".into(), "3".into()),
        ]
        .into(),
        ..Limits::default()
    };
    let needed = limits.needed_controllers();
    assert_eq!(needed.names().collect::<Vec<_>>(), ["memory", "pids", "misc"]);
}

#[test]
fn an_unlimited_number_of_tasks_needs_no_controller() {
    for unlimited in [0, -1] {
        let limits = Limits { pids: Some(unlimited), ..Limits::default() };
        assert_eq!(limits.needed_controllers().names().count(), 0, "{unlimited}");
    }
}

#[test]
fn swap_without_or_below_the_memory_limit_is_refused() {
    let text = |limits: Limits| limits.validate().unwrap_err().to_string();
    assert!(text(memory(None, Some(100))).contains("unable to set swap limit without memory limit"));
    assert!(
        text(memory(Some(200), Some(100))).contains("memory+swap limit should be >= memory limit")
    );
    assert!(memory(Some(200), Some(-1)).validate().is_ok());
}

#[test]
fn unified_keys_that_are_no_limits_are_refused() {
    for key in ["../x.max", "a/b", "memory", ".max", "cgroup.procs", "cgroup.kill", "memory .max"] {
        let limits =
            Limits { unified: [(key.to_owned(), "1".to_owned())].into(), ..Limits::default() };
        assert!(limits.validate().is_err(), "{key}");
    }
}

#[test]
fn malformed_names_are_refused() {
    let pages = |size: &str| Limits {
        hugetlb: vec![Hugetlb { page_size: size.to_owned(), limit: 0 }],
        ..Limits::default()
    };
    assert!(pages("2MB").validate().is_ok());
    for size in ["", "MB", "2M", "2MB/../x", "2 MB"] {
        assert!(pages(size).validate().is_err(), "{size}");
    }
    let cpus = |list: &str| Limits {
        cpuset: Cpuset { cpus: Some(list.to_owned()), mems: None },
        ..Limits::default()
    };
    assert!(cpus("0-3,7").validate().is_ok());
    assert!(cpus("all").validate().is_err());
    let weight =
        |weight| Limits { io: Io { weight: Some(weight), ..Io::default() }, ..Limits::default() };
    assert!(weight(9).validate().is_err());
    assert!(weight(1000).validate().is_ok());
}

#[test]
fn an_update_keeps_what_it_does_not_name() {
    let old = Limits {
        cpu: Cpu { quota: Some(5000), period: Some(10000), shares: Some(512), ..Cpu::default() },
        pids: Some(7),
        ..memory(Some(100), Some(200))
    };
    let update =
        Limits { cpu: Cpu { quota: Some(-1), ..Cpu::default() }, ..memory(Some(150), Some(0)) };
    let merged = old.merge(&update);
    assert_eq!((merged.cpu.quota, merged.cpu.period), (Some(-1), Some(10000)));
    assert_eq!((merged.memory.limit, merged.memory.swap), (Some(150), Some(200)));
    assert_eq!((merged.cpu.shares, merged.pids), (Some(512), Some(7)));
}

#[test]
fn an_update_to_unlimited_memory_lifts_swap_too() {
    let merged = memory(Some(100), Some(200)).merge(&memory(Some(-1), None));
    assert_eq!((merged.memory.limit, merged.memory.swap), (Some(-1), Some(-1)));
}

#[test]
fn an_update_of_idle_without_shares_resets_the_weight() {
    let old = Limits { cpu: Cpu { shares: Some(512), ..Cpu::default() }, ..Limits::default() };
    let idle = Limits { cpu: Cpu { idle: Some(1), ..Cpu::default() }, ..Limits::default() };
    assert_eq!(old.merge(&idle).cpu, Cpu { idle: Some(1), ..Cpu::default() });
}

#[test]
fn an_update_replaces_device_entries_by_number_and_ignores_huge_pages() {
    let rate = |minor, rate| DeviceRate { major: 8, minor, rate };
    let io = |read_bps| Io { read_bps, ..Io::default() };
    let old = Limits { io: io(vec![rate(0, 1), rate(16, 2)]), ..Limits::default() };
    let update = Limits {
        io: io(vec![rate(16, 3), rate(32, 4)]),
        hugetlb: vec![Hugetlb { page_size: "2MB".into(), limit: 0 }],
        ..Limits::default()
    };
    let merged = old.merge(&update);
    assert_eq!(merged.io.read_bps, [rate(0, 1), rate(16, 3), rate(32, 4)]);
    assert!(merged.hugetlb.is_empty());
    let twice = Limits { io: io(vec![rate(0, 1), rate(0, 1)]), ..Limits::default() };
    let update = Limits { io: io(vec![rate(0, 2)]), ..Limits::default() };
    assert_eq!(twice.merge(&update).io.read_bps, [rate(0, 2)]);
}

#[test]
fn stored_limits_are_read_back_as_they_were() {
    let limits = Limits { pids: Some(3), oom_group: Some(false), ..memory(Some(1), Some(-1)) };
    let text = serde_json::to_string(&limits).unwrap();
    assert_eq!(serde_json::from_str::<Limits>(&text).unwrap(), limits);
    assert_eq!(serde_json::from_str::<Limits>("{}").unwrap(), Limits::default());
}
