//! `audit` and the floor: what the kernel shows of a container, whatever its record says.

use casemate_tests::bundle::Bundle;
use casemate_tests::container::Container;
use casemate_tests::{programs, requires};
use serde_json::{json, Value};
use std::process::Command;

fn report(container: &Container, format: &str) -> Value {
    let done = container.command("audit").args(["--format", format, &container.id]).ok();
    serde_json::from_str(&done.stdout).unwrap()
}

fn text(container: &Container) -> String {
    container.command("audit").args([&container.id]).ok().stdout
}

fn control<'a>(report: &'a Value, id: &str) -> &'a Value {
    let all = report["controls"].as_array().unwrap();
    all.iter().find(|control| control["id"] == id).unwrap()
}

/// A container whose mounts root of the host can change: in a user namespace they are locked.
fn changeable() -> Container {
    Container::new(sleeping()).global(&["--allow", "userns.host"]).up()
}

/// Root of the host mounts something in the container.
fn mount_inside(container: &Container, words: &[&str]) {
    let pid = container.pid().to_string();
    let nsenter = ["--target", &pid, "--mount", "--pid", "--", "/bin/busybox", "mount"];
    let done = programs::output(Command::new("nsenter").args(nsenter).args(words)).unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn sleeping() -> Bundle {
    Bundle::sh("sleep 600")
}

#[test]
fn a_container_as_it_was_made_is_above_its_floor() {
    requires!(root);
    for profile in ["baseline", "hardened"] {
        let container = Container::new(sleeping()).global(&["--profile", profile]).up();
        let report = report(&container, "json");
        assert_eq!(report["floor"]["violations"], json!([]), "{report:#}");
        assert_eq!(report["floor"]["profile"], profile);
        assert!(report["floor"]["comparedBy"].is_string());
        let text = text(&container);
        assert!(text.contains(&format!("Floor of {profile}\n  nothing below it\n")), "{text}");
    }
    let verbatim = Container::new(sleeping()).verbatim().up();
    assert!(!text(&verbatim).contains("Floor of"));
}

#[test]
fn a_second_procfs_is_seen_by_the_floor_and_by_the_control_of_masks() {
    requires!(root);
    requires!(program "nsenter");
    let container = changeable();
    mount_inside(&container, &["-t", "proc", "proc", "/mnt"]);
    let seen = report(&container, "json");
    let violation = &seen["floor"]["violations"][0];
    assert_eq!(violation["invariant"], "mounts.types", "{seen:#}");
    assert_eq!(violation["what"], "proc is mounted on /mnt");
    assert_eq!(violation["allow"], "mounts.second-proc");
    assert_eq!(
        (&seen["worst"], &control(&seen, "paths.masked")["status"]),
        (&json!("high"), &json!("violated"))
    );
    let text = text(&container);
    assert!(text.contains("BELOW") && text.contains("Below the floor of its profile"), "{text}");
    let sarif = report(&container, "sarif");
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().any(|one| one["ruleId"] == "floor.mounts.types"), "{sarif:#}");
    // Whoever looks at the process alone sees the same.
    let pid = container.pid().to_string();
    let done = container.command("audit").args(["--format", "json", "--pid", &pid]).ok();
    let foreign: Value = serde_json::from_str(&done.stdout).unwrap();
    let violations = foreign["floor"]["violations"].as_array().unwrap();
    let seen = violations.iter().any(|one| one["what"] == "proc is mounted on /mnt");
    assert!(seen, "{foreign:#}");
}

#[test]
fn what_an_override_let_in_is_no_violation_and_no_mask_is_claimed_for_it() {
    requires!(root);
    let bundle = sleeping()
        .mount(json!({"destination": "/mnt", "type": "proc", "source": "proc", "options": ["ro"]}));
    let container = Container::new(bundle).global(&["--allow", "mounts.second-proc"]).up();
    let seen = report(&container, "json");
    assert_eq!(seen["floor"]["violations"], json!([]), "{seen:#}");
    let masked = control(&seen, "paths.masked")["effective"].as_str().unwrap();
    assert_eq!(masked, "hidden, but proc is mounted on /mnt");
}

#[test]
fn a_root_that_was_made_writable_is_below_the_floor() {
    requires!(root);
    requires!(program "nsenter");
    let container = changeable();
    mount_inside(&container, &["-o", "remount,bind,rw", "/"]);
    let seen = report(&container, "json");
    assert_eq!(seen["floor"]["violations"][0]["invariant"], "root.readonly", "{seen:#}");
}

#[test]
fn containers_of_an_older_release_are_named() {
    requires!(root);
    let container = Container::new(sleeping()).up();
    let file = container.state_dir().join("posture.json");
    let mut posture: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    drop(posture.as_object_mut().unwrap().remove("floor"));
    std::fs::write(&file, posture.to_string()).unwrap();
    let seen = report(&container, "json");
    assert!(seen["floor"]["comparedBy"].is_null());
    let findings = seen["findings"].as_array().unwrap();
    let about = findings.iter().find(|finding| finding["control"] == "floor").unwrap();
    assert!(about["message"].as_str().unwrap().starts_with("made by a release that did not"));
}
