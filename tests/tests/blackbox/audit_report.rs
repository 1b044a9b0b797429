//! `audit` and `compare`: what they say about bundles, about containers as the kernel has them, and about others'.

use casemate_tests::bundle::{write, Bundle};
use casemate_tests::cli::Casemate;
use casemate_tests::container::Container;
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, wait};
use serde_json::{json, Value};
use std::process::Command;

/// `audit` of a container.
fn audit(container: &Container, options: &[&str]) -> Value {
    let done =
        container.command("audit").args(options).args(["--format", "json", &container.id]).ok();
    serde_json::from_str(&done.stdout).unwrap()
}

/// `audit` of a bundle, with global options.
fn audit_bundle(bundle: &Bundle, globals: &[&str], options: &[&str]) -> (Value, i32) {
    bundle.save();
    let words = globals.iter().chain(&["audit", "--format", "json"]).chain(options);
    let words = words.map(|word| (*word).to_owned());
    let dir = bundle.dir().display().to_string();
    let answer = Casemate::with(words.chain([dir])).answer();
    let value = serde_json::from_str(&answer.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", answer.stdout, answer.stderr));
    (value, answer.status)
}

fn control<'a>(report: &'a Value, id: &str) -> &'a Value {
    let all = report["controls"].as_array().unwrap();
    all.iter().find(|control| control["id"] == id).unwrap_or_else(|| panic!("no {id}: {report:#}"))
}

fn finding<'a>(report: &'a Value, id: &str) -> Option<&'a Value> {
    report["findings"].as_array().unwrap().iter().find(|finding| finding["control"] == id)
}

#[test]
fn a_bundle_shows_what_was_asked_what_is_in_force_and_who_decided() {
    host::isolate();
    let bundle = Bundle::sh("true").edit(|c| {
        c["process"]["noNewPrivileges"] = json!(false);
        c["root"]["readonly"] = json!(false);
    });
    let (report, status) = audit_bundle(&bundle, &["--allow", "rootfs.writable"], &[]);
    assert_eq!(status, 0);
    assert_eq!(report["profile"], "hardened");
    assert_eq!(report["seen"], "config");
    let nnp = control(&report, "process.no-new-privileges");
    assert_eq!((&nnp["asked"], &nnp["effective"]), (&json!("not set"), &json!("set")));
    assert_eq!(
        (&nnp["status"], &nnp["decidedBy"]),
        (&json!("enforced"), &json!("profile hardened"))
    );
    let root = control(&report, "root.readonly");
    assert_eq!((&root["status"], &root["effective"]), (&json!("overridden"), &json!("writable")));
    assert_eq!(root["decidedBy"], "the command line");
    assert!(finding(&report, "root.readonly").is_some());
}

#[test]
fn every_control_of_the_table_is_in_the_report_once() {
    host::isolate();
    let (report, _) = audit_bundle(&Bundle::sh("true"), &[], &[]);
    let ids: Vec<&str> =
        report["controls"].as_array().unwrap().iter().map(|c| c["id"].as_str().unwrap()).collect();
    for control in casemate_policy::CONTROLS {
        let id = control.id.as_str();
        assert_eq!(ids.iter().filter(|known| **known == id).count(), 1, "{id}");
    }
}

#[test]
fn all_refusals_of_a_bundle_are_reported_at_once() {
    host::isolate();
    let bundle = Bundle::sh("true").without_namespace("pid").without_namespace("ipc");
    let (report, _) = audit_bundle(&bundle, &[], &[]);
    for id in ["namespaces.host-pid", "namespaces.host-ipc"] {
        assert_eq!(control(&report, id)["status"], "refused", "{id}");
    }
    assert!(report["verdict"].as_str().unwrap().contains("not run"), "{}", report["verdict"]);
}

#[test]
fn the_exit_status_follows_the_level_that_was_named() {
    host::isolate();
    let open = Bundle::sh("true").without_namespace("ipc");
    let status =
        |globals: &[&str], level: &str| audit_bundle(&open, globals, &["--fail-on", level]).1;
    let privileged = ["--profile", "privileged"];
    assert_eq!(status(&privileged, "none"), 0);
    assert_eq!(status(&privileged, "high"), 2);
    assert_eq!(status(&privileged, "any"), 2);
    let bundle = Bundle::sh("true").dir().display().to_string();
    assert_eq!(Casemate::with(["audit", "--fail-on", "severe", &bundle]).answer().status, 1);
    assert_eq!(Casemate::with(["audit", "/nonexistent"]).answer().status, 1);
}

