//! The generator leaves no property out.

use crate::generate::{configuration, Rng};
use crate::places;
use casemate_policy::owners;
use serde_json::Value;
use std::collections::BTreeSet;

const LIST: &str = include_str!("../../../../tests/fixtures/policy/specification.txt");

/// The properties of a document as the list spells them: structure, property.
fn walk(at: &str, value: &Value, seen: &mut BTreeSet<(String, String)>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                seen.insert((at.to_owned(), key.clone()));
                let below = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                walk(&structure(&below), value, seen);
            }
        }
        Value::Array(list) => {
            for value in list {
                walk(&structure(&format!("{at}[]")), value, seen);
            }
        }
        _ => {}
    }
}

/// Structures that the list names together, and maps whose keys are names.
fn structure(path: &str) -> String {
    for map in ["linux.netDevices.", "linux.timeOffsets.", "linux.resources.rdma."] {
        if path.starts_with(map) && !path.ends_with("{}") {
            return format!("{}{{}}", map.trim_end_matches('.'));
        }
    }
    match path {
        "linux.uidMappings[]" | "linux.gidMappings[]" => {
            "linux.uidMappings[], linux.gidMappings[]".to_owned()
        }
        path if path.starts_with("linux.resources.blockIO.throttle") && path.ends_with("[]") => {
            "linux.resources.blockIO.throttle*[]".to_owned()
        }
        path if path.starts_with("hooks.") && path.ends_with("[]") => "hooks[]".to_owned(),
        path => path.to_owned(),
    }
}

#[test]
fn every_property_of_the_specification_and_of_the_model_is_generated() {
    let mut seen = BTreeSet::new();
    for seed in 0..3000 {
        walk("", &configuration(&mut Rng::new(seed), &places()), &mut seen);
    }
    let listed =
        LIST.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(' '));
    let owned = owners().map(|owner| (owner.within, owner.property));
    let wanted = listed
        .chain(owned)
        .filter(|(_, property)| !property.starts_with('(') && !property.ends_with(')'));
    let missing: BTreeSet<_> = wanted
        .filter(|(at, property)| !seen.contains(&((*at).to_owned(), (*property).to_owned())))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_type_of_file_system_is_asked_for() {
    let mut seen = BTreeSet::new();
    for seed in 0..20_000 {
        let document = configuration(&mut Rng::new(seed), &places());
        let mounts = document["mounts"].as_array().cloned().unwrap_or_default();
        seen.extend(mounts.iter().filter_map(|mount| mount["type"].as_str().map(str::to_owned)));
    }
    let list = include_str!("../../../../tests/fixtures/policy/filesystems.txt");
    let missing: Vec<_> =
        list.lines().filter(|line| !line.starts_with('#') && !seen.contains(*line)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
