//! A process's limits, scores and priorities.

use crate::spec_process::{refused, run};
use casemate_tests::{host, requires, Bundle, Container};
use serde_json::json;

#[test]
fn limits_are_set_soft_and_hard() {
    requires!(root);
    let names = [
        ("RLIMIT_AS", "Max address space"),
        ("RLIMIT_CORE", "Max core file size"),
        ("RLIMIT_CPU", "Max cpu time"),
        ("RLIMIT_DATA", "Max data size"),
        ("RLIMIT_FSIZE", "Max file size"),
        ("RLIMIT_LOCKS", "Max file locks"),
        ("RLIMIT_MEMLOCK", "Max locked memory"),
        ("RLIMIT_MSGQUEUE", "Max msgqueue size"),
        ("RLIMIT_NICE", "Max nice priority"),
        ("RLIMIT_NOFILE", "Max open files"),
        ("RLIMIT_NPROC", "Max processes"),
        ("RLIMIT_RSS", "Max resident set"),
        ("RLIMIT_RTPRIO", "Max realtime priority"),
        ("RLIMIT_RTTIME", "Max realtime timeout"),
        ("RLIMIT_SIGPENDING", "Max pending signals"),
        ("RLIMIT_STACK", "Max stack size"),
    ];
    // Values below every present one, so that lowering needs no privilege. NICE and RTPRIO may be 0 on a host.
    let value = |index: usize, name: &str| match name {
        "RLIMIT_NICE" | "RLIMIT_RTPRIO" => (0, 0),
        "RLIMIT_FSIZE" | "RLIMIT_AS" | "RLIMIT_DATA" | "RLIMIT_STACK" | "RLIMIT_RSS" => {
            (64 << 20, (64 << 20) + index * 4096)
        }
        _ => (100 + index, 200 + index),
    };
    let done = run("cat /proc/self/limits", |c| {
        let list: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(i, (name, _))| {
                let (soft, hard) = value(i, name);
                json!({"type": name, "soft": soft, "hard": hard})
            })
            .collect();
        c["process"]["rlimits"] = json!(list);
    });
    for (index, (name, label)) in names.iter().enumerate() {
        let line = done.stdout.lines().find(|line| line.starts_with(label)).unwrap();
        let numbers: Vec<usize> =
            line[label.len()..].split_whitespace().filter_map(|w| w.parse().ok()).collect();
        let (soft, hard) = value(index, name);
        assert_eq!(numbers[..2], [soft, hard], "{line}");
    }
}

#[test]
fn limits_are_refused_when_unknown_or_listed_twice() {
    requires!(root);
    let limit = |name: &str| json!({"type": name, "soft": 1, "hard": 1});
    let text = refused(|c| c["process"]["rlimits"] = json!([limit("RLIMIT_WISHES")]));
    assert!(text.contains("process.rlimits[0]"), "{text}");
    let text =
        refused(|c| c["process"]["rlimits"] = json!([limit("RLIMIT_CPU"), limit("RLIMIT_CPU")]));
    assert!(text.contains("process.rlimits"), "{text}");
}

#[test]
fn the_oom_score_is_set() {
    requires!(root);
    let done = run("echo score=$(cat /proc/self/oom_score_adj)", |c| {
        c["process"]["oomScoreAdj"] = json!(321)
    });
    assert_eq!(done.value("score"), "321");
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let done = run("echo score=$(cat /proc/self/oom_score_adj)", |_| {});
    assert_eq!(done.value("score"), own.trim());
}

/// The tests themselves may not raise a hard limit or lower a score.
fn may_use_resources() -> bool {
    host::own_capabilities().iter().any(|name| name == "CAP_SYS_RESOURCE")
}

#[test]
fn hard_limits_are_raised_and_scores_lowered_with_the_callers_privilege() {
    requires!(root);
    requires!(may_use_resources(), "needs CAP_SYS_RESOURCE");
    for first in [None, Some(100_000)] {
        let bundle =
            Bundle::sh("echo score=$(cat /proc/self/oom_score_adj); echo hard=$(ulimit -H -n)")
                .edit(|c| {
                    c["process"]["oomScoreAdj"] = json!(-321);
                    c["process"]["rlimits"] =
                        json!([{"type": "RLIMIT_NOFILE", "soft": 5000, "hard": 1_048_576}]);
                });
        let bundle = match first {
            Some(first) => bundle.user_namespace(first),
            None => bundle,
        };
        let mut command = Container::new(bundle).verbatim().run();
        use std::os::unix::process::CommandExt;
        let lower = || {
            let limit = libc::rlimit { rlim_cur: 4096, rlim_max: 4096 };
            // SAFETY: a structure of ours, between fork and exec.
            unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
            Ok(())
        };
        // SAFETY: the closure makes one system call.
        unsafe { command.inner.pre_exec(lower) };
        let done = command.ok();
        assert_eq!((done.value("score"), done.value("hard")), ("-321", "1048576"));
    }
}