#[test]
fn a_running_container_is_reported_as_the_kernel_has_it() {
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let report = audit(&container, &[]);
    assert_eq!(report["seen"], "kernel");
    assert_eq!(report["subject"]["status"], "running");
    assert_eq!(report["subject"]["pid"], container.pid());
    for id in [
        "process.no-new-privileges",
        "capabilities.ceiling",
        "root.readonly",
        "paths.masked",
        "paths.readonly",
        "rlimits.core",
        "namespaces.mount",
        "seccomp.default",
    ] {
        assert_eq!(control(&report, id)["status"], "enforced", "{:#}", control(&report, id));
    }
    let high: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|f| f["level"] == "high").collect();
    assert!(high.is_empty(), "{high:#?}");
}

#[test]
fn a_root_that_was_made_writable_from_outside_is_a_violation() {
    // In a user namespace of its own the kernel would not let anybody do it.
    let container =
        Container::new(Bundle::sh("sleep 600")).global(&["--allow", "userns.host"]).up();
    let pid = container.pid().to_string();
    assert_eq!(control(&audit(&container, &[]), "root.readonly")["status"], "enforced");
    let remount = ["-t", &pid, "-m", "-p", "mount", "-o", "remount,bind,rw", "/"];
    let done = programs::output(Command::new("nsenter").args(remount)).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report = audit(&container, &[]);
    let root = control(&report, "root.readonly");
    assert_eq!((&root["status"], &root["effective"]), (&json!("violated"), &json!("writable")));
    assert_eq!(finding(&report, "root.readonly").unwrap()["level"], "high");
    let done = container.command("audit").args(["--fail-on", "high", &container.id]).done();
    assert_eq!(done.status.code(), Some(2));
}

#[test]
fn a_process_that_came_in_by_another_way_with_more_privilege_is_found() {
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let cgroup = container.record()["cgroup"]["path"].as_str().unwrap().to_owned();
    let script = format!("echo $$ > {cgroup}/cgroup.procs; exec sleep 600");
    let mut intruder = programs::start(Command::new("sh").args(["-c", &script])).unwrap();
    let found = wait::until("the intruder is found", || {
        let report = audit(&container, &[]);
        finding(&report, "process.peers").cloned().ok_or_else(|| format!("{report:#}"))
    });
    intruder.kill().unwrap();
    intruder.wait().unwrap();
    let message = found["message"].as_str().unwrap();
    assert!(message.contains(&format!("process {}", intruder.id())), "{message}");
    assert_eq!(found["level"], "high");
}

#[test]
fn a_container_that_waits_or_has_ended_can_be_looked_at() {
    let container = Container::new(Bundle::sh("true"));
    container.create().ok();
    let report = audit(&container, &[]);
    assert_eq!(report["subject"]["status"], "created");
    assert_eq!(control(&report, "seccomp.default")["status"], "enforced");
    container.start().ok();
    container.wait_status("stopped");
    let report = audit(&container, &[]);
    assert_eq!(
        (&report["subject"]["status"], &report["seen"]),
        (&json!("stopped"), &json!("config"))
    );
}

#[test]
fn a_damaged_record_is_told_and_is_no_clean_one() {
    let container = Container::new(Bundle::sh("sleep 600")).up();
    assert!(finding(&audit(&container, &[]), "record.posture").is_none());
    for (file, id) in [("posture.json", "record.posture"), ("decisions.json", "record.decisions")] {
        std::fs::write(container.state_dir().join(file), "{").unwrap();
        let report = audit(&container, &[]);
        let found = finding(&report, id).unwrap();
        assert_eq!((&found["level"], &report["worst"]), (&json!("high"), &json!("high")));
        let message = found["message"].as_str().unwrap();
        assert!(message.starts_with(&format!("cannot be read: {file}: ")), "{message}");
    }
    // Not known is not the same as never compared.
    assert!(finding(&audit(&container, &[]), "floor").is_none());
    let done = container.command("audit").args(["--fail-on", "high", &container.id]).done();
    assert_eq!(done.status.code(), Some(2));
}

