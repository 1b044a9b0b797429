//! What is kept of containers that have gone: enough to say why, for a while, and nothing that was secret.

use casemate_tests::bundle::Bundle;
use casemate_tests::container::Container;
use casemate_tests::scratch::make;
use casemate_tests::{host, requires};
use serde_json::{json, Value};
use std::fs::{File, FileTimes};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

fn past_of(container: &Container) -> PathBuf {
    container.root().join("@past").join(&container.id)
}

/// One that was made, and removed.
fn gone(bundle: Bundle) -> Container {
    let container = Container::new(bundle).up();
    container.delete().ok();
    container
}

fn explained(container: &Container) -> Value {
    let done = container.verb("explain", &["--format", "json"]).ok();
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn what_was_decided_about_a_container_outlives_it() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let before = std::fs::read(container.state_dir().join("decisions.json")).unwrap();
    let before: Value = serde_json::from_slice(&before).unwrap();
    container.delete().ok();
    let after = explained(&container);
    assert_eq!((&after["decisions"], &after["profile"]), (&before, &json!("hardened")));
    let ended = after["ended"].as_str().unwrap();
    for verb in ["explain", "audit"] {
        let text = container.verb(verb, &[]).ok().stdout;
        assert!(
            text.contains(&format!("it was deleted at {ended}, and this is kept until 256")),
            "{text}"
        );
        assert!(text.contains("root.readonly"), "{text}");
    }
    let said = container.verb("audit", &["--fail-on", "high"]).refused();
    assert!(said.contains("has gone: it was deleted at"), "{said}");
    // It is no container: nothing but these two answers for it.
    assert!(container.verb("state", &[]).refused().contains("container does not exist"));
    assert_eq!(container.command("list").args(["--quiet"]).ok().stdout, "");
    // One that is there is what is meant.
    let again = container.up();
    assert!(explained(&again).get("ended").is_none());
}

#[test]
fn nothing_secret_is_kept_and_nothing_but_one_file() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600; : argument-of-the-payload").edit(|c| {
        c["process"]["env"].as_array_mut().unwrap().push(json!("TOKEN=hunter2"));
        c["annotations"] =
            json!({"org.example.token": "hunter3", "io.kubernetes.cri-o.Labels": "hunter4"});
    });
    let container = gone(bundle);
    let left: Vec<PathBuf> = walk(&container.root());
    assert_eq!(left, [past_of(&container)]);
    let text = std::fs::read_to_string(past_of(&container)).unwrap();
    assert!(!text.contains("hunter") && !text.contains("argument-of-the-payload"), "{text}");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&past_of(&container)), mode(&container.root().join("@past"))), (0o600, 0o700));
}

/// All files below a directory.
fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

#[test]
fn the_oldest_are_forgotten() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let past = container.root().join("@past");
    make(&past);
    let now = SystemTime::now();
    let old = |n: u64| {
        let file = File::create(past.join(format!("old-{n}"))).unwrap();
        let time = now - Duration::from_secs(n + 1);
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    (0..400).for_each(old);
    container.delete().ok();
    assert_eq!(std::fs::read_dir(&past).unwrap().count(), 256);
    assert!(past_of(&container).exists() && past.join("old-254").exists());
    assert!(!past.join("old-255").exists());
}

#[test]
fn a_container_goes_whatever_becomes_of_what_is_kept() {
    requires!(root);
    // A directory cannot be replaced by a file, and a file is no directory.
    let spoil: [fn(&Container); 2] = [
        |container| make(&past_of(container)),
        |container| std::fs::write(container.root().join("@past"), "").unwrap(),
    ];
    for spoil in spoil {
        let container = Container::new(Bundle::sh("sleep 600")).up();
        spoil(&container);
        container.delete().ok();
        container.wait_gone();
        assert!(!past_of(&container).is_file());
    }
    // More decisions than are kept.
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let many = json!([{"rule": "x", "verdict": "kept", "reason": "y".repeat(70_000)}]);
    std::fs::write(container.state_dir().join("decisions.json"), many.to_string()).unwrap();
    container.delete().ok();
    assert!(std::fs::metadata(past_of(&container)).unwrap().len() < 4096);
    let text = container.verb("explain", &[]).ok().stdout;
    assert!(text.contains("what was decided about it is not kept"), "{text}");
}

#[test]
fn names_that_are_no_names_are_not_kept() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600").edit(|c| {
        c["annotations"]["io.kubernetes.pod.name"] = json!("x".repeat(100_000));
    });
    let container = Container::new(bundle).up();
    container.delete().ok();
    assert!(!past_of(&container).exists());
    assert_eq!(host::left_in_root(&container.root()), Vec::<PathBuf>::new());
}

#[test]
fn a_delete_that_was_cut_short_leaves_decisions_that_can_be_read() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600")).up();
    let file = container.state_dir().join("decisions.json");
    let before = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{before}\n{{\"id\": \"half\"")).unwrap();
    let audit = container.verb("audit", &["--format", "json"]).ok().stdout;
    let audit: Value = serde_json::from_str(&audit).unwrap();
    let findings = audit["findings"].as_array().unwrap();
    assert!(findings.iter().all(|one| one["control"] != "record.decisions"), "{findings:#?}");
    container.delete().ok();
    let before: Value = serde_json::from_str(&before).unwrap();
    assert_eq!(explained(&container)["decisions"], before);
}
