//! Kernel parameters, limits, the memory score and the cgroup file system: where a container meets the host's settings.

use casemate_tests::{requires, Bundle, Container};
use serde_json::json;

fn with(key: &str, value: &str, script: &str) -> Container {
    Container::new(Bundle::sh(script).edit(|c| c["linux"]["sysctl"] = json!({key: value})))
}

#[test]
fn cve_2022_0811_no_spelling_reaches_a_parameter_of_the_host() {
    requires!(root);
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    for (key, value) in [
        ("kernel.core_pattern", "|/x"),
        ("kernel/core_pattern", "|/x"),
        ("net/../kernel/core_pattern", "|/x"),
        ("net..kernel.core_pattern", "|/x"),
        ("net/ipv4/../../kernel/core_pattern", "|/x"),
        ("kernel.shm_rmid_forced+kernel.core_pattern", "|/x"),
        ("kernel.shm_rmid_forced=1\nkernel.core_pattern", "|/x"),
        ("net.ipv4.ip_forward", "1\nkernel.core_pattern=|/x"),
        ("kernel.shm_rmid_forced", "1\0"),
    ] {
        let container = with(key, value, "true");
        container.run().refused();
        assert_eq!(container.leftovers(), Vec::<String>::new(), "{key}");
    }
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
}

#[test]
fn restricted_takes_safe_parameters_only() {
    requires!(root);
    let restricted = |key: &str, value: &str, allow: &[&str]| {
        let bundle = Bundle::sh("cat /proc/sys/net/ipv4/tcp_fin_timeout").edit(|c| {
            c["linux"]["sysctl"] = json!({key: value});
            c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
            c["process"]["capabilities"] = json!({});
            c["linux"]["resources"] = json!({"memory": {"limit": 67_108_864}});
        });
        let mut globals = vec!["--profile", "restricted"];
        globals.extend(allow);
        Container::new(bundle).global(&globals)
    };
    let text = restricted("net.ipv4.conf.all.forwarding", "1", &[]).run().refused();
    let wanted = "kernel parameter net.ipv4.conf.all.forwarding (rule sysctls.allowlist); ";
    // On a host without the pids controller that is refused, too.
    assert!(text.contains(wanted) && text.contains("--allow sysctls.any"), "{text}");
    let safe = restricted("net.ipv4.tcp_fin_timeout", "31", &[]).run().done();
    assert!(!safe.stderr.contains("sysctls.allowlist"), "{}", safe.stderr);
    let any =
        restricted("net.ipv4.conf.all.forwarding", "1", &["--allow", "sysctls.any"]).run().done();
    assert!(!any.stderr.contains("sysctls.allowlist"), "{}", any.stderr);
}

#[test]
fn limits_that_the_bundle_does_not_set_are_not_the_engines() {
    requires!(root);
    let script = "echo open=$(ulimit -Sn); echo locked=$(ulimit -Hl)";
    let without = Bundle::sh(script).edit(|c| {
        c["process"].as_object_mut().unwrap().remove("rlimits");
    });
    let done = Container::new(without).run().ok();
    let open: u64 = done.value("open").parse().unwrap();
    assert!(open <= 1024, "{open}");
    assert!(done.value("locked").parse::<u64>().unwrap() <= 8192, "{}", done.value("locked"));
    let own = Bundle::sh(script).edit(|c| {
        c["process"]["rlimits"] = json!([{"type": "RLIMIT_NOFILE", "soft": 77, "hard": 78}]);
    });
    assert_eq!(Container::new(own).run().ok().value("open"), "77");
}

#[test]
fn the_host_may_always_kill_the_container_first() {
    requires!(root);
    let bundle = |score: i32| {
        Bundle::sh("cat /proc/self/oom_score_adj")
            .edit(|c| c["process"]["oomScoreAdj"] = json!(score))
    };
    assert_eq!(Container::new(bundle(-500)).output().stdout, "0\n");
    assert_eq!(Container::new(bundle(321)).output().stdout, "321\n");
}

#[test]
fn the_cgroup_file_system_is_writable_only_in_a_namespace_and_on_request() {
    requires!(root);
    let script = "awk '$5 == \"/sys/fs/cgroup\" { print substr($6, 1, 2) }' /proc/self/mountinfo";
    let cgroup = |options: &[&str]| {
        let bundle = Bundle::sh(script).without_mount("/sys/fs/cgroup");
        bundle.mount(json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": options}))
    };
    assert_eq!(Container::new(cgroup(&["nosuid"])).output().stdout, "ro\n");
    assert_eq!(Container::new(cgroup(&["rw"])).output().stdout, "rw\n");
    let shared = cgroup(&["rw"]).without_namespace("cgroup");
    let shared = Container::new(shared).global(&["--allow", "namespaces.host-cgroup"]);
    assert_eq!(shared.output().stdout, "ro\n");
}