#[test]
fn the_scheduler_is_set() {
    requires!(root);
    // Whoever runs the tests may have been nice. Behind the command's name, which may have spaces, nice is field 17.
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let inherited = stat.rsplit(") ").next().unwrap().split(' ').nth(16).unwrap().to_owned();
    let cases = [
        (json!({"policy": "SCHED_BATCH", "nice": 7}), ["3", "0", "7"]),
        (json!({"policy": "SCHED_OTHER", "nice": 3}), ["0", "0", "3"]),
        (json!({"policy": "SCHED_IDLE"}), ["5", "0", &inherited]),
        (json!({"policy": "SCHED_RR", "priority": 9}), ["2", "9", &inherited]),
        (json!({"policy": "SCHED_FIFO", "priority": 4}), ["1", "4", &inherited]),
    ];
    for (scheduler, expected) in cases {
        let real_time = scheduler["priority"].is_number();
        let bundle = Bundle::new()
            .args(&["probe", "facts"])
            .edit(|c| c["process"]["scheduler"] = scheduler.clone());
        let done = Container::new(bundle).verbatim().run().done();
        // A kernel with real-time group scheduling gives a new cgroup no time.
        if real_time && done.stderr.contains("operation not permitted") {
            continue;
        }
        let got = ["policy", "priority", "nice"].map(|key| done.value(key).to_owned());
        assert_eq!(got, expected, "{scheduler}");
    }
    let text = refused(|c| c["process"]["scheduler"] = json!({"policy": "SCHED_FAIR"}));
    assert!(text.contains("process.scheduler.policy"), "{text}");
}

#[test]
fn the_io_priority_is_set() {
    requires!(root);
    for (class, number, level) in
        [("IOPRIO_CLASS_BE", 2, 6), ("IOPRIO_CLASS_IDLE", 3, 0), ("IOPRIO_CLASS_RT", 1, 2)]
    {
        let bundle = Bundle::new().args(&["probe", "facts"]).edit(|c| {
            c["process"]["ioPriority"] = json!({"class": class, "priority": level});
        });
        let done = Container::new(bundle).verbatim().output();
        assert_eq!(done.value("ioprio"), ((number << 13) | level).to_string(), "{class}");
    }
}

#[test]
fn the_memory_policy_is_set_for_init_and_exec() {
    requires!(root);
    let bundle = Bundle::sh("probe facts; sleep 600").edit(|c| {
        c["linux"]["memoryPolicy"] =
            json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]});
    });
    let container = Container::new(bundle).verbatim();
    let mut running = container.run().spawn();
    running.wait_for("nodes=");
    let in_exec = container.exec_command(&[], &["probe", "facts"]).ok();
    for text in [running.stdout(), in_exec.stdout] {
        assert!(
            text.contains(&format!("mempolicy={}", 2 | 1 << 15)) && text.contains("nodes=1"),
            "{text}"
        );
    }
    container.kill("KILL").ok();
    running.done();
    let text = refused(|c| c["linux"]["memoryPolicy"] = json!({"mode": "MPOL_WISH"}));
    assert!(text.contains("linux.memoryPolicy.mode"), "{text}");
}

#[test]
fn a_process_limit_of_zero_is_none_at_create_and_update() {
    requires!(root);
    let controllers = host::cgroup_mount().map(|dir| dir.join("cgroup.controllers"));
    let controllers = controllers.and_then(|file| std::fs::read_to_string(file).ok());
    requires!(
        controllers.is_some_and(|list| list.split_whitespace().any(|name| name == "pids")),
        "needs the pids controller in cgroup v2"
    );
    let container = Container::new(Bundle::sh("sleep 600").edit(|c| {
        c["linux"]["resources"]["pids"] = json!({"limit": 0});
    }))
    .up();
    let limit = || container.exec("cat /sys/fs/cgroup/pids.max").ok().stdout;
    assert_eq!(limit(), "max\n");
    container.verb("update", &["--pids-limit", "100"]).ok();
    assert_eq!(limit(), "100\n");
    container.verb("update", &["--pids-limit", "0"]).ok();
    assert_eq!(limit(), "max\n");
}

#[test]
fn an_unlimited_number_of_tasks_starts_where_the_controller_is_missing() {
    requires!(root);
    for limit in [0, -1] {
        let bundle = Bundle::sh("true").edit(|c| {
            c["linux"]["resources"]["pids"] = json!({"limit": limit});
        });
        // What the host has no controller for could otherwise not be asked of it.
        Container::new(bundle).run().ok();
    }
}

#[test]
fn a_cgroup_in_a_fresh_place_has_all_controllers_that_can_be_had() {
    requires!(root);
    let mount = host::cgroup_mount();
    requires!(mount.is_some(), "needs cgroup v2");
    let mount = mount.unwrap();
    let all = std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap();
    requires!(!all.trim().is_empty(), "needs a controller in cgroup v2");
    let parent = format!("casemate-test-controllers-{}", std::process::id());
    // Without a limit that would need one.
    let container = Container::new(Bundle::sh("sleep 600").edit(|c| {
        c["linux"]["cgroupsPath"] = json!(format!("/{parent}/web"));
        c["linux"]["resources"] = json!({});
    }))
    .verbatim();
    container.create().ok();
    let web = mount.join(&parent).join("web");
    let have = std::fs::read_to_string(web.join("cgroup.controllers")).unwrap();
    container.delete().ok();
    std::fs::remove_dir(mount.join(&parent)).unwrap();
    assert_eq!(have, all);
}
