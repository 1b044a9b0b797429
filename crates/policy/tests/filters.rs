//! Which filters of a configuration count as one where the default filter is only for those who have none.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::{harden_as, Choice, FilterFact, HostFacts, ProfileName, Source};
use common::{changed, facts};
use serde_json::json;

/// Whether the default filter is loaded under `baseline` beside a filter of which this is known.
fn gets_default(known: Option<FilterFact>, capabilities: &[&str]) -> bool {
    let mut choice = Choice::from(ProfileName::Baseline.profile());
    choice.overrides.grant("landlock.off", &Source::CommandLine).unwrap();
    for name in capabilities {
        let name = format!("capabilities.{}", name.trim_start_matches("CAP_"));
        choice.overrides.grant(&name, &Source::CommandLine).unwrap();
    }
    let host = HostFacts { can_make_user_namespace: true, own_filter: known, ..facts() };
    let mut spec = changed("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ERRNO"})).unwrap();
    let process = spec.process.as_mut().unwrap();
    let sets = json!({"bounding": capabilities, "permitted": capabilities});
    process.capabilities = serde_json::from_value(sets).unwrap();
    harden_as(spec, &choice, &host).unwrap().spec.extras().default_seccomp
}

fn passes(calls: &[&str], is_open: bool) -> Option<FilterFact> {
    let lets_pass = calls.iter().map(|call| (*call).to_owned()).collect();
    Some(FilterFact { lets_pass, is_open })
}

#[test]
fn a_filter_that_lets_pass_what_each_engine_refuses_is_none() {
    for call in ["add_key", "bpf", "init_module", "kexec_file_load", "perf_event_open", "swapoff"] {
        assert!(gets_default(passes(&[call], false), &[]), "{call}");
    }
    assert!(gets_default(None, &[]), "nobody has looked at it");
}

#[test]
fn a_filter_that_lists_what_it_refuses_has_to_refuse_more() {
    for call in ["clone", "keyctl", "mount", "unshare", "io_uring_setup"] {
        assert!(gets_default(passes(&[call], true), &[]), "{call}");
        assert!(!gets_default(passes(&[call], false), &[]), "{call}: podman's passes too");
    }
    assert!(!gets_default(passes(&[], true), &[]));
}

#[test]
fn what_engines_open_for_a_capability_need_not_be_refused_to_who_has_it() {
    for (call, capability) in [
        ("bpf", "CAP_BPF"),
        ("bpf", "CAP_SYS_ADMIN"),
        ("init_module", "CAP_SYS_MODULE"),
        ("settimeofday", "CAP_SYS_TIME"),
        ("open_by_handle_at", "CAP_DAC_READ_SEARCH"),
    ] {
        assert!(!gets_default(passes(&[call], false), &[capability]), "{call} {capability}");
        assert!(gets_default(passes(&[call], false), &["CAP_NET_ADMIN"]), "{call}");
    }
    assert!(gets_default(passes(&["kexec_load"], false), &["CAP_SYS_ADMIN"]));
}

#[test]
fn a_capability_that_the_ceiling_takes_opens_nothing() {
    let host =
        HostFacts { can_make_user_namespace: true, own_filter: passes(&["bpf"], false), ..facts() };
    let mut spec = changed("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ERRNO"})).unwrap();
    let sets = json!({"bounding": ["CAP_BPF"], "permitted": ["CAP_BPF"]});
    spec.process.as_mut().unwrap().capabilities = serde_json::from_value(sets).unwrap();
    let choice = Choice::from(ProfileName::Baseline.profile());
    assert!(harden_as(spec, &choice, &host).unwrap().spec.extras().default_seccomp);
}
