//! The audit log: what it says about who did what, that it is there before a program runs, and what happens when it
//! cannot be written.

use casemate_tests::bundle::{write, Bundle};
use casemate_tests::container::Container;
use casemate_tests::scratch::Dir;
use casemate_tests::{host, programs, requires};
use serde_json::{json, Value};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A policy directory, and the log that it names.
pub struct Log {
    pub dir: Dir,
}

impl Log {
    /// A policy with this `[audit]` table; `FILE` in it stands for the log.
    pub fn new(audit: &str) -> Self {
        let dir = Dir::new("policy");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let log = Self { dir };
        let file = format!("file = {:?}", log.path().display().to_string());
        let policy = log.dir.path().join("policy.toml");
        write(&policy, format!("[audit]\n{}\n", audit.replace("FILE", &file)));
        std::fs::set_permissions(&policy, std::fs::Permissions::from_mode(0o644)).unwrap();
        log
    }

    pub fn path(&self) -> PathBuf {
        self.dir.path().join("audit.jsonl")
    }

    pub fn container(&self, bundle: Bundle) -> Container {
        Container::new(bundle).global(&["--policy-dir", self.dir.path().to_str().unwrap()])
    }

    /// The records so far, each of one line.
    pub fn records(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path()).unwrap_or_default();
        assert!(text.is_empty() || text.ends_with('\n'), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub fn events(&self) -> Vec<(String, String)> {
        let word = |record: &Value, key: &str| record[key].as_str().unwrap().to_owned();
        self.records().iter().map(|r| (word(r, "evt.type"), word(r, "evt.res"))).collect()
    }
}

pub fn pair(event: &str, result: &str) -> (String, String) {
    (event.to_owned(), result.to_owned())
}

#[test]
fn every_step_of_a_life_leaves_one_line() {
    let log = Log::new("FILE");
    let container = log.container(Bundle::sh("sleep 600"));
    container.create().ok();
    container.start().ok();
    container.exec("true").ok();
    container.verb("pause", &[]).ok();
    container.verb("resume", &[]).ok();
    container.kill("KILL").ok();
    container.wait_status("stopped");
    container.verb("delete", &[]).ok();
    let wanted = ["create", "start", "exec", "pause", "resume", "kill", "delete"];
    assert_eq!(log.events(), wanted.map(|event| pair(event, "SUCCESS")));
    let mode = std::fs::metadata(log.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_record_says_who_did_what_and_on_which_grounds() {
    let log = Log::new("FILE");
    let bundle = Bundle::sh("true").edit(|c| {
        c["annotations"] = json!({
            "io.kubernetes.cri.container-type": "container",
            "io.kubernetes.cri.image-name": "registry/web:1",
            "io.kubernetes.cri.sandbox-namespace": "shop",
            "io.kubernetes.cri.sandbox-name": "web-0",
        });
        c["hooks"] = json!({"poststop": [{"path": "/bin/true"}]});
    });
    let container = log.container(bundle).as_of_containerd("k8s.io");
    container.run().ok();
    let records = log.records();
    assert_eq!(log.events(), [pair("run", "SUCCESS"), pair("delete", "SUCCESS")]);
    assert_eq!(records[1]["k8s.ns.name"], "shop");
    let record = &records[0];
    assert_eq!(record["container.id"], container.id.as_str());
    assert_eq!(record["container.image"], "registry/web:1");
    assert_eq!(record["k8s.ns.name"], "shop");
    assert_eq!(record["k8s.pod.name"], "web-0");
    assert_eq!(record["casemate.manager"], "containerd");
    assert_eq!(record["user.uid"], 0);
    assert_eq!(record["proc.ppid"], std::process::id());
    assert_eq!(record["casemate.profile"], "hardened");
    let own = std::env::current_exe().unwrap();
    assert_eq!(record["proc.pexepath"], own.to_str().unwrap());
    let sum = |path: &str| {
        let out = programs::output(Command::new("sha256sum").arg(path)).unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        format!("sha256:{}", text.split(' ').next().unwrap())
    };
    let config = container.bundle.dir().join("config.json");
    assert_eq!(record["casemate.bundle.digest"], sum(config.to_str().unwrap()).as_str());
    assert_eq!(record["casemate.hooks"][0]["digest"], sum("/bin/true").as_str());
    let decisions = record["casemate.decisions"].as_array().unwrap();
    let nnp = decisions.iter().find(|d| d["control"] == "process.no-new-privileges").unwrap();
    assert!(["kept", "tightened"].contains(&nnp["verdict"].as_str().unwrap()), "{nnp}");
    let time = record["evt.time"].as_str().unwrap();
    assert!(time.ends_with('Z') && time.contains('T'), "{time}");
}

#[test]
fn a_record_names_no_pod_that_a_user_of_ctr_has_written_into_the_annotations() {
    let log = Log::new("FILE");
    let bundle = Bundle::sh("true").edit(|c| {
        c["annotations"] = json!({"io.kubernetes.cri.sandbox-namespace": "kube-system"});
    });
    log.container(bundle).as_of_containerd("default").run().ok();
    for record in log.records() {
        assert_eq!(
            (&record["casemate.manager"], &record["k8s.ns.name"]),
            (&Value::Null, &Value::Null)
        );
    }
}

#[test]
fn an_override_is_in_the_record_with_who_gave_it() {
    let log = Log::new("FILE");
    let container = log
        .container(Bundle::sh("touch /x").edit(|c| c["root"]["readonly"] = json!(false)))
        .global(&["--allow", "rootfs.writable"]);
    container.run().ok();
    let records = log.records();
    let decisions = records[0]["casemate.decisions"].as_array().unwrap().clone();
    let root = decisions.iter().find(|d| d["control"] == "root.readonly").unwrap();
    assert_eq!(root["verdict"], "waived");
    assert_eq!(root["source"], "the command line");
}

#[test]
fn a_refusal_is_recorded_with_its_control() {
    let log = Log::new("FILE");
    let container = log.container(Bundle::sh("true").without_namespace("ipc"));
    let done = container.create().done();
    assert!(!done.status.success());
    let records = log.records();
    assert_eq!(log.events(), [pair("create", "REFUSED")]);
    assert_eq!(records[0]["casemate.decisions"][0]["control"], "namespaces.host-ipc");
    assert_eq!(records[0]["casemate.decisions"][0]["verdict"], "refused");
    let error = records[0]["casemate.error"].as_str().unwrap();
    assert!(error.contains("denied by profile hardened"), "{error}");
}

#[test]
fn a_refusal_is_recorded_with_all_that_refuses_and_the_bundle_that_was_read() {
    let log = Log::new("FILE");
    let bundle = Bundle::sh("true").without_namespace("ipc").without_namespace("network");
    let container = log.container(bundle);
    assert!(!container.create().done().status.success());
    let record = &log.records()[0];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let decisions = record["casemate.decisions"].as_array().unwrap();
    let refused: Vec<(String, String)> =
        decisions.iter().map(|one| (text(&one["control"]), text(&one["pointer"]))).collect();
    let at = |control: &str| (control.to_owned(), "/linux/namespaces".to_owned());
    assert_eq!(refused, [at("namespaces.host-network"), at("namespaces.host-ipc")]);
    assert!(text(&decisions[1]["reason"]).contains("shared memory"), "{record}");
    let dir = container.bundle.dir();
    assert_eq!(record["casemate.bundle"], dir.to_str().unwrap());
    let sum = programs::output(Command::new("sha256sum").arg(dir.join("config.json"))).unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let wanted = format!("sha256:{}", sum.split(' ').next().unwrap());
    assert_eq!(record["casemate.bundle.digest"], wanted.as_str());
}

#[test]
fn the_record_of_a_failed_run_names_its_bundle() {
    let log = Log::new("FILE");
    let bundle = Bundle::sh("true").edit(|c| c["ociVersion"] = json!("9.0.0"));
    let container = log.container(bundle);
    assert!(!container.run().done().status.success());
    assert_eq!(log.events(), [pair("run", "FAILURE")]);
    let record = &log.records()[0];
    assert_eq!(record["casemate.bundle"], container.bundle.dir().to_str().unwrap());
    assert!(record["casemate.bundle.digest"].as_str().unwrap().starts_with("sha256:"), "{record}");
}

#[test]
fn a_failure_is_told_from_a_refusal() {
    let log = Log::new("FILE");
    let container = log.container(Bundle::new().args(&["/no/such/program"]));
    assert!(!container.create().done().status.success());
    assert_eq!(log.events(), [pair("create", "FAILURE")]);
}

#[test]
fn arguments_and_environment_of_a_process_are_not_recorded() {
    let log = Log::new("FILE");
    let container = log.container(Bundle::sh("sleep 600 # topsecret1").edit(|c| {
        c["process"]["env"].as_array_mut().unwrap().push(json!("KEY=topsecret2"));
    }));
    let container = container.up();
    container.exec("true # topsecret3").ok();
    let text = std::fs::read_to_string(log.path()).unwrap();
    assert!(!text.contains("topsecret"), "{text}");
    assert!(text.contains("\"casemate.exec.name\":\"sh\""), "{text}");
}

#[test]
fn a_log_that_cannot_be_written_stops_what_requires_it_before_anything_is_made() {
    let log = Log::new("FILE\nrequired = true");
    std::fs::create_dir(log.path()).unwrap();
    let container = log.container(Bundle::sh("true"));
    let done = container.create().done();
    assert!(!done.status.success());
    assert!(done.stderr.contains("audit log: open"), "{}", done.stderr);
    assert!(container.leftovers().is_empty(), "{:?}", container.leftovers());
}

#[test]
fn a_log_that_cannot_be_written_is_a_warning_at_the_default_profile() {
    let log = Log::new("FILE");
    std::fs::create_dir(log.path()).unwrap();
    let container = log.container(Bundle::sh("echo ran"));
    let notes = container.bundle.dir().join("notes");
    let container = container.global(&["--log", notes.to_str().unwrap()]);
    let done = container.run().ok();
    assert_eq!(done.stdout, "ran\n");
    assert_eq!(done.stderr, "");
    let notes = std::fs::read_to_string(notes).unwrap();
    assert!(notes.contains("level=warning") && notes.contains("audit log: open"), "{notes}");
}

#[test]
fn the_profile_restricted_requires_its_log() {
    let log = Log::new("FILE");
    std::fs::create_dir(log.path()).unwrap();
    let bundle = Bundle::sh("true").edit(|c| {
        c["process"]["user"] = json!({"uid": 1000, "gid": 1000});
    });
    let container = log.container(bundle).global(&[
        "--profile",
        "restricted",
        "--allow",
        "memory.unlimited,pids.unlimited",
    ]);
    let done = container.create().done();
    assert!(!done.status.success());
    assert!(done.stderr.contains("audit log"), "{}", done.stderr);
    assert!(container.leftovers().is_empty(), "{:?}", container.leftovers());
}

#[test]
fn the_log_is_not_written_through_a_volume_that_is_or_holds_it() {
    requires!(root);
    for profile in ["hardened", "baseline"] {
        let log = log_at("a/b/audit.jsonl");
        let top = log.dir.path().to_owned();
        std::fs::create_dir_all(top.join("a/b")).unwrap();
        std::fs::create_dir(top.join("data")).unwrap();
        let run = |source: &Path, script: &str| {
            let bundle = Bundle::sh(script).bind(source, "/mnt", &["rbind", "rw"]);
            log.container(bundle).global(&["--profile", profile]).run().done()
        };
        assert!(run(&top.join("data"), ": >/mnt/x").status.success(), "{profile}");
        for (source, at) in [("a/b/audit.jsonl", ""), ("a/b", "/audit.jsonl"), ("a", "/b")] {
            let script = format!(
                "echo forged >/mnt{at}/audit.jsonl || echo forged >/mnt{at}; mv /mnt{at} /mnt/moved"
            );
            let done = run(&top.join(source), &script);
            let text = std::fs::read_to_string(top.join("a/b/audit.jsonl")).unwrap();
            assert!(!text.contains("forged\n"), "{profile} {source}: {done:?}");
            assert!(text.lines().all(|line| line.starts_with('{')), "{profile} {source}: {text}");
        }
    }
}

#[test]
fn what_ends_a_container_works_although_the_log_does_not() {
    let log = Log::new("FILE\nrequired = true");
    let container = log.container(Bundle::sh("sleep 600")).up();
    std::fs::remove_file(log.path()).unwrap();
    std::fs::create_dir(log.path()).unwrap();
    let done = container.exec("true").done();
    assert!(!done.status.success() && done.stderr.contains("audit log"), "{}", done.stderr);
    container.kill("KILL").ok();
    container.delete().ok();
    assert!(container.leftovers().is_empty(), "{:?}", container.leftovers());
}

/// An empty /run for this test alone: whether the host's own has a journal says nothing about casemate.
fn private_run() {
    host::isolate();
    let line = "mount -t tmpfs -o mode=755 run /run && mkdir -p /run/systemd/journal";
    let done = programs::status(std::process::Command::new("sh").args(["-c", line])).unwrap();
    assert!(done.success());
}

/// A container with the host's ids, because /run also holds who has which.
fn with_host_ids(log: &Log) -> Container {
    log.container(Bundle::sh("true")).global(&["--allow", "userns.host"])
}

#[test]
fn the_journal_gets_the_record_as_message_and_fields_to_filter_by() {
    requires!(root);
    private_run();
    let journal = UnixDatagram::bind("/run/systemd/journal/socket").unwrap();
    journal.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let log = Log::new("journald = true");
    let container = with_host_ids(&log);
    container.create().ok();
    let mut datagram = vec![0; 1 << 18];
    let length = journal.recv(&mut datagram).unwrap();
    let text = String::from_utf8(datagram[..length].to_vec()).unwrap();
    let field = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{key}=")));
        line.unwrap_or_else(|| panic!("no {key}: {text}")).to_owned()
    };
    let record: Value = serde_json::from_str(&field("MESSAGE")).unwrap();
    assert_eq!(record["evt.type"], "create");
    assert_eq!(record["container.id"], container.id.as_str());
    let fields = ["SYSLOG_IDENTIFIER", "CASEMATE_EVENT", "CASEMATE_OUTCOME", "CASEMATE_PROFILE"];
    assert_eq!(fields.map(field), ["casemate", "create", "SUCCESS", "hardened"]);
    assert_eq!(field("CONTAINER_ID_FULL"), container.id);
    assert!(!log.path().exists());
}

#[test]
fn a_journal_that_is_not_there_stops_what_requires_it() {
    requires!(root);
    private_run();
    let log = Log::new("journald = true\nrequired = true");
    let text = with_host_ids(&log).create().refused();
    assert!(text.contains("connect to the journal at /run/systemd/journal/socket"), "{text}");
    let log = Log::new("journald = true");
    with_host_ids(&log).run().ok();
}

#[test]
fn a_log_whose_directory_is_missing_is_told_with_the_command_that_makes_it() {
    let log = Log::new("FILE\nrequired = true");
    let dir = log.dir.path().join("logs");
    let policy = log.dir.path().join("policy.toml");
    write(
        &policy,
        format!("audit = {{ file = \"{}/audit.jsonl\", required = true }}\n", dir.display()),
    );
    let text = log.container(Bundle::sh("true")).run().refused();
    // podman takes these words for a program that is not in the image.
    assert!(!text.to_lowercase().contains("no such file or directory"), "{text}");
    let command = text.split("(hint: ").nth(1).unwrap().split(')').next().unwrap();
    let made = programs::output(Command::new("sh").args(["-c", command])).unwrap();
    assert!(made.status.success(), "{command}");
    log.container(Bundle::sh("true")).run().ok();
    assert!(dir.join("audit.jsonl").exists());
}

#[test]
fn an_audit_table_is_read_however_toml_writes_it() {
    let log = Log::new("FILE");
    let policy = log.dir.path().join("policy.toml");
    let file = log.path().display().to_string();
    for text in [
        format!("[ audit ]\nfile = {file:?}\nrequired = true\n"),
        format!("[\"audit\"]\nfile = {file:?}\n"),
        format!("\"audit\".file = {file:?}\n"),
        format!("'audit' = {{ file = {file:?} }}\n"),
    ] {
        write(&policy, &text);
        let before = log.records().len();
        log.container(Bundle::sh("true")).run().ok();
        assert!(log.records().len() > before, "{text}");
    }
}

#[test]
fn a_record_does_not_repeat_what_an_image_says_about_its_pod() {
    let log = Log::new("FILE");
    let bundle = Bundle::sh("true").edit(|c| {
        c["annotations"] = json!({
            "io.container.manager": "libpod",
            "io.kubernetes.pod.namespace": "kube-system",
            "org.opencontainers.image.ref.name": "registry/trusted",
        });
    });
    log.container(bundle).run().ok();
    let record = &log.records()[0];
    assert_eq!(record["casemate.manager"], "libpod");
    assert_eq!((&record["k8s.ns.name"], &record["container.image"]), (&Value::Null, &Value::Null));
}

#[test]
fn without_a_policy_nothing_is_written_and_an_unknown_key_is_an_error() {
    let log = Log::new("");
    log.container(Bundle::sh("true")).run().ok();
    assert!(!log.path().exists());
    let log = Log::new("FILE\nfiel = 1");
    let done = log.container(Bundle::sh("true")).create().done();
    assert!(done.stderr.contains("policy.toml:"), "{}", done.stderr);
}

/// A policy whose log lies at `path` below its directory, and is required.
pub fn log_at(path: &str) -> Log {
    let log = Log::new("FILE\nrequired = true");
    let file = log.dir.path().join(path);
    write(
        &log.dir.path().join("policy.toml"),
        format!("audit = {{ file = \"{}\", required = true }}\n", file.display()),
    );
    log
}
