//! What had no control: priorities, limits of added processes, ids of the host, files of the cgroup.

use casemate_tests::{requires, Bundle, Container};
use serde_json::{json, Value};
use std::path::PathBuf;

fn refused(pointer: &str, value: Value, allow: &str) {
    let bundle = Bundle::sh("true").edit(|c| {
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        c.pointer_mut(parent).unwrap()[key] = value;
    });
    let text = Container::new(bundle).run().refused();
    assert!(text.contains(&format!("org.casemate.allow/{allow}=true")), "{text}");
}

fn added(container: &Container, more: &Value) -> PathBuf {
    let script = "echo nofile=$(ulimit -n),$(ulimit -Hn); echo core=$(ulimit -c)";
    let mut process = json!({"args": ["sh", "-c", script], "cwd": "/", "env": ["PATH=/bin"],
        "user": {"uid": 0, "gid": 0}});
    process.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let name = format!("process-{}.json", casemate_tests::scratch::number());
    let path = container.bundle.dir().join(name);
    casemate_tests::bundle::write(&path, process.to_string());
    path
}

#[test]
fn a_refusal_tells_every_reason_at_once_and_its_paste_is_enough() {
    requires!(root);
    let device =
        |path: &str, minor| json!({"path": path, "type": "c", "major": 10, "minor": minor});
    let bundle = Bundle::sh("true").without_namespace("network").edit(|c| {
        c["linux"]["devices"] = json!([device("/dev/net/tun", 200), device("/dev/kvm", 232)]);
        for set in ["bounding", "effective", "permitted"] {
            c["process"]["capabilities"][set].as_array_mut().unwrap().push("CAP_NET_ADMIN".into());
        }
    });
    let bundle = bundle.bind(std::path::Path::new("/etc"), "/mnt/etc", &[]).bind(
        std::path::Path::new("/run"),
        "/mnt/run",
        &[],
    );
    let container = Container::new(bundle);
    let names = [
        "devices.tun",
        "devices.kvm",
        "namespaces.host-network",
        "mounts.host-etc",
        "mounts.host-run",
        "capabilities.net_admin",
    ];
    let dir = container.bundle.dir().to_str().unwrap().to_owned();
    let explained = container.command("explain").args(["-b", dir.as_str()]).refused();
    let told = container.run().refused();
    for name in names {
        assert!(told.contains(name), "{name}: {told}");
        assert!(explained.contains(name), "{name}: {explained}");
    }
    for reason in ["device /dev/net/tun", "device /dev/kvm", "bind source /etc", "bind source /run"]
    {
        assert!(explained.contains(reason), "{reason}: {explained}");
    }
    let report = container.command("audit").args([dir.as_str()]).done();
    for reason in ["device /dev/net/tun", "device /dev/kvm", "bind source /etc", "bind source /run"]
    {
        assert!(
            report.stdout.contains(&format!("refused: {reason};")),
            "{reason}: {}",
            report.stdout
        );
    }
    assert!(report.stdout.contains("3 controls refuse it for 5 reasons"), "{}", report.stdout);
    let list = told.split("--allow ").nth(1).unwrap().split(", or").next().unwrap().to_owned();
    container.global(&["--allow", &list]).run().ok();
}

#[test]
fn a_priority_above_the_hosts_own_is_refused_at_create_and_at_exec() {
    requires!(root);
    for scheduler in [
        json!({"policy": "SCHED_FIFO", "priority": 99}),
        json!({"policy": "SCHED_OTHER", "nice": -20}),
        json!({"policy": "SCHED_DEADLINE", "runtime": 1_000_000, "deadline": 9_000_000, "period": 9_000_000}),
    ] {
        refused("/process/scheduler", scheduler, "process.scheduler");
    }
    refused("/process/ioPriority", json!({"class": "IOPRIO_CLASS_RT"}), "process.scheduler");
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let fifo = json!({"scheduler": {"policy": "SCHED_FIFO", "priority": 1}});
    let file = added(&container, &fifo);
    let text = container.exec_command(&["-p", file.to_str().unwrap()], &[]).refused();
    assert!(text.contains("(rule process.scheduler)"), "{text}");
}

#[test]
fn a_process_that_joins_has_the_containers_limits_beside_its_own() {
    requires!(root);
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}]);
    let bundle = Bundle::sh("sleep 600").edit(|c| c["process"]["rlimits"] = limits);
    let container = Container::new(bundle).up();
    for (given, wanted) in [
        (json!([{"type": "RLIMIT_CPU", "soft": 60, "hard": 60}]), "100,200"),
        (json!([{"type": "RLIMIT_NOFILE", "soft": 150, "hard": 900}]), "150,200"),
        (json!([{"type": "RLIMIT_NOFILE", "soft": 50, "hard": 60}]), "50,60"),
    ] {
        let file = added(&container, &json!({"rlimits": given}));
        let done = container.exec_command(&["-p", file.to_str().unwrap()], &[]).ok();
        assert_eq!(done.value("nofile"), wanted);
        assert_ne!(done.value("core"), "unlimited");
    }
}

#[test]
fn a_user_namespace_with_root_of_the_host_in_it_is_refused() {
    requires!(root);
    for host_id in [0, 1000] {
        let text = Container::new(Bundle::sh("true").user_namespace(host_id)).run().refused();
        assert!(text.contains("org.casemate.allow/userns.host=true"), "{text}");
    }
    let container = Container::new(Bundle::sh("id -u").user_namespace(0));
    container.global(&["--allow", "userns.host"]).run().ok();
}

#[test]
fn files_of_the_cgroup_that_are_no_limits_are_refused_at_create_and_at_update() {
    requires!(root);
    let unified = json!({"cgroup.procs": "1"});
    let bundle = Bundle::sh("true").edit(|c| c["linux"]["resources"] = json!({"unified": unified}));
    let text = Container::new(bundle).run().refused();
    // No override lets a configuration move processes, so none is offered.
    assert!(text.contains("(rule cgroup.files)") && !text.contains("any-file"), "{text}");
    let unified = json!({"cpuset.cpus.partition": "root"});
    refused("/linux/resources", json!({"unified": unified}), "cgroup.any-file");
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let resources = container.bundle.dir().join("resources.json");
    let text = json!({"unified": {"cgroup.freeze": "1"}}).to_string();
    casemate_tests::bundle::write(&resources, text);
    let update = container.verb("update", &["--resources", resources.to_str().unwrap()]);
    let text = update.refused();
    assert!(text.contains("(rule cgroup.files)"), "{text}");
}
