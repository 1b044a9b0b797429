//! `audit --format sarif`: the structure that SARIF 2.1.0 wants, as facts of its JSON schema, and places that a reader finds.

use casemate_tests::bundle::Bundle;
use casemate_tests::cli::Casemate;
use casemate_tests::host;
use serde_json::{json, Value};

/// The log of an audit, and its results.
fn log(words: &[&str]) -> (Value, Vec<Value>) {
    let words = [words, &["--format", "sarif"]].concat();
    let answer = Casemate::with(words).answer();
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    let log: Value = serde_json::from_str(&answer.stdout).unwrap();
    let results = log["runs"][0]["results"].as_array().unwrap().clone();
    assert!(!results.is_empty(), "{log:#}");
    (log, results)
}

fn log_of(bundle: &Bundle) -> (Value, Vec<Value>) {
    host::isolate();
    bundle.save();
    log(&["audit", "--standard", "all", &bundle.dir().display().to_string()])
}

/// What the schema says of one kind of object: its keys with the kind of their values, and which of them must be there.
/// A kind in brackets is a list; a kind that `shape` does not know is a plain value. No other keys are allowed.
struct Shape {
    keys: &'static [(&'static str, &'static str)],
    required: &'static [&'static str],
}

fn shape(kind: &str) -> Option<Shape> {
    let (keys, required): (&[(&str, &str)], &[&str]) = match kind {
        "log" => (
            &[("$schema", "text"), ("version", "version"), ("runs", "[run"), ("properties", "bag")],
            &["version", "runs"],
        ),
        "run" => (
            &[
                ("tool", "tool"),
                ("results", "[result"),
                ("columnKind", "unit"),
                ("properties", "bag"),
            ],
            &["tool"],
        ),
        "tool" => (&[("driver", "component"), ("extensions", "[component")], &["driver"]),
        "component" => (
            &[
                ("name", "text"),
                ("version", "text"),
                ("semanticVersion", "text"),
                ("rules", "[rule"),
                ("informationUri", "text"),
            ],
            &["name"],
        ),
        "rule" => (
            &[
                ("id", "text"),
                ("name", "text"),
                ("shortDescription", "message"),
                ("fullDescription", "message"),
                ("help", "message"),
                ("helpUri", "text"),
                ("defaultConfiguration", "configuration"),
                ("properties", "bag"),
            ],
            &["id"],
        ),
        "configuration" => (&[("enabled", "bool"), ("level", "level")], &[]),
        // Of a rule's text and of a result's alike; other forms than `text` are not used.
        "message" => (&[("text", "text"), ("markdown", "text")], &["text"]),
        "result" => (
            &[
                ("ruleId", "text"),
                ("ruleIndex", "number"),
                ("level", "level"),
                ("message", "message"),
                ("locations", "[location"),
                ("properties", "bag"),
            ],
            &["message"],
        ),
        "location" => (&[("physicalLocation", "file"), ("logicalLocations", "[logical")], &[]),
        "file" => {
            (&[("artifactLocation", "artifact"), ("region", "region")], &["artifactLocation"])
        }
        "artifact" => (&[("uri", "uri")], &[]),
        "region" => (&[("startLine", "number"), ("startColumn", "number")], &[]),
        "logical" => (&[("name", "text"), ("fullyQualifiedName", "text"), ("kind", "text")], &[]),
        _ => return None,
    };
    Some(Shape { keys, required })
}

fn check(value: &Value, kind: &str, path: &str) {
    if let Some(kind) = kind.strip_prefix('[') {
        for (number, item) in value.as_array().expect(path).iter().enumerate() {
            check(item, kind, &format!("{path}/{number}"));
        }
        return;
    }
    let Some(shape) = shape(kind) else { return check_plain(value, kind, path) };
    let object = value.as_object().expect(path);
    for (key, value) in object {
        let known = shape.keys.iter().find(|(name, _)| name == key);
        let (_, kind) = known.unwrap_or_else(|| panic!("{path}: {kind} has no key {key}"));
        check(value, kind, &format!("{path}/{key}"));
    }
    for key in shape.required {
        assert!(object.contains_key(*key), "{path}: no {key}");
    }
}

