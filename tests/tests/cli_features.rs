//! `features` claims what the parsers of this tree accept: nothing more, nothing less.

use casemate_policy::mount_options::MountPlanFlags;
use casemate_policy::spec::{MemoryPolicyFlag, MemoryPolicyMode};
use casemate_policy::ProfileName;
use casemate_seccomp::{Action, Arch, Flags, Op};
use casemate_tests::cli::casemate;
use serde_json::Value;

fn claimed(pointer: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(&casemate("features").stdout).unwrap();
    let list = document.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing"));
    let names = list.as_array().unwrap().iter();
    names.map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn sorted(names: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().map(Into::into).collect();
    names.sort();
    names
}

#[test]
fn mount_options_are_those_that_are_understood() {
    assert_eq!(claimed("/mountOptions"), MountPlanFlags::known_options());
}

#[test]
fn seccomp_names_are_those_that_are_understood() {
    let archs = Arch::all().map(Arch::scmp_name);
    assert_eq!(claimed("/linux/seccomp/archs"), sorted(archs));
    assert_eq!(claimed("/linux/seccomp/operators"), sorted(Op::scmp_names()));
    assert_eq!(claimed("/linux/seccomp/knownFlags"), sorted(Flags::NAMES));
    assert_eq!(claimed("/linux/seccomp/supportedFlags"), sorted(Flags::NAMES));
    assert_eq!(claimed("/linux/seccomp/actions"), sorted(Action::SCMP_NAMES));
}

#[test]
fn memory_policies_are_those_that_are_understood() {
    for mode in claimed("/linux/memoryPolicy/modes") {
        assert!(serde_json::from_value::<MemoryPolicyMode>(mode.into()).is_ok());
    }
    for flag in claimed("/linux/memoryPolicy/flags") {
        assert!(serde_json::from_value::<MemoryPolicyFlag>(flag.into()).is_ok());
    }
}

#[test]
fn profiles_are_those_that_there_are() {
    let document: Value = serde_json::from_str(&casemate("features").stdout).unwrap();
    let names = ProfileName::ALL.map(ProfileName::as_str).join(",");
    assert_eq!(document["annotations"]["io.github.casemate.profiles"], names);
}
