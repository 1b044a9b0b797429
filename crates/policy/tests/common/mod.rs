//! Shared by the tests: the fixtures, and a way to change one value in them.

#![allow(dead_code, reason = "each test file uses its own part")]

use casemate_policy::spec::Spec;
use casemate_policy::{Choice, FileFact, FileKind, HostFacts, ProfileName, Source, SourceFact};
use serde_json::Value;
use std::path::PathBuf;

pub(crate) fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

pub(crate) fn plain() -> Value {
    serde_json::from_slice(&fixture("policy/plain.json")).unwrap()
}

pub(crate) fn full() -> Value {
    serde_json::from_slice(&fixture("policy/full.json")).unwrap()
}

/// Puts `value` at a JSON pointer; a last part of `-` appends, `null` with `remove` semantics is left to
/// the caller.
pub(crate) fn put(document: &mut Value, pointer: &str, value: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent).unwrap_or_else(|| panic!("no {parent}")) {
        Value::Object(map) => {
            map.insert(key.to_owned(), value);
        }
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => list[key.parse::<usize>().unwrap()] = value,
        other => panic!("{parent} is {other}"),
    }
}

pub(crate) fn remove(document: &mut Value, pointer: &str) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match document.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(key)),
        _ => panic!("no {parent}"),
    }
}

pub(crate) fn parse(document: &Value) -> Result<Spec, String> {
    Spec::parse(document.to_string().as_bytes()).map_err(|error| error.to_string())
}

/// `plain.json` with one value changed.
pub(crate) fn changed(pointer: &str, value: Value) -> Result<Spec, String> {
    let mut document = plain();
    put(&mut document, pointer, value);
    parse(&document)
}

/// The profile, and the overrides that `full.json` needs to be run at all.
pub(crate) fn choice_for_full(profile: ProfileName) -> Choice {
    let mut choice = Choice::from(profile.profile());
    for name in [
        "devices.fuse",
        "network.devices",
        "process.scheduler",
        "cgroup.any-file",
        "process.seccomp-listener",
    ] {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    choice
}

/// What the runtime finds where the sources of a configuration are what their paths say.
pub(crate) fn facts_for(spec: &Spec) -> HostFacts {
    let file = |path: &str| FileFact {
        path: path.to_owned(),
        kind: FileKind::Directory,
        ..FileFact::default()
    };
    let bound = spec.mounts.iter().enumerate().filter(|(_, mount)| mount.is_bind());
    let found = |path: &String| SourceFact::Found(Box::new(file(path)));
    let sources = bound.filter_map(|(index, mount)| Some((index, found(mount.source.as_ref()?))));
    HostFacts { sources: sources.collect(), ..facts() }
}

pub(crate) fn facts() -> HostFacts {
    HostFacts {
        in_initial_userns: true,
        kernel: (6, 12),
        cgroup_controllers: ["cpu", "memory", "pids"].map(str::to_owned).to_vec(),
        ..HostFacts::default()
    }
}
