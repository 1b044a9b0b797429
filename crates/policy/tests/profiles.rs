//! Profiles: what their files may say, and how they compare.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

// What reads the files when the crate is built.
#[allow(dead_code)]
#[path = "../build.rs"]
mod build;

use casemate_policy::{ProfileName, CONTROLS};
use std::collections::BTreeSet;

/// The constant made of a file for the profile baseline, with more in it.
fn made_of(more: &str) -> Result<String, String> {
    build::constant(
        "baseline",
        Some("hardened"),
        &format!("name = \"baseline\"\n{more}\n[controls]"),
    )
}

#[test]
fn what_a_file_says_is_what_is_compiled_in() {
    let made = made_of("pids.limit = 5\ncapabilities.ceiling = [\"CAP_FOWNER\", \"CAP_CHOWN\"]");
    let wanted =
        "pub(super) const BASELINE: Profile = Profile { name: ProfileName::Baseline,\n    \
        capability_ceiling: 9,\n    pids_limit: 5,\n    ..HARDENED\n};\n";
    assert_eq!(made.unwrap(), wanted);
    let hardened = ProfileName::Hardened.profile();
    assert_eq!((hardened.pids_limit, hardened.nofile_limit), (2048, (1024, 1_048_576)));
    assert_eq!(hardened.capability_ceiling, 0b100_1111_1011);
    assert!(hardened.masked_paths.contains(&"/proc/kcore"));
    assert!(hardened.sysctls.contains(&"net/ipv4/ping_group_range"));
    assert_eq!(ProfileName::Restricted.profile().tmpfs[2].options[2], "noexec");
    // What a file leaves out is that of its base.
    let [privileged, baseline] =
        [ProfileName::Privileged, ProfileName::Baseline].map(ProfileName::profile);
    assert_eq!(privileged.capability_ceiling, baseline.capability_ceiling);
    assert_eq!(baseline.masked_paths, hardened.masked_paths);
}

#[test]
fn a_value_of_a_file_that_is_unknown_or_of_another_kind_stops_the_build() {
    for (more, error) in [
        ("pids.limits = 5", "value pids.limits is unknown"),
        ("strict = true", "value strict is unknown"),
        ("pids.limit = -1", "value pids.limit is of another kind"),
        ("pids.limit = \"5\"", "value pids.limit is of another kind"),
        ("seccomp.stack = 1", "value seccomp.stack is of another kind"),
        ("rlimits.nofile = [2, 1]", "value rlimits.nofile is of another kind"),
        ("paths.masked = [1]", "value paths.masked is of another kind"),
    ] {
        assert_eq!(made_of(more).unwrap_err(), error);
    }
    for more in [
        "capabilities.ceiling = [\"CAP_CHWON\"]",
        "root.tmpfs = [{ destination = \"/a\", options = [], if_there = true }]",
        "root.tmpfs = [{ destination = \"/a\" }]",
    ] {
        assert!(made_of(more).unwrap_err().ends_with("is of another kind"), "{more}");
    }
    let other = build::constant("hardened", None, "name = \"baseline\"\n[controls]").unwrap_err();
    assert_eq!(other, "`name` must be \"hardened\"");
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