#[test]
fn a_process_of_nobodys_container_is_judged_by_what_it_has() {
    let own = std::process::id().to_string();
    let answer = Casemate::with(["audit", "--format", "json", "--pid", &own]).answer();
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    assert_eq!(report["subject"]["kind"], "process");
    assert!(report.get("profile").is_none());
    assert_eq!(control(&report, "root.readonly")["status"], "off");
    assert_eq!(Casemate::with(["audit", "--pid", "999999999"]).answer().status, 1);
}

#[test]
fn standards_are_answered_item_by_item() {
    host::isolate();
    let bundle = Bundle::sh("true");
    let (report, _) = audit_bundle(&bundle, &[], &["--standard", "cis", "--standard", "pss"]);
    let standards = report["standards"].as_array().unwrap();
    assert_eq!(standards.len(), 2);
    let items = standards[0]["items"].as_array().unwrap();
    assert_eq!(items.len(), 32);
    let answer = |id: &str| items.iter().find(|item| item["id"] == id).unwrap()["answer"].clone();
    assert_eq!(answer("5.26"), "enforced");
    assert_eq!(answer("5.8"), "not-a-runtimes");
    assert_eq!(answer("5.11"), "not-met");
    let limited = Bundle::sh("true").edit(|c| {
        c["linux"]["resources"]["memory"] = json!({"limit": 1 << 26});
    });
    let (report, _) = audit_bundle(&limited, &[], &["--standard", "cis"]);
    let items = report["standards"][0]["items"].as_array().unwrap();
    let memory = items.iter().find(|item| item["id"] == "5.11").unwrap();
    assert_eq!(memory["answer"], "by-request");
    // Nothing is held against a container that its host's kernel does not have.
    for (id, file) in
        [("5.2", "/sys/kernel/security/apparmor/profiles"), ("5.3", "/sys/fs/selinux/enforce")]
    {
        if !std::path::Path::new(file).exists() {
            let item = items.iter().find(|item| item["id"] == id).unwrap();
            assert_eq!(item["answer"], "not-a-runtimes", "{item}");
        }
    }
    let answer = Casemate::with(["audit", "--standard", "iso"]).answer();
    assert!(answer.stderr.contains("unknown standard"), "{}", answer.stderr);
}

#[test]
fn text_of_a_hostile_bundle_does_not_reach_the_terminal() {
    let bundle = Bundle::sh("true").edit(|c| {
        let evil = "/x\u{1b}[2J";
        c["mounts"].as_array_mut().unwrap().push(json!({
            "destination": evil, "type": "bind", "source": "/tmp", "options": ["rbind", "rshared"],
        }));
    });
    host::isolate();
    bundle.save();
    let dir = bundle.dir().display().to_string();
    let answer = Casemate::with(["--profile", "privileged", "audit", &dir]).answer();
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(!answer.stdout.contains('\u{1b}'), "{}", answer.stdout);
}

/// A state directory as runc, or crun, keeps it, of a bundle whose process is `pid`.
fn foreign(file: &str, bundle: &Bundle, pid: u32) -> Dir {
    let root = Dir::new("foreign");
    let dir = root.path().join("0123456789abcdef");
    std::fs::create_dir(&dir).unwrap();
    let path = bundle.dir().display().to_string();
    let state = match file {
        "status" => json!({"pid": pid, "bundle": path, "rootfs": format!("{path}/rootfs")}),
        _ => json!({"id": "0123456789abcdef", "init_process_pid": pid,
                    "config": {"labels": [format!("bundle={path}")]}}),
    };
    write(&dir.join(file), state.to_string());
    root
}

