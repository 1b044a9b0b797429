//! Profiles: the files and the code agree.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use casemate_policy::spec::Capability;
use casemate_policy::{Mode, Profile, ProfileName, CONTROLS};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What is missing is as in the profile that the file names as its base.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: ProfileName,
    fail_closed: Option<bool>,
    controls: BTreeMap<String, Mode>,
    capabilities: Option<Capabilities>,
    rlimits: Option<Rlimits>,
    seccomp: Option<Seccomp>,
    root: Option<Root>,
    paths: Option<Paths>,
    pids: Option<Pids>,
    process: Option<Process>,
    mounts: Option<Mounts>,
    sysctls: Option<Sysctls>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mounts {
    noexec: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sysctls {
    safe: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Capabilities {
    ceiling: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rlimits {
    core: u64,
    nofile: (u64, u64),
    memlock: (u64, u64),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seccomp {
    stack: Option<bool>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Root {
    tmpfs: Vec<Tmpfs>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Tmpfs {
    destination: String,
    options: Vec<String>,
    #[serde(default)]
    if_present: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Paths {
    masked: Option<Vec<String>>,
    readonly: Option<Vec<String>>,
    unmasked_in_userns: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Process {
    root_in_userns: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pids {
    limit: i64,
}

fn ceiling(file: &File) -> Option<u64> {
    let names = &file.capabilities.as_ref()?.ceiling;
    Some(names.iter().fold(0, |mask, name| mask | Capability::from_name(name).unwrap().mask()))
}

fn tmpfs(profile: &Profile) -> Vec<Tmpfs> {
    let texts = |options: &[&str]| options.iter().map(|option| (*option).to_owned()).collect();
    let one = |tmpfs: &casemate_policy::Tmpfs| Tmpfs {
        destination: tmpfs.destination.to_owned(),
        options: texts(tmpfs.options),
        if_present: tmpfs.if_present,
    };
    profile.tmpfs.iter().map(one).collect()
}

fn assert_same(text: &str, built_in: &Profile, base: &Profile) {
    let file: File = toml::from_str(text).unwrap();
    assert_eq!(built_in.name, file.name);
    let modes: BTreeMap<String, Mode> =
        CONTROLS.iter().map(|c| (c.id.as_str().to_owned(), c.mode(built_in.name))).collect();
    assert_eq!(modes, file.controls, "{}", built_in.name);
    assert_eq!(built_in.capability_ceiling, ceiling(&file).unwrap_or(base.capability_ceiling));
    let (stack, strict) = file.seccomp.map_or((None, None), |s| (s.stack, s.strict));
    assert_eq!(built_in.stack_filter, stack.unwrap_or(base.stack_filter));
    assert_eq!(built_in.strict_filter, strict.unwrap_or(base.strict_filter));
    assert_eq!(built_in.fail_closed, file.fail_closed.unwrap_or(base.fail_closed));
    let limits =
        |profile: &Profile| (profile.core_limit, profile.nofile_limit, profile.memlock_limit);
    let written = file.rlimits.map(|r| (r.core, r.nofile, r.memlock));
    assert_eq!(limits(built_in), written.unwrap_or(limits(base)));
    assert_eq!(built_in.noexec_volumes, file.mounts.map_or(base.noexec_volumes, |m| m.noexec));
    let sysctls =
        |names: Vec<String>| names.iter().map(|name| name.replace('.', "/")).collect::<Vec<_>>();
    let base_sysctls = || base.sysctls.iter().map(|path| (*path).to_owned()).collect();
    assert_eq!(built_in.sysctls, file.sysctls.map_or_else(base_sysctls, |s| sysctls(s.safe)));
    assert_eq!(tmpfs(built_in), file.root.map_or_else(|| tmpfs(base), |r| r.tmpfs));
    assert_eq!(built_in.pids_limit, file.pids.map_or(base.pids_limit, |p| p.limit));
    let root_in_userns = file.process.map(|process| process.root_in_userns);
    assert_eq!(built_in.root_in_userns, root_in_userns.unwrap_or(base.root_in_userns));
    let paths = file.paths.as_ref();
    let own = |list: Option<&Vec<String>>, base: &[&str]| match list {
        Some(list) => list.clone(),
        None => base.iter().map(|path| (*path).to_owned()).collect(),
    };
    let masked = paths.and_then(|paths| paths.masked.as_ref());
    assert_eq!(built_in.masked_paths, own(masked, base.masked_paths));
    let readonly = paths.and_then(|paths| paths.readonly.as_ref());
    assert_eq!(built_in.readonly_paths, own(readonly, base.readonly_paths));
    let unmasked = paths.map(|paths| paths.unmasked_in_userns);
    assert_eq!(built_in.unmasked_in_userns, unmasked.unwrap_or(base.unmasked_in_userns));
}

#[test]
fn the_profile_files_and_the_compiled_profiles_are_the_same() {
    let [privileged, baseline, hardened, restricted] = ProfileName::ALL.map(ProfileName::profile);
    assert_same(include_str!("../../../profiles/privileged.toml"), privileged, baseline);
    assert_same(include_str!("../../../profiles/baseline.toml"), baseline, hardened);
    // A profile that is its own base has to say everything but what is compared with itself: none is missing.
    let text = include_str!("../../../profiles/hardened.toml");
    let file: File = toml::from_str(text).unwrap();
    assert!(file.capabilities.is_some() && file.rlimits.is_some() && file.seccomp.is_some());
    assert!(file.fail_closed.is_some() && file.root.is_some() && file.pids.is_some());
    let paths = file.paths.unwrap();
    assert!(paths.masked.is_some() && paths.readonly.is_some() && file.process.is_some());
    assert!(file.mounts.is_some() && file.sysctls.is_some());
    assert_same(text, hardened, hardened);
    assert_same(include_str!("../../../profiles/restricted.toml"), restricted, hardened);
}

#[test]
fn only_the_privileged_profile_runs_configurations_as_written() {
    for name in ProfileName::ALL {
        assert_eq!(name.profile().is_verbatim(), name == ProfileName::Privileged);
    }
    assert_eq!(ProfileName::DEFAULT, ProfileName::Hardened);
}

#[test]
fn no_profile_is_looser_than_the_one_before_it() {
    for control in CONTROLS {
        assert!(control.modes.is_sorted(), "{}", control.id);
    }
    for pair in ProfileName::ALL.windows(2) {
        let (loose, strict) = (pair[0].profile(), pair[1].profile());
        assert_eq!(strict.capability_ceiling & !loose.capability_ceiling, 0);
        assert!(strict.pids_limit <= loose.pids_limit && strict.core_limit <= loose.core_limit);
        assert!(strict.stack_filter >= loose.stack_filter);
        assert!(strict.strict_filter >= loose.strict_filter);
        assert!(strict.fail_closed >= loose.fail_closed);
        assert!(strict.noexec_volumes >= loose.noexec_volumes);
        assert!(strict.sysctls.iter().all(|path| loose.sysctls.contains(path)));
        assert!(loose.masked_paths.iter().all(|path| strict.masked_paths.contains(path)));
        assert!(loose.readonly_paths.iter().all(|path| strict.readonly_paths.contains(path)));
    }
}

#[test]
fn control_ids_and_override_names_are_unique() {
    let mut seen = BTreeSet::new();
    for control in CONTROLS {
        // A control may be called like its only override.
        let own: BTreeSet<&str> =
            control.allow.iter().copied().chain([control.id.as_str()]).collect();
        for name in own {
            assert!(seen.insert(name), "{name} is twice in the table");
        }
    }
    for control in CONTROLS {
        assert!(!control.summary.is_empty() && control.id.as_str().contains('.'));
    }
}

#[test]
fn an_unknown_profile_is_refused() {
    let error = ProfileName::parse("hardend").unwrap_err().to_string();
    let wanted = "profile \"hardend\" is unknown; use privileged, baseline, hardened or restricted";
    assert_eq!(error, wanted);
}
