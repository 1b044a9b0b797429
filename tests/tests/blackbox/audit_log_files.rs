//! The audit log as a file: who may write to it, and what becomes of it when it is rotated.

use crate::audit_log::{log_at, pair, Log};
use casemate_tests::bundle::{write, Bundle};
use casemate_tests::container::Container;
use casemate_tests::requires;
use serde_json::json;
use std::os::unix::fs::{chown, symlink, PermissionsExt};
use std::path::Path;

#[test]
fn a_log_that_somebody_else_could_change_is_not_written() {
    let log = Log::new("FILE\nrequired = true");
    let target = log.dir.path().join("elsewhere");
    write(&target, "");
    symlink(&target, log.path()).unwrap();
    let refused = |why: &str| {
        let done = log.container(Bundle::sh("true")).create().done();
        assert!(!done.status.success());
        assert!(done.stderr.contains(why), "{why}: {}", done.stderr);
    };
    refused("symbolic link");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "");
    std::fs::remove_file(log.path()).unwrap();
    write(&log.path(), "");
    std::fs::set_permissions(log.path(), std::fs::Permissions::from_mode(0o622)).unwrap();
    refused("writable by nobody else");
    std::fs::set_permissions(log.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::hard_link(log.path(), log.dir.path().join("other")).unwrap();
    refused("one name");
}

#[test]
fn a_link_on_the_way_to_the_log_is_followed_only_where_it_belongs_to_root() {
    requires!(root);
    let log = log_at("link/deep/audit.jsonl");
    let dir = |name: &str| log.dir.path().join(name);
    std::fs::create_dir_all(dir("real/deep")).unwrap();
    symlink("../".to_owned() + &file_name(log.dir.path()) + "/real", dir("link")).unwrap();
    log.container(Bundle::sh("true")).run().ok();
    assert!(dir("real/deep/audit.jsonl").exists());
    std::fs::remove_file(dir("real/deep/audit.jsonl")).unwrap();
    std::os::unix::fs::lchown(dir("link"), Some(1000), Some(1000)).unwrap();
    let text = log.container(Bundle::sh("true")).run().refused();
    assert!(text.contains("belongs to uid 1000"), "{text}");
    assert!(!dir("real/deep/audit.jsonl").exists());
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

#[test]
fn a_log_below_a_directory_that_others_own_or_write_is_not_written() {
    requires!(root);
    let log = log_at("a/b/audit.jsonl");
    let (outer, inner) = (log.dir.path().join("a"), log.dir.path().join("a/b"));
    std::fs::create_dir_all(&inner).unwrap();
    let refused = |why: &str| {
        let text = log.container(Bundle::sh("true")).run().refused();
        assert!(text.contains(why), "{why}: {text}");
        assert!(!inner.join("audit.jsonl").exists());
    };
    std::fs::set_permissions(&outer, std::fs::Permissions::from_mode(0o777)).unwrap();
    refused("everybody may write it");
    std::fs::set_permissions(&outer, std::fs::Permissions::from_mode(0o755)).unwrap();
    chown(&outer, Some(1000), Some(1000)).unwrap();
    refused("belongs to uid 1000");
    chown(&outer, Some(0), Some(0)).unwrap();
    log.container(Bundle::sh("true")).run().ok();
    assert!(inner.join("audit.jsonl").exists());
}

#[test]
fn lines_of_many_commands_do_not_mix() {
    let log = Log::new("FILE");
    let containers: Vec<Container> = (0..8).map(|_| log.container(Bundle::sh("true"))).collect();
    let running: Vec<_> = containers.iter().map(|container| container.run().spawn()).collect();
    for run in running {
        assert!(run.done().status.success());
    }
    assert_eq!(log.records().len(), 16);
}

#[test]
fn after_a_rotation_the_next_record_makes_a_new_file() {
    let log = Log::new("FILE\nrequired = true");
    let container = log.container(Bundle::sh("sleep 100")).up();
    let rotated = log.dir.path().join("audit.jsonl.1");
    std::fs::rename(log.path(), &rotated).unwrap();
    container.exec("true").ok();
    assert_eq!(log.events(), [pair("exec", "SUCCESS")]);
    let mode = std::fs::metadata(log.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(std::fs::read_to_string(rotated).unwrap().lines().count(), 2);
}

#[test]
fn a_rotation_in_the_middle_of_a_command_loses_no_record() {
    let log = Log::new("FILE\nrequired = true");
    // The hook runs between the opening of the log and the record: it renames the file and removes what it renamed.
    let (file, old) = (log.path().display().to_string(), log.dir.path().join("old"));
    let script = format!("mv {file} {0} && rm {0}", old.display());
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", script]});
    let bundle = Bundle::sh("true").edit(|c| c["hooks"] = json!({"createRuntime": [hook]}));
    log.container(bundle).create().ok();
    assert_eq!(log.events()[0], pair("create", "SUCCESS"));
    assert!(!old.exists());
}

#[test]
fn a_log_that_was_emptied_in_place_goes_on_at_its_beginning() {
    let log = Log::new("FILE");
    let container = log.container(Bundle::sh("sleep 100")).up();
    std::fs::OpenOptions::new().write(true).truncate(true).open(log.path()).unwrap();
    container.exec("true").ok();
    // Without O_APPEND there would be a hole of zeros in front of it.
    assert_eq!(log.events(), [pair("exec", "SUCCESS")]);
}