#[test]
fn containers_of_runc_and_crun_are_compared_with_what_would_be_made_of_them() {
    host::isolate();
    let bundle = Bundle::sh("sleep 600").edit(|c| c["root"]["readonly"] = json!(false));
    bundle.save();
    for (file, runtime) in [("state.json", "runc"), ("status", "crun")] {
        let root = foreign(file, &bundle, std::process::id());
        let root = root.path().display().to_string();
        let words = ["compare", "--format", "json", "--runtime-root", &root, "01234567"];
        let answer = Casemate::with(words).answer();
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        let found: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(found["subject"]["runtime"], runtime);
        assert_eq!(found["subject"]["id"], "0123456789abcdef");
        let rows = found["rows"].as_array().unwrap();
        let root = rows.iter().find(|row| row["control"] == "root.readonly").unwrap();
        assert_eq!(root["change"], "tighter");
        assert_eq!((&root["now"], &root["then"]), (&json!("writable"), &json!("read-only")));
        assert_eq!(root["allow"][0], "rootfs.writable");
    }
}

#[test]
fn a_second_filter_and_new_writable_places_are_tighter_and_told_how_to_keep() {
    host::isolate();
    let filter = json!({"defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["getppid"], "action": "SCMP_ACT_ERRNO"}]});
    let bundle = Bundle::sh("sleep 600").edit(|c| {
        c["linux"]["seccomp"] = filter;
        c["root"]["readonly"] = json!(false);
    });
    // The same, run by somebody who adds nothing: with the one filter of its configuration.
    let running = Container::new(Bundle::sh("sleep 600").edit(|c| {
        c["linux"]["seccomp"] = bundle.config["linux"]["seccomp"].clone();
    }))
    .verbatim()
    .up();
    bundle.save();
    let root = foreign("status", &bundle, running.pid().try_into().unwrap());
    let root = root.path().display().to_string();
    let words = ["compare", "--format", "json", "--runtime-root", &root, "01234567"];
    let answer = Casemate::with(words).answer();
    let found: Value = serde_json::from_str(&answer.stdout).unwrap();
    let row = |control: &str| {
        let rows = found["rows"].as_array().unwrap();
        rows.iter().find(|row| row["control"] == control).unwrap().clone()
    };
    let filters = row("seccomp.default");
    assert_eq!(filters["change"], "tighter", "{filters}");
    let shown = (&filters["now"], &filters["then"]);
    assert_eq!(shown, (&json!("1 filter"), &json!("2 filters")));
    assert_eq!(filters["allow"], json!(["seccomp.unconfined"]));
    let places = row("root.tmpfs");
    let seen = (&places["change"], &places["allow"]);
    assert_eq!(seen, (&json!("tighter"), &json!(["root.no-tmpfs"])), "{places}");
    // Names that nothing but the node's policy takes are offered nowhere.
    let names = found["rows"].as_array().unwrap().iter().flat_map(|row| row["allow"].as_array());
    assert!(names.flatten().all(|name| !name.as_str().unwrap().contains('*')), "{found}");
}

#[test]
fn a_container_that_no_runtime_has_is_named() {
    let root = Dir::new("foreign");
    let root = root.path().display().to_string();
    let answer = Casemate::with(["compare", "--runtime-root", &root, "nothing"]).answer();
    assert_eq!(answer.status, 1);
    assert!(answer.stderr.contains("no container nothing"), "{}", answer.stderr);
}

#[test]
fn a_report_fits_its_page_and_a_brief_one_leaves_out_what_is_in_order() {
    let bundle = Bundle::sh("true").edit(|c| c["linux"]["resources"] = json!({}));
    bundle.save();
    let dir = bundle.dir().display().to_string();
    let text = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).chain([dir.clone()]);
        let answer = Casemate::with(words).answer();
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        answer.stdout
    };
    let whole = text(&["audit"]);
    assert!(whole.contains("enforced    seccomp.default"), "{whole}");
    // As wide as a terminal that nobody knows the width of.
    let widest = whole.lines().skip(1).map(|line| line.chars().count()).max();
    assert!(widest <= Some(120), "{widest:?}: {whole}");
    let brief = text(&["audit", "--brief", "--standard", "cis"]);
    assert!(brief.contains("memory.limit") && brief.contains("NOT MET"), "{brief}");
    assert!(!brief.contains("seccomp.default") && !brief.contains("enforced "), "{brief}");
    let heading = "The configuration as it would run";
    assert!(text(&["explain", "--bundle"]).contains(heading));
    assert!(!text(&["explain", "--brief", "--bundle"]).contains(heading));
}
