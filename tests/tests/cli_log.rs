//! A failure is told once in the log and once on standard error, in the forms that engines read.

use casemate_tests::cli::{casemate, Casemate, Scratch};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

#[test]
fn json_log_is_one_object_and_standard_error_the_bare_message() {
    let scratch = Scratch::new();
    let log = scratch.file("log.json");
    let answer =
        Casemate::with(["--log", &log, "--log-format", "json", "kill", "x", "FOO"]).answer();
    assert_eq!((answer.status, answer.stdout.as_str()), (1, ""));
    assert_eq!(answer.stderr, "unknown signal \"FOO\"\n");
    // podman decodes the whole file as one document.
    let record: Value = serde_json::from_str(&std::fs::read_to_string(&log).unwrap()).unwrap();
    assert_eq!(record["level"], "error");
    assert_eq!(record["msg"], "unknown signal \"FOO\"");
    assert_rfc3339(record["time"].as_str().unwrap());
}

/// containerd gives up on the whole log if the time is anything else.
fn assert_rfc3339(time: &str) {
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000000000Z");
}

#[test]
fn log_is_appended_to_over_the_life_of_a_container() {
    let scratch = Scratch::new();
    let log = scratch.file("log");
    for _ in 0..3 {
        Casemate::with(["--log", &log, "--log-format=json", "bogus"]).answer();
    }
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 3);
}

#[test]
fn log_is_created_even_if_nothing_is_logged_or_the_command_line_is_wrong() {
    for arguments in
        [&["features"][..], &["bogus"], &["create", "--bogus"], &["--bogus"], &["create"]]
    {
        let scratch = Scratch::new();
        let log = scratch.file("log");
        Casemate::with(["--log", &log].iter().chain(arguments)).answer();
        let metadata = std::fs::metadata(&log).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o7133, 0, "{arguments:?}");
    }
}

#[test]
fn success_writes_nothing_but_its_answer() {
    let scratch = Scratch::new();
    let log = scratch.file("log");
    let answer = Casemate::with(["--log", &log, "--log-format=json", "features"]).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "");
}

#[test]
fn text_log_has_the_form_of_logrus() {
    let scratch = Scratch::new();
    let log = scratch.file("log");
    let answer = Casemate::with(["--log", &log, "kill", "x", "FOO"]).answer();
    assert_eq!(answer.stderr, "unknown signal \"FOO\"\n");
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("time=\"2"), "{text}");
    assert!(text.ends_with(" level=error msg=\"unknown signal \\\"FOO\\\"\"\n"), "{text}");
}

#[test]
fn without_log_the_formatted_line_goes_to_standard_error() {
    let answer = casemate("kill x FOO");
    assert_eq!(answer.stderr.lines().count(), 1);
    assert!(answer.stderr.contains(" level=error msg=\"unknown signal"), "{}", answer.stderr);
    let answer = casemate("--log-format json kill x FOO");
    let record: Value = serde_json::from_str(&answer.stderr).unwrap();
    assert_eq!(record["msg"], "unknown signal \"FOO\"");
}

#[test]
fn errno_has_a_key_and_the_hint_ends_the_message() {
    let scratch = Scratch::new();
    let missing = scratch.file("missing/config.json");
    let answer = Casemate::with(["--log-format=json", "spec", "--file", &missing]).answer();
    let record: Value = serde_json::from_str(&answer.stderr).unwrap();
    assert_eq!(record["errno"], "ENOENT");
    assert!(record["msg"].as_str().unwrap().contains(&missing));
    let answer = casemate("--log-format=json exec --user root x id");
    let record: Value = serde_json::from_str(&answer.stderr).unwrap();
    let message = record["msg"].as_str().unwrap();
    assert!(
        message.ends_with("must be UID or UID:GID (hint: names are not looked up)"),
        "{message}"
    );
}

#[test]
fn unusable_log_is_itself_the_failure() {
    let scratch = Scratch::new();
    let log = scratch.file("missing/log");
    let answer = Casemate::with(["--log", &log, "features"]).answer();
    assert_eq!((answer.status, answer.stdout.as_str()), (1, ""));
    assert!(
        answer.stderr.contains(&format!("open log file {log}: no such file or directory")),
        "{answer:?}"
    );
    let answer = casemate("--log journald:x features");
    assert!(answer.stderr.contains("only files can be logged to"), "{answer:?}");
}

#[test]
fn debug_goes_to_the_log_or_without_one_to_standard_error() {
    let scratch = Scratch::new();
    let log = scratch.file("log");
    let answer = Casemate::with(["--debug", "--log", &log, "features"]).answer();
    assert_eq!((answer.status, answer.stderr.as_str()), (0, ""));
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("level=debug"), "{text}");
    assert!(casemate("--debug features").stderr.contains("level=debug"));
    assert!(casemate("--debug --log-format json features").stderr.contains("\"level\":\"debug\""));
    assert_eq!(casemate("features").stderr, "");
}

#[test]
fn crun_style_file_prefix_is_understood() {
    let scratch = Scratch::new();
    let log = scratch.file("log");
    Casemate::with(["--log", &format!("file:{log}"), "bogus"]).answer();
    assert!(std::fs::read_to_string(&log).unwrap().contains("unknown command"));
}
