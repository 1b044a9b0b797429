//! Records of other releases, and such as cannot be read: the container is still there, can be seen, and goes as a whole.

use casemate_tests::filter::inject_at;
use casemate_tests::{requires, wait, Bundle, Container};
use serde_json::{json, Value};
use std::path::Path;

fn running() -> Container {
    Container::new(Bundle::sh("sleep 600")).up()
}

fn put(container: &Container, file: &str, text: impl AsRef<[u8]>) {
    std::fs::write(container.state_dir().join(file), text).unwrap();
}

/// init.json of releases up to 0.2.0.
fn forget_what_goes_with_init(container: &Container) {
    let text = std::fs::read(container.state_dir().join("init.json")).unwrap();
    let now: Value = serde_json::from_slice(&text).unwrap();
    let old = json!({"pid": now["pid"], "start_time": now["start_time"]});
    put(container, "init.json", old.to_string());
}

/// Files of the pools that name the container.
fn leases(container: &Container) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/run/casemate-ids").into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        if text.contains(&container.id) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

/// The container as `list` has it.
fn listed(container: &Container) -> Value {
    let done = container.command("list").args(["--format", "json"]).done();
    let all: Value = serde_json::from_str(&done.stdout).unwrap();
    let quiet = container.command("list").args(["-q"]).done();
    assert_eq!(quiet.stdout.trim(), container.id, "{}", quiet.stderr);
    let table = container.command("list").done();
    assert!(table.stdout.contains(&container.id), "{}", table.stdout);
    all[0].clone()
}

fn assert_unreadable(container: &Container, pid: i32, part: &str) {
    let entry = listed(container);
    assert_eq!((&entry["status"], &entry["pid"]), (&json!("unreadable"), &json!(pid)), "{entry}");
    // Go's decoder gives up on the whole list otherwise.
    let created = entry["created"].as_str().unwrap();
    assert!(created.starts_with("20") && created.ends_with('Z'), "{created}");
    for verb in ["state", "delete", "start", "pause", "ps"] {
        let text = container.verb(verb, &[]).refused();
        assert!(text.contains(part), "{verb}: {text}");
    }
}

fn assert_goes(container: &Container) {
    container.delete().ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
    assert_eq!(leases(container), Vec::<String>::new());
}

/// What 0.1.0 has left running.
fn as_0_1_0_wrote_it(container: &Container) {
    let text = include_str!("../../fixtures/state-0.1.0/record.json");
    let now = container.record();
    let first = now["uid_mappings"][0]["hostID"].to_string();
    let text = text.replace("\"HOSTID\"", &first);
    let mut old: Value = serde_json::from_str(&text).unwrap();
    for key in ["id", "bundle", "rootfs", "id_range", "seccomp", "keyring"] {
        old[key] = now[key].clone();
    }
    old["cgroup"]["path"] = now["cgroup"]["path"].clone();
    put(container, "record.json", old.to_string());
    forget_what_goes_with_init(container);
}

#[test]
fn a_container_of_the_first_release_is_used_on_after_an_upgrade() {
    requires!(root);
    let container = running();
    let pid = container.pid();
    as_0_1_0_wrote_it(&container);
    assert_eq!(container.pid(), pid);
    assert_eq!(listed(&container)["status"], "running");
    assert_eq!(container.exec("echo in").ok().stdout, "in\n");
    container.verb("pause", &[]).ok();
    container.verb("resume", &[]).ok();
    let resources = container.bundle.dir().join("resources.json");
    std::fs::write(&resources, json!({"unified": {"cgroup.max.depth": "5"}}).to_string()).unwrap();
    container.verb("update", &["--resources", resources.to_str().unwrap()]).ok();
    container.kill("KILL").ok();
    container.wait_status("stopped");
    container.verb("delete", &[]).ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
    assert_eq!(leases(&container), Vec::<String>::new());
    let container = Container::new(Bundle::sh("sleep 600"));
    container.create().ok();
    as_0_1_0_wrote_it(&container);
    container.start().ok();
    container.wait_status("running");
    assert_goes(&container);
}

#[test]
fn a_container_of_a_newer_release_is_listed_and_goes_after_a_downgrade() {
    requires!(root);
    // A layout that this release cannot even guess at, and one that looks like its own.
    for layout in [json!({"format": "casemate/2", "container": [1]}), Value::Null] {
        let container = running();
        let pid = container.pid();
        let mut record = container.record();
        record["format"] = json!("casemate/2");
        let text = if layout.is_null() { record } else { layout };
        put(&container, "record.json", text.to_string());
        assert_unreadable(&container, pid, "hint: a newer release made");
        assert!(!leases(&container).is_empty());
        container.kill("KILL").ok();
        wait::until("init is gone", || wait::equal(&listed(&container)["pid"], &json!(0)));
        assert_goes(&container);
        // Running, too.
        let container = running();
        put(&container, "record.json", text.to_string());
        assert_goes(&container);
    }
}

