//! What the container runs, and as whom.

use super::*;

#[test]
fn a_process_must_be_runnable() {
    assert_refused(&[
        ("/process/args", json!([]), "process.args: args must not be empty"),
        ("/process/cwd", json!("tmp"), "process.cwd: cwd must be an absolute path, not \"tmp\""),
        ("/process/cwd", json!(""), "process.cwd: cwd must be an absolute path, not \"\""),
        ("/process/env/1", json!("SECRET"), "process.env[1]: environment variable has no '='"),
        ("/process/env/1", json!("=x"), "process.env[1]: environment variable has no name"),
        (
            "/process/env/1",
            json!("A\nB=x"),
            "process.env[1]: the name of an environment variable contains a line break",
        ),
        (
            "/process/consoleSize",
            json!({"height": 70000, "width": 1}),
            "process.consoleSize: 70000x1 does not fit a terminal",
        ),
        (
            "/process/oomScoreAdj",
            json!(1001),
            "process.oomScoreAdj: 1001 is not between -1000 and 1000",
        ),
        ("/process/user/umask", json!(512), "process.user.umask: 0o1000 is above 0777"),
        (
            "/process/apparmorProfile",
            json!("a\nb"),
            "process.apparmorProfile: contains a control character",
        ),
        (
            "/process/rlimits/-",
            json!({"type": "RLIMIT_NOFILE", "hard": 1, "soft": 1}),
            "process.rlimits[1].type: the same limit is set twice",
        ),
        (
            "/process/rlimits/0",
            json!({"type": "RLIMIT_NOFILE", "hard": 1, "soft": 2}),
            "process.rlimits[0]: soft limit 2 is above hard limit 1",
        ),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 8}),
            "process.ioPriority.priority: 8 is not between 0 and 7",
        ),
        (
            "/process/execCPUAffinity",
            json!({"initial": "a"}),
            "process.execCPUAffinity.initial: \"a\" is not a list like \"0-3,7\"",
        ),
        (
            "/process/execCPUAffinity",
            json!({"final": "3-1"}),
            "process.execCPUAffinity.final: \"3-1\" is not a list like \"0-3,7\"",
        ),
    ]);
    assert_accepted(&[("/process/env/1", json!("A=x\ny")), ("/process/env/1", json!("A="))]);
}

#[test]
fn a_scheduler_must_fit_its_policy() {
    let scheduler = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    assert_refused(&[
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_ISO"}"#),
            "process.scheduler.policy: SCHED_ISO is not implemented by any kernel",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_OTHER", "nice": 20}"#),
            "process.scheduler.nice: must be between -20 and 19",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_OTHER", "priority": 1}"#),
            "process.scheduler.priority: only SCHED_FIFO and SCHED_RR have one, 1 to 99",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_FIFO"}"#),
            "process.scheduler.priority: SCHED_FIFO and SCHED_RR need 1 to 99",
        ),
        (
            "/process/scheduler",
            scheduler(r#"{"policy": "SCHED_BATCH", "runtime": 1}"#),
            "process.scheduler.policy: runtime, deadline and period need SCHED_DEADLINE",
        ),
    ]);
    assert_accepted(&[
        ("/process/scheduler", scheduler(r#"{"policy": "SCHED_RR", "priority": 99}"#)),
        ("/process/scheduler", scheduler(r#"{"policy": "SCHED_BATCH", "nice": -20}"#)),
    ]);
}

#[test]
fn cve_2024_40635_an_id_that_wraps_is_refused_unless_mapped() {
    let tail = "is above 2147483647 and no mapping of the container has it";
    for id in [2_147_483_648_u32, 4_294_967_295] {
        for field in ["uid", "gid"] {
            let error = changed(&format!("/process/user/{field}"), json!(id)).unwrap_err();
            assert_eq!(error, format!("process.user.{field}: {id} {tail}"));
        }
        let error = changed("/process/user/additionalGids", json!([0, id])).unwrap_err();
        assert_eq!(error, format!("process.user.additionalGids[1]: {id} {tail}"));
    }
    let mut document = full();
    put(&mut document, "/process/user/uid", json!(2_147_483_648_u32));
    parse(&document).unwrap_err();
    let high = json!([{"containerID": 2_147_483_648_u32, "hostID": 100_000, "size": 10}]);
    put(&mut document, "/linux/uidMappings", high);
    parse(&document).unwrap();
}
