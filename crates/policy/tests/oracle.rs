//! The crate oci-spec as an oracle: it reads each configuration as it is and as our model writes it again, and finds in the second
//! all that it found in the first. So nothing that the specification has is lost or changed by our reader, as far as another
//! reader of it can tell.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::Spec;
use common::fixture;
use serde_json::{json, Value};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What oci-spec 0.10 misspells: a configuration that has it right is refused (docs/DEPENDENCIES.md).
const MISSPELT: [&str; 2] = ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"];

/// What oci-spec makes of a configuration, as JSON, without what is not there.
fn theirs(config: &[u8]) -> Value {
    let mut config: Value = serde_json::from_slice(config).unwrap();
    leave_out(&mut config, "scheduler/flags");
    for set in ["bounding", "effective", "inheritable", "permitted", "ambient"] {
        leave_out(&mut config, &format!("capabilities/{set}"));
    }
    let spec: oci_spec::runtime::Spec = serde_json::from_value(config).unwrap();
    let mut read = without_nulls(serde_json::to_value(spec).unwrap());
    // It keeps them in sets, in another order each time.
    let sets = read.pointer_mut("/process/capabilities").and_then(Value::as_object_mut);
    for list in sets.into_iter().flat_map(|sets| sets.values_mut()) {
        list.as_array_mut().unwrap().sort_by_key(ToString::to_string);
    }
    read
}

/// What oci-spec refuses although the specification does not.
fn leave_out(config: &mut Value, place: &str) {
    let refused = |text: &str| MISSPELT.contains(&text) || text == "CAP_FUTURE";
    if let Some(list) = config.pointer_mut(&format!("/process/{place}")) {
        list.as_array_mut().unwrap().retain(|text| !refused(text.as_str().unwrap()));
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(key, value)| (key, without_nulls(value))).collect())
        }
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// Where `found` lacks something of `wanted`, or has something else there: a line for each place.
fn lacking(wanted: &Value, found: &Value, at: &str, lines: &mut Vec<String>) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (key, value) in wanted {
                let found = found.get(key).unwrap_or(&Value::Null);
                lacking(value, found, &format!("{at}/{key}"), lines);
            }
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() == found.len() => {
            for (index, pair) in wanted.iter().zip(found).enumerate() {
                lacking(pair.0, pair.1, &format!("{at}/{index}"), lines);
            }
        }
        // An empty list or object, and false, are what is not there.
        (Value::Array(list), Value::Null) if list.is_empty() => {}
        (Value::Object(map), Value::Null) if map.is_empty() => {}
        (Value::Bool(false), Value::Null) => {}
        _ if wanted == found => {}
        _ => lines.push(format!("{at}: {wanted} became {found}")),
    }
}

fn compared(name: &str, config: &[u8]) -> Vec<String> {
    let ours = Spec::parse(config).unwrap();
    let written = serde_json::to_vec(&ours).unwrap();
    let mut lines = Vec::new();
    lacking(&theirs(config), &theirs(&written), "", &mut lines);
    lines.into_iter().map(|line| format!("{name}: {line}")).collect()
}

#[test]
fn another_reader_finds_in_what_we_write_all_that_it_found_in_what_we_read() {
    let mut lines = Vec::new();
    for name in ["podman-default/config.json", "policy/plain.json", "policy/full.json"] {
        lines.extend(compared(name, &fixture(name)));
    }
    assert!(lines.is_empty(), "{lines:#?}");
}

#[test]
fn the_other_reader_is_still_not_to_be_used_for_more() {
    let refuses =
        |config: Value| serde_json::from_value::<oci_spec::runtime::Spec>(config).is_err();
    let spec =
        |process: Value| json!({"ociVersion": "1.3.0", "process": process, "root": {"path": "r"}});
    let process = json!({"cwd": "/", "user": {"uid": 0, "gid": 0}});
    assert!(!refuses(spec(process.clone())));
    for flag in MISSPELT {
        let mut right = process.clone();
        right["scheduler"] = json!({"policy": "SCHED_OTHER", "flags": [flag]});
        assert!(refuses(spec(right)), "{flag}");
    }
    let mut newer = process;
    newer["capabilities"] = json!({"bounding": ["CAP_OF_A_NEWER_KERNEL"]});
    assert!(refuses(spec(newer)));
}

#[test]
fn another_reader_can_read_what_hardening_makes() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let cases: BTreeSet<PathBuf> =
        std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(cases.len() >= 5, "{cases:?}");
    for case in cases {
        let hardened: Value =
            serde_json::from_slice(&std::fs::read(case.join("hardened.json")).unwrap()).unwrap();
        let spec = serde_json::to_vec(&hardened["spec"]).unwrap();
        let read = theirs(&spec);
        assert!(read["process"].is_object() && read["linux"].is_object(), "{}", case.display());
    }
}