fn check_plain(value: &Value, kind: &str, path: &str) {
    let good = match kind {
        "text" => value.as_str().is_some_and(|text| !text.is_empty()),
        "uri" => value.as_str().is_some_and(|uri| uri.is_ascii() && !uri.contains([' ', '"'])),
        "version" => value == "2.1.0",
        "unit" => value == "utf16CodeUnits" || value == "unicodeCodePoints",
        "level" => ["none", "note", "warning", "error"].contains(&value.as_str().unwrap_or("")),
        "number" => value.as_u64().is_some(),
        "bool" => value.is_boolean(),
        // Anything may stand in a property bag, but tags are a list of different texts.
        "bag" => value.as_object().is_some_and(|bag| match bag.get("tags") {
            Some(tags) => tags.as_array().is_some_and(|tags| tags.iter().all(Value::is_string)),
            None => true,
        }),
        _ => panic!("{path}: no kind {kind}"),
    };
    assert!(good, "{path}: {value} is no {kind}");
}

#[test]
fn a_bundles_log_has_the_structure_of_the_schema() {
    let open = Bundle::sh("true").without_namespace("ipc").edit(|c| {
        c["annotations"] = json!({"org.casemate.allow/rootfs.writable": "true"});
        c["root"]["readonly"] = json!(false);
    });
    let (log, _) = log_of(&open);
    check(&log, "log", "");
}

#[test]
fn a_process_log_has_the_structure_of_the_schema_and_names_the_process() {
    let own = std::process::id().to_string();
    let (log, results) = log(&["audit", "--pid", &own]);
    check(&log, "log", "");
    for result in results {
        let place = &result["locations"][0];
        let name = place["logicalLocations"][0]["fullyQualifiedName"].as_str().unwrap();
        assert!(name.starts_with('/') || name == format!("process {own}"), "{name}");
        assert!(place.get("physicalLocation").is_none(), "{place}");
    }
}

#[test]
fn results_refer_to_rules_and_to_places_in_the_file() {
    let bundle = Bundle::sh("true").without_namespace("ipc");
    let (log, results) = log_of(&bundle);
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    for result in &results {
        let number = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[number]["id"], result["ruleId"]);
        let file = &result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
        let uri = file.as_str().unwrap();
        assert!(uri.starts_with("file:///") && uri.ends_with("/config.json"), "{uri}");
    }
    let ipc = results.iter().find(|r| r["ruleId"] == "namespaces.host-ipc").unwrap();
    let place = &ipc["locations"][0]["logicalLocations"][0]["fullyQualifiedName"];
    assert!(place.as_str().unwrap().starts_with("/linux/namespaces"), "{place}");
}

#[test]
fn a_finding_has_the_line_of_what_asks_for_it() {
    let bundle = Bundle::sh("true").edit(|c| {
        c["mounts"].as_array_mut().unwrap().push(json!({
            "destination": "/host-etc", "source": "/etc", "type": "bind", "options": ["bind", "rw"],
        }));
    });
    host::isolate();
    bundle.save();
    let config = bundle.dir().join("config.json");
    let value: Value = serde_json::from_slice(&std::fs::read(&config).unwrap()).unwrap();
    let text = serde_json::to_string_pretty(&value).unwrap();
    std::fs::write(&config, &text).unwrap();
    let (_, results) = log(&["audit", &bundle.dir().display().to_string()]);
    let bind = results.iter().find(|r| r["ruleId"] == "mounts.sources").unwrap();
    let place = &bind["locations"][0]["physicalLocation"];
    let line = usize::try_from(place["region"]["startLine"].as_u64().unwrap()).unwrap();
    assert_eq!(text.lines().nth(line - 1).unwrap().trim(), r#""source": "/etc","#);
}
