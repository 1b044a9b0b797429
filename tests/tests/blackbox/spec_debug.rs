//! What `--debug` tells: each stage of a command, with its time, and nothing of what may be secret.

use casemate_tests::{requires, Bundle, Container, Done};
use serde_json::{json, Value};

#[test]
fn debug_tells_each_stage_with_its_time_and_none_of_the_containers_secrets() {
    requires!(root);
    let bundle = Bundle::sh("echo not-for-the-log >/dev/null").edit(|c| {
        c["process"]["env"] = json!(["PATH=/bin", "TOKEN=not-for-the-log"]);
        c["annotations"] = json!({"token": "not-for-the-log"});
    });
    let log = bundle.dir().join("log");
    let options = ["--log", log.to_str().unwrap(), "--log-format", "json", "--debug"];
    let container = Container::new(bundle).global(&options);
    container.run().ok();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(!text.contains("not-for-the-log"), "{text}");
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().all(|record| record["at_ms"].is_f64()), "{text}");
    let took = |stage: &str| {
        let mut of_stage = records.iter().filter(|record| record["stage"] == stage);
        let end = of_stage.find_map(|record| record["took_ms"].as_f64());
        end.unwrap_or_else(|| panic!("{stage}: {text}"))
    };
    for stage in ["read", "decide", "plan", "cgroup", "launch", "build", "verify", "start", "wait"]
    {
        assert!(took(&format!("run/{stage}")) <= took("run"), "{stage}: {text}");
    }
    // They are told in their order.
    let at = |text: &str| records.iter().position(|record| record["msg"] == text);
    assert!(at("launch: begin") < at("launch: end"), "{text}");
    assert!(at("launch: end") < at("build: end"), "{text}");
}

fn assert_told(done: &Done, stages: &[&str]) {
    for stage in stages {
        let ended =
            |line: &str| line.contains(&format!(" stage={stage} ")) && line.contains(" took_ms=");
        assert!(done.stderr.lines().any(ended), "{stage}: {}", done.stderr);
    }
}

#[test]
fn debug_tells_the_stages_of_what_is_done_to_a_running_container() {
    requires!(root);
    let container = Container::new(Bundle::sh("exec sleep 1000")).global(&["--debug"]);
    let stages = ["create", "create/read", "create/decide", "create/build", "create/verify"];
    assert_told(&container.create().ok(), &stages);
    assert_told(&container.start().ok(), &["start", "start/gate"]);
    let stages = ["exec", "exec/decide", "exec/plan", "exec/launch", "exec/join", "exec/wait"];
    assert_told(&container.exec("true").ok(), &stages);
    assert_told(&container.kill("KILL").ok(), &["kill"]);
    container.wait_status("stopped");
    assert_told(&container.delete().ok(), &["delete", "delete/remove"]);
}

#[test]
fn a_stage_that_fails_is_the_last_that_ends_before_its_command() {
    requires!(root);
    let bundle = Bundle::sh("true").edit(|c| c["mounts"][0]["type"] = json!("nosuchfs"));
    let container = Container::new(bundle).global(&["--debug"]);
    let done = container.create().done();
    assert_eq!(done.code(), 1);
    let ends: Vec<&str> = done.stderr.lines().filter(|line| line.contains(" took_ms=")).collect();
    let [.., stage, command] = &ends[..] else { panic!("{}", done.stderr) };
    assert!(command.contains(" stage=create ") && !stage.contains(" stage=create "), "{ends:?}");
    assert!(done.stderr.lines().last().unwrap().contains("level=error"), "{}", done.stderr);
}
