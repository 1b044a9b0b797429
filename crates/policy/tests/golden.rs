//! Whole configurations through the hardened profile, compared with what is committed under `golden/`.
//!
//! `CASEMATE_BLESS=1 cargo test -p casemate-policy --test golden` writes the files anew; read the
//! difference before committing it.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::Spec;
use casemate_policy::{harden_as, Choice, HostFacts, ProfileName};
use common::{choice_for_full, facts, facts_for, fixture};
use serde::Serialize;
use std::path::PathBuf;

fn check(case: &str, config: &str, choice: &Choice, facts: &HostFacts) {
    let spec = Spec::parse(&fixture(config)).unwrap();
    let sources = facts_for(&spec).sources;
    let facts = HostFacts { sources, ..facts.clone() };
    let result = harden_as(spec, choice, &facts).unwrap();
    compare(case, "decisions.json", &result.decisions);
    compare(case, "hardened.json", &result.spec);
}

fn hardened() -> Choice {
    Choice::from(ProfileName::Hardened.profile())
}

fn compare(case: &str, name: &str, value: &impl Serialize) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(case).join(name);
    let written = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("CASEMATE_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, written).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(&path).unwrap();
    assert!(written == wanted, "{} differs; got:\n{written}", path.display());
}

#[test]
fn podmans_default_container_hardened() {
    check("podman-hardened", "podman-default/config.json", &hardened(), &facts());
}

#[test]
fn the_plain_container_hardened() {
    check("plain-hardened", "policy/plain.json", &hardened(), &facts());
}

#[test]
fn the_plain_container_hardened_where_it_gets_no_cgroup() {
    let facts = HostFacts::default();
    check("plain-hardened-no-cgroup", "policy/plain.json", &hardened(), &facts);
}

#[test]
fn every_property_hardened() {
    let choice = choice_for_full(ProfileName::Hardened);
    check("full-hardened", "policy/full.json", &choice, &facts());
}

#[test]
fn every_property_privileged() {
    let choice = Choice::from(ProfileName::Privileged.profile());
    check("full-privileged", "policy/full.json", &choice, &facts());
}
