//! Configurations that cannot be carried out: one clear line, exit status 1, the host as it was. And those that can although
//! this release does not know all of their words.

use casemate_tests::{requires, Bundle, Canary, Cmd, Container};
use serde_json::{json, Value};
use std::path::Path;

fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("{pointer}")) {
        Value::Array(list) => list.push(value),
        object => object[key] = value,
    }
}

#[test]
fn a_malformed_configuration_is_refused_with_the_place_of_the_error() {
    requires!(root);
    let canary = Canary::new();
    let cases = [
        ("/ociVersion", json!("2.0.0"), "ociVersion"),
        ("/ociVersion", json!("one"), "ociVersion"),
        ("/ociVersion", json!(1), "ociVersion"),
        ("/process/args", json!([]), "process.args"),
        ("/process/args", json!("sh"), "process.args"),
        ("/process/cwd", json!("relative"), "process.cwd"),
        ("/process/env", json!(["NOTHING"]), "process.env[0]"),
        ("/process/user/uid", json!(-1), "process.user.uid"),
        ("/process/user/uid", json!("root"), "process.user.uid"),
        ("/process/user/umask", json!(4096), "process.user.umask"),
        (
            "/process/rlimits",
            json!([{"type": "RLIMIT_NOFILE", "soft": 5, "hard": 4}]),
            "process.rlimits[0]",
        ),
        ("/process/oomScoreAdj", json!(2000), "process.oomScoreAdj"),
        (
            "/process/ioPriority",
            json!({"class": "IOPRIO_CLASS_BE", "priority": 9}),
            "process.ioPriority",
        ),
        ("/process/capabilities/bounding", json!("CAP_KILL"), "process.capabilities.bounding"),
        ("/root", json!({}), "root.path"),
        ("/hostname", json!("x".repeat(65)), "hostname"),
        ("/mounts/7", json!({"type": "tmpfs"}), "mounts[7]"),
        ("/linux/namespaces/9", json!({"type": "pid"}), "linux.namespaces"),
        ("/linux/namespaces/9", json!({"type": "quantum"}), "linux.namespaces[6]"),
        (
            "/linux/uidMappings",
            json!([{"containerID": 0, "hostID": 0, "size": 1}]),
            "linux.uidMappings",
        ),
        ("/linux/rootfsPropagation", json!("sideways"), "linux.rootfsPropagation"),
        ("/linux/maskedPaths", json!(["relative"]), "linux.maskedPaths[0]"),
        ("/linux/readonlyPaths", json!([5]), "linux.readonlyPaths[0]"),
        ("/linux/timeOffsets", json!({"monotonic": {"secs": 1}}), "linux.timeOffsets"),
        ("/linux/netDevices", json!({"eth0": {"name": "a/b"}}), "linux.netDevices.eth0"),
        ("/linux/sysctl", json!({"kernel.core_pattern": "|/x"}), "linux.sysctl"),
        ("/linux/resources", json!({"memory": {"limit": "much"}}), "linux.resources.memory.limit"),
        (
            "/linux/resources",
            json!({"devices": [{"allow": true, "type": "q"}]}),
            "linux.resources.devices[0]",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_MAYBE"}),
            "linux.seccomp.defaultAction",
        ),
        ("/hooks", json!({"prestart": [{"path": "x"}]}), "hooks.prestart[0].path"),
        ("/annotations", json!({"k": 5}), "annotations"),
    ];
    for (pointer, value, place) in cases {
        let container = Container::new(Bundle::sh("true").edit(|c| put(c, pointer, value.clone())));
        let text = container.run().refused();
        assert!(text.contains(place), "{pointer} = {value}: {text}");
        assert_eq!(container.leftovers(), Vec::<String>::new(), "{pointer}");
    }
    canary.check();
}

#[test]
fn a_configuration_that_is_not_json_is_refused() {
    requires!(root);
    let container = Container::new(Bundle::sh("true"));
    let dir = container.bundle.dir().display().to_string();
    for text in ["", "{", "null", "[]", "{\"ociVersion\": \"1.0.0\"} trailing", "\u{feff}{}"] {
        casemate_tests::bundle::write(&container.bundle.dir().join("config.json"), text);
        let message = container.command("create").args(["--bundle", &dir, &container.id]).refused();
        assert!(message.contains("config.json"), "{text:?}: {message}");
    }
    std::fs::remove_file(container.bundle.dir().join("config.json")).unwrap();
    let message = container.command("create").args(["--bundle", &dir, &container.id]).refused();
    assert!(
        message.contains("config.json") && message.contains("no such file or directory"),
        "{message}"
    );
}