#[test]
fn a_damaged_record_hides_no_container_and_keeps_none() {
    requires!(root);
    for damaged in ["", "{\"format\":\"casemate/1\",\"id\":", "[]", "\0\0\0\0", "{\"format\":7}"] {
        let container = running();
        let pid = container.pid();
        put(&container, "record.json", damaged);
        assert_unreadable(&container, pid, "record.json");
        container.kill("URG").ok();
        container.verb("kill", &["--all"]).args(["URG"]).ok();
        assert_goes(&container);
    }
    let container = running();
    let pid = container.pid();
    std::fs::remove_file(container.state_dir().join("record.json")).unwrap();
    assert_unreadable(&container, pid, "record.json");
    assert_goes(&container);
}

/// They end with the cgroup, not with init.
#[test]
fn a_damaged_record_of_a_shared_pid_namespace_leaves_no_process() {
    requires!(root);
    for and_init in [false, true] {
        let bundle = Bundle::sh("sleep 500 & exec sleep 600").without_namespace("pid");
        let container = Container::new(bundle).verbatim().up();
        put(&container, "record.json", "{");
        if and_init {
            // SAFETY: plain system call; the process is the test's own container's.
            let pid = listed(&container)["pid"].as_i64().unwrap();
            assert_eq!(unsafe { libc::kill(pid as i32, libc::SIGKILL) }, 0);
            wait::until("init is gone", || wait::equal(&listed(&container)["pid"], &json!(0)));
        }
        assert_goes(&container);
    }
}

/// Up to 0.2.0 init.json did not tell the cgroup: the kernel does, while init lives. Afterwards nobody does.
#[test]
fn a_damaged_record_of_an_older_release_goes_as_a_whole_or_stays_as_a_whole() {
    requires!(root);
    let container = running();
    put(&container, "record.json", "{");
    forget_what_goes_with_init(&container);
    assert_goes(&container);

    let container = running();
    let record = container.record();
    put(&container, "record.json", "{");
    forget_what_goes_with_init(&container);
    container.kill("KILL").ok();
    wait::until("init is gone", || wait::equal(&listed(&container)["pid"], &json!(0)));
    let left = container.leftovers();
    let text = container.delete().refused();
    assert!(text.contains("record.json") && text.contains("nothing is removed"), "{text}");
    assert_eq!((container.leftovers(), leases(&container).len()), (left, 1));
    put(&container, "record.json", record.to_string());
    assert_goes(&container);
}

#[test]
fn a_container_of_which_nothing_can_be_read_stays_with_all_that_it_has() {
    requires!(root);
    let container = running();
    let (pid, record) = (container.pid(), container.record());
    for init in [Some("{\"pid\":1"), None] {
        put(&container, "record.json", "{");
        match init {
            Some(text) => put(&container, "init.json", text),
            None => std::fs::remove_file(container.state_dir().join("init.json")).unwrap(),
        }
        assert_unreadable(&container, 0, "record.json");
        for command in [container.delete(), container.kill("KILL")] {
            let text = command.refused();
            assert!(text.contains("record.json"), "{text}");
        }
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        assert_eq!(
            (listed(&container)["status"].as_str(), leases(&container).len()),
            (Some("unreadable"), 1)
        );
    }
    put(&container, "record.json", record.to_string());
    assert_goes(&container);
}

#[test]
fn a_record_that_cannot_be_read_for_want_of_memory_is_left_for_another_time() {
    requires!(root);
    requires!(program "strace");
    let container = running();
    let pid = container.pid();
    let record = container.state_dir().join("record.json");
    let injected = |verb: &str, options: &[&str], rule: &str| {
        inject_at(container.verb(verb, options), &record, rule)
    };
    for errno in ["ENOMEM", "EMFILE", "ENFILE"] {
        for call in ["openat", "read"] {
            let inject = format!("{call}:error={errno}");
            let text = injected("delete", &["--force"], &inject).refused();
            assert!(text.contains("record.json"), "{text}");
            let text = injected("state", &[], &inject).refused();
            assert!(text.contains("record.json"), "{text}");
            assert_eq!(container.pid(), pid);
        }
    }
    // What may be for ever is not waited for.
    injected("delete", &["--force"], "read:error=EIO").ok();
    assert_eq!(container.leftovers(), Vec::<String>::new());
    assert_eq!(leases(&container), Vec::<String>::new());
}

#[test]
fn a_container_without_a_cgroup_is_not_forgotten_with_its_init() {
    requires!(root);
    let container = running();
    let mut record = container.record();
    let whole = record.to_string();
    record["cgroup"] = Value::Null;
    put(&container, "record.json", record.to_string());
    put(&container, "init.json", "[]");
    let text = container.delete().refused();
    assert!(text.contains("init.json"), "{text}");
    assert!(!container.leftovers().is_empty());
    std::fs::remove_file(container.state_dir().join("init.json")).unwrap();
    let text = container.delete().refused();
    assert!(text.contains("init.json"), "{text}");
    put(&container, "record.json", whole);
    assert_goes(&container);
}
