//! What docs/DEPENDENCIES.md promises about the crates that the binary is made of: their licences, where they come from, and
//! which are never among them. The lists are those of `.deny.toml`. `hack/deny` looks deeper (the texts of licences, known
//! vulnerabilities, the workspaces of tests) and has to be built first; this costs a second and needs no network.

use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// All crates that a build for this machine takes, ours among them.
fn packages() -> Vec<Value> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let mut cargo = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()));
    cargo
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &triple])
        .current_dir(top);
    let out = casemate_tests::programs::output(&mut cargo).unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: Value = serde_json::from_slice(&out.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn rules() -> toml::Table {
    include_str!("../../.deny.toml").parse().unwrap()
}

fn texts(value: &toml::Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// Whether a licence expression (SPDX, or with the slash of older crates) can be met by the permitted licences alone.
fn is_met(expression: &str, permitted: &[String]) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let met = any_of(&mut words, permitted);
    assert_eq!(words.next(), None, "{expression}");
    met
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, permitted: &[String]) -> bool {
    let mut met = all_of(words, permitted);
    while words.next_if_eq(&"OR").is_some() {
        met |= all_of(words, permitted);
    }
    met
}

fn all_of(words: &mut Words<'_>, permitted: &[String]) -> bool {
    let mut met = one(words, permitted);
    while words.next_if_eq(&"AND").is_some() {
        met &= one(words, permitted);
    }
    met
}

fn one(words: &mut Words<'_>, permitted: &[String]) -> bool {
    if words.next_if_eq(&"(").is_some() {
        let met = any_of(words, permitted);
        assert_eq!(words.next(), Some(")"));
        return met;
    }
    let mut licence = words.next().unwrap().to_owned();
    if words.next_if_eq(&"WITH").is_some() {
        licence = format!("{licence} WITH {}", words.next().unwrap());
    }
    permitted.contains(&licence)
}

#[test]
fn every_crate_has_a_licence_that_goes_with_ours() {
    let permitted = texts(&rules()["licenses"]["allow"]);
    let packages = packages();
    assert!(packages.len() > 30, "{}", packages.len());
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("no licence");
        assert!(is_met(licence, &permitted), "{}: {licence}", package["name"]);
    }
}

#[test]
fn every_crate_is_ours_or_comes_from_the_registry_that_is_named() {
    let known = texts(&rules()["sources"]["allow-registry"]);
    for package in packages() {
        let Some(source) = package["source"].as_str() else { continue };
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        assert!(known.iter().any(|known| known == registry), "{}: {source}", package["name"]);
    }
}

#[test]
fn crates_that_have_no_place_here_are_not_among_them() {
    let rules = rules();
    let banned: Vec<&str> = rules["bans"]["deny"]
        .as_array()
        .unwrap()
        .iter()
        .map(|ban| ban["crate"].as_str().unwrap())
        .collect();
    assert!(banned.contains(&"zbus"));
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        assert!(!banned.contains(&name), "{name}");
    }
}

/// Debian's own compiler builds casemate and its tests: cargo refuses a crate that names a later one.
#[test]
fn no_crate_asks_for_a_later_compiler_than_we_do() {
    let release = |text: &str| {
        let mut numbers = text.split('.').map(|part| part.parse::<u32>().unwrap());
        (numbers.next().unwrap(), numbers.next().unwrap_or(0))
    };
    let packages = packages();
    let ours = packages.iter().find(|package| package["name"] == "casemate").unwrap();
    let ours = release(ours["rust_version"].as_str().unwrap());
    for package in &packages {
        let Some(asked) = package["rust_version"].as_str() else { continue };
        assert!(
            release(asked) <= ours,
            "{} {} asks for {asked}",
            package["name"],
            package["version"]
        );
    }
}

#[test]
fn licence_expressions_are_understood() {
    let permitted = ["MIT", "Unicode-3.0", "Apache-2.0 WITH LLVM-exception"].map(str::to_owned);
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "MIT/GPL-3.0",
        "(GPL-3.0 OR MIT) AND Unicode-3.0",
        "Apache-2.0 WITH LLVM-exception OR Apache-2.0",
    ] {
        assert!(is_met(good, &permitted), "{good}");
    }
    for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(GPL-3.0 OR MIT) AND BSL-1.0", "Apache-2.0"] {
        assert!(!is_met(bad, &permitted), "{bad}");
    }
}