#[test]
fn unknown_properties_are_ignored_everywhere() {
    requires!(root);
    let container = Container::new(Bundle::sh("echo ran=1").edit(|c| {
        for pointer in
            ["", "/process", "/process/user", "/root", "/linux", "/mounts/0", "/linux/namespaces/0"]
        {
            c.pointer_mut(pointer).unwrap()["fromTheFuture"] = json!({"deep": [1, 2, {"x": null}]});
        }
        c["ociVersion"] = json!("1.99.0");
        c["windows"] = json!({"layerFolders": []});
    }));
    let done = container.output();
    assert_eq!((done.value("ran"), done.stderr.as_str()), ("1", ""));
}

#[test]
fn an_id_is_checked_and_unique() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    let create = |id: &str| {
        container.command("create").args(["--bundle", container.bundle.dir().to_str().unwrap(), id])
    };
    for id in ["", "a/b", "..", ".", "a b", "a\nb", "ä"] {
        let text = create(id).refused();
        assert!(text.contains("container I") || text.contains("container id"), "{id:?}: {text}");
    }
    container.create().ok();
    let before = container.state();
    let text = container.create().refused();
    assert!(text.contains("container with given ID already exists"), "{text}");
    assert_eq!(container.state(), before);
}

#[test]
fn a_pid_file_is_the_bare_number_and_untouched_by_failure() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    let path = container.bundle.dir().join("init.pid");
    casemate_tests::bundle::write(&path, "");
    let options = ["--pid-file", path.to_str().unwrap()];
    container.create_command(&options).ok();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), container.pid().to_string());
    container.delete().ok();
    casemate_tests::bundle::write(&path, "before");
    let failing = Container::new(Bundle::new().args(&["/no/such/program"]));
    failing.create_command(&options).refused();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    let names: Vec<_> = std::fs::read_dir(container.bundle.dir())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().starts_with(".init.pid")), "{names:?}");
}

#[test]
fn a_pid_file_that_cannot_be_written_fails_the_create() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    let text = container.create_command(&["--pid-file", "/no/such/dir/pid"]).refused();
    assert!(text.contains("/no/such/dir/pid"), "{text}");
    assert_eq!(container.leftovers(), Vec::<String>::new());
}

fn explain(container: &Container, options: &[&str]) -> Cmd {
    container.bundle.save();
    container
        .command("explain")
        .args(["--bundle", container.bundle.dir().to_str().unwrap()])
        .args(options)
}

#[test]
fn explain_says_what_would_be_done_and_does_nothing() {
    requires!(root);
    let canary = Canary::new();
    let container = Container::new(Bundle::sh("touch /tmp/ran").edit(|c| {
        c["hooks"]["prestart"] = json!([{"path": "/bin/false"}]);
        c["process"]["noNewPrivileges"] = json!(false);
    }));
    let text = explain(&container, &[]).ok().stdout;
    assert!(text.contains("no-new-privileges") && text.contains("profile hardened"), "{text}");
    let json: Value =
        serde_json::from_str(&explain(&container, &["--format", "json"]).ok().stdout).unwrap();
    assert!(json.to_string().contains("no-new-privileges"), "{json}");
    assert!(!container.root().exists() && !Path::new("/tmp/ran").exists());
    assert_eq!(container.leftovers(), Vec::<String>::new());
    canary.check();
    let broken =
        Container::new(Bundle::sh("true").edit(|c| c["process"]["cwd"] = json!("relative")));
    let text = explain(&broken, &[]).refused();
    assert!(text.contains("process.cwd"), "{text}");
}

#[test]
fn a_configuration_under_another_name_is_called_by_it() {
    requires!(root);
    let container = Container::new(Bundle::sh("sleep 600"));
    let other = container.bundle.dir().join("other.json");
    let name = other.to_str().unwrap().to_owned();
    casemate_tests::bundle::write(&other, "{\"process\": 7}");
    let text = container.create_command(&["--config", &name]).refused();
    assert!(text.contains(&name) && !text.contains("config.json"), "{text}");
    // Later commands look at what it was made from, too.
    std::fs::rename(container.bundle.dir().join("config.json"), &other).unwrap();
    let create = container.command("create").args(["--config", &name, "--bundle"]);
    create.args([container.bundle.dir()]).args([&container.id]).ok();
    assert_eq!(container.record()["config"], name.as_str());
    let report = container.verb("audit", &["--format", "json"]).done().stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["subject"]["config"], name.as_str(), "{report}");
}
