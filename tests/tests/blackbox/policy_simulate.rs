//! `policy simulate`: which running containers would be refused or changed if they were started again.

use casemate_tests::bundle::{write, Bundle};
use casemate_tests::cli::Casemate;
use casemate_tests::scratch::Dir;
use casemate_tests::{requires, Container};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;

/// A policy directory with this file.
fn policy(text: &str) -> Dir {
    let dir = Dir::new("policy");
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    write(&dir.path().join("policy.toml"), text);
    dir
}

/// What is said about a state root under a policy, and how it ends.
fn simulated(root: &str, policy: &Dir) -> (Value, i32) {
    let dir = policy.path().display().to_string();
    let words = ["--policy-dir", &dir, "policy", "simulate", "--format", "json"];
    let answer = Casemate::with(words.into_iter().chain(["--runtime-root", root])).answer();
    let found = serde_json::from_str(&answer.stdout);
    (found.unwrap_or_else(|error| panic!("{error}: {}", answer.stderr)), answer.status)
}

#[test]
fn a_running_container_is_as_it_is_until_the_policy_changes() {
    requires!(root);
    let bundle = Bundle::sh("sleep 600").edit(|c| c["root"]["readonly"] = json!(false));
    let container = Container::new(bundle).global(&["--allow", "rootfs.writable"]);
    container.create().ok();
    let root = container.state_dir().parent().unwrap().display().to_string();
    let outcome = |text: &str| {
        let (found, status) = simulated(&root, &policy(text));
        assert_eq!(found["problems"], json!([]));
        let one = found["containers"][0].clone();
        assert_eq!((&one["id"], &one["runtime"]), (&json!(container.id), &json!("casemate")));
        let controls: Vec<String> = one["differences"]
            .as_array()
            .unwrap()
            .iter()
            .map(|difference| difference["control"].as_str().unwrap_or_default().to_owned())
            .collect();
        (one["outcome"].as_str().unwrap().to_owned(), controls, status)
    };
    assert_eq!(outcome(""), ("same".to_owned(), vec![], 0));
    let (word, controls, status) = outcome("controls = { \"paths.masked\" = \"off\" }");
    assert_eq!((word.as_str(), status), ("changed", 0));
    assert_eq!(controls, ["paths.masked"]);
    let (word, controls, status) = outcome("profile = \"restricted\"");
    assert_eq!((word.as_str(), status), ("refused", 1), "{controls:?}");
    assert!(controls.contains(&"profile".to_owned()), "{controls:?}");
    // What the engine passed on its command line, and may not any more.
    let (word, _, status) = outcome("forbid = [\"rootfs.writable\"]");
    assert_eq!((word.as_str(), status), ("refused", 1));
    // It runs, and is not left out because nothing can be compared.
    std::fs::write(container.state_dir().join("decisions.json"), "{").unwrap();
    let (found, _) = simulated(&root, &policy(""));
    let one = &found["containers"][0];
    assert_eq!((&one["outcome"], &found["problems"]), (&json!("unknown"), &json!([])));
    let reason = one["differences"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("what was decided cannot be read: decisions.json: "), "{reason}");
    container.kill("KILL").ok();
    container.wait_status("stopped");
    let (found, status) = simulated(&root, &policy("profile = \"restricted\""));
    assert_eq!((&found["containers"], status), (&json!([]), 0));
}

#[test]
fn containers_of_other_runtimes_are_judged_by_their_configuration() {
    requires!(root);
    casemate_tests::host::isolate();
    let root = Dir::new("foreign");
    let foreign = |id: &str, bundle: &Bundle| {
        bundle.save();
        let dir = root.path().join(id);
        std::fs::create_dir(&dir).unwrap();
        let state = json!({"pid": std::process::id(), "bundle": bundle.dir(), "rootfs": "/r"});
        write(&dir.join("status"), state.to_string());
    };
    let plain = Bundle::sh("true");
    let shared = Bundle::sh("true").without_namespace("network").edit(|c| {
        c.as_object_mut().unwrap().remove("hostname");
    });
    foreign("plain", &plain);
    foreign("shared", &shared);
    let gone = root.path().join("gone");
    std::fs::create_dir(&gone).unwrap();
    write(
        &gone.join("status"),
        json!({"pid": std::process::id(), "bundle": "/nowhere"}).to_string(),
    );
    let path = root.path().display().to_string();
    let (found, status) = simulated(&path, &policy(""));
    assert_eq!(status, 1);
    let said: Vec<(&str, &str)> = found["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["id"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(said, [("shared", "refused"), ("plain", "changed"), ("gone", "unknown")]);
    let why = &found["containers"][0]["differences"];
    let host = why.as_array().unwrap().iter().find(|d| d["verdict"] == "refused").unwrap();
    assert_eq!(host["control"], "namespaces.host-network");
    assert!(host["reason"].as_str().unwrap().contains("override: namespaces.host-network"));
    let words = ["policy", "simulate", "--runtime-root", &path];
    let text = Casemate::with(words).answer().stdout;
    assert!(
        text.starts_with(
            "3 running: 1 would be refused, 1 changed, 0 as it is, 1 cannot be told\n"
        ),
        "{text}"
    );
}
