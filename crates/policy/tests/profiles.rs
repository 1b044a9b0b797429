//! Profiles: the files and the code agree, and the node's choice is read strictly.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use casemate_policy::spec::Capability;
use casemate_policy::{parse_node_policy, NodePolicy, Profile, ProfileName};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: ProfileName,
    no_new_privileges: bool,
    require_mount_namespace: bool,
    allow_shared_propagation: bool,
    capabilities: Capabilities,
    rlimits: Rlimits,
    seccomp: Seccomp,
    root: Root,
    paths: Paths,
    pids: Pids,
    devices: Devices,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    ceiling: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rlimits {
    core: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seccomp {
    default_filter: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    readonly: bool,
    #[serde(default)]
    tmpfs: Vec<Tmpfs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tmpfs {
    destination: String,
    options: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paths {
    masked: Vec<String>,
    readonly: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pids {
    limit: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Devices {
    strict: bool,
}

fn assert_same(file: &File, built_in: &Profile) {
    let ceiling = file.capabilities.ceiling.as_ref().map(|names| {
        names.iter().fold(0, |mask, name| mask | Capability::from_name(name).unwrap().mask())
    });
    let tmpfs: Vec<(&str, Vec<&str>)> =
        built_in.tmpfs.iter().map(|tmpfs| (tmpfs.destination, tmpfs.options.to_vec())).collect();
    let wanted: Vec<(&str, Vec<&str>)> = file
        .root
        .tmpfs
        .iter()
        .map(|tmpfs| {
            (tmpfs.destination.as_str(), tmpfs.options.iter().map(String::as_str).collect())
        })
        .collect();
    assert_eq!(built_in.name, file.name);
    assert_eq!(built_in.no_new_privileges, file.no_new_privileges);
    assert_eq!(built_in.require_mount_namespace, file.require_mount_namespace);
    assert_eq!(built_in.allow_shared_propagation, file.allow_shared_propagation);
    assert_eq!(built_in.capability_ceiling, ceiling);
    assert_eq!(built_in.core_limit, file.rlimits.core);
    assert_eq!(built_in.default_filter, file.seccomp.default_filter);
    assert_eq!(built_in.readonly_root, file.root.readonly);
    assert_eq!(tmpfs, wanted);
    assert_eq!(built_in.masked_paths, file.paths.masked);
    assert_eq!(built_in.readonly_paths, file.paths.readonly);
    assert_eq!(built_in.pids_limit, file.pids.limit);
    assert_eq!(built_in.strict_devices, file.devices.strict);
}

#[test]
fn the_profile_files_and_the_compiled_profiles_are_the_same() {
    let hardened: File = toml::from_str(include_str!("../../../profiles/hardened.toml")).unwrap();
    assert_same(&hardened, ProfileName::Hardened.profile());
    let privileged: File =
        toml::from_str(include_str!("../../../profiles/privileged.toml")).unwrap();
    assert_same(&privileged, ProfileName::Privileged.profile());
}

#[test]
fn only_the_privileged_profile_runs_configurations_as_written() {
    assert!(ProfileName::Privileged.profile().is_verbatim());
    assert!(!ProfileName::Hardened.profile().is_verbatim());
    assert_eq!(ProfileName::DEFAULT, ProfileName::Hardened);
}

#[test]
fn a_profile_of_a_later_release_is_told_apart_from_a_typing_mistake() {
    for name in ["baseline", "restricted"] {
        let error = ProfileName::parse(name).unwrap_err().to_string();
        let wanted = format!(
            "profile \"{name}\" is not available in this release; use hardened or privileged"
        );
        assert_eq!(error, wanted);
    }
    let error = ProfileName::parse("hardend").unwrap_err().to_string();
    assert_eq!(error, "profile \"hardend\" is unknown; use hardened or privileged");
}

#[test]
fn a_node_policy_chooses_the_profile() {
    let policy = parse_node_policy("# node\nprofile = \"privileged\"\n").unwrap();
    assert_eq!(policy.profile, ProfileName::Privileged);
    assert_eq!(parse_node_policy("").unwrap(), NodePolicy::default());
}

#[test]
fn a_node_policy_with_a_mistake_is_refused_in_one_line() {
    let cases = [
        ("profil = \"hardened\"", "line 1: unknown field `profil`"),
        ("\nprofile = hardened", "line 2: "),
        ("profile = 1", "line 1: invalid type: integer `1`"),
        ("profile = \"restricted\"", "profile \"restricted\" is not available"),
        ("[profile]", "line 1: invalid type: map"),
    ];
    for (text, wanted) in cases {
        let error = parse_node_policy(text).unwrap_err().to_string();
        assert!(error.starts_with(wanted), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
