//! Which filters of a configuration count as one where the default filter is only for those who have none.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::{harden_as, Choice, HostFacts, ProfileName, Source};
use common::{changed, facts};
use serde_json::{json, Value};

/// Whether the default filter is loaded under `baseline` beside this one.
fn gets_default(filter: &Value) -> bool {
    let mut choice = Choice::from(ProfileName::Baseline.profile());
    choice.overrides.grant("landlock.off", &Source::CommandLine).unwrap();
    let host = HostFacts { can_make_user_namespace: true, ..facts() };
    let spec = changed("/linux/seccomp", filter.clone()).unwrap();
    harden_as(spec, &choice, &host).unwrap().spec.extras().default_seccomp
}

fn rule(names: &[&str], action: &str, args: &Value) -> Value {
    json!({"names": names, "action": action, "args": args})
}

const KERNEL: [&str; 5] = ["delete_module", "finit_module", "init_module", "kexec_load", "swapon"];

#[test]
fn a_filter_that_lets_everything_pass_is_none() {
    let first = json!([{"index": 0, "value": 123_456_789, "op": "SCMP_CMP_EQ"}]);
    let always = json!([]);
    let each = |action: &str, args: &Value| json!([rule(&KERNEL, action, args)]);
    for (default, syscalls) in [
        ("SCMP_ACT_ALLOW", json!([])),
        ("SCMP_ACT_LOG", json!([])),
        ("SCMP_ACT_ALLOW", json!([rule(&["kill"], "SCMP_ACT_LOG", &always)])),
        ("SCMP_ACT_ALLOW", json!([rule(&["nosuchcall"], "SCMP_ACT_ERRNO", &always)])),
        ("SCMP_ACT_ALLOW", json!([rule(&["unshare"], "SCMP_ACT_ERRNO", &first)])),
        ("SCMP_ACT_ALLOW", json!([rule(&KERNEL[1..], "SCMP_ACT_ERRNO", &always)])),
        ("SCMP_ACT_ALLOW", each("SCMP_ACT_ERRNO", &first)),
        ("SCMP_ACT_ERRNO", each("SCMP_ACT_ALLOW", &always)),
        ("SCMP_ACT_TRACE", json!([])),
    ] {
        let filter = json!({"defaultAction": default, "syscalls": syscalls});
        assert!(gets_default(&filter), "{filter}");
    }
}

#[test]
fn a_filter_that_keeps_the_kernel_as_it_is_counts_as_one() {
    let always = json!([]);
    for (default, syscalls) in [
        ("SCMP_ACT_ERRNO", json!([rule(&["read", "unshare"], "SCMP_ACT_ALLOW", &always)])),
        ("SCMP_ACT_KILL_PROCESS", json!([])),
        ("SCMP_ACT_ALLOW", json!([rule(&KERNEL, "SCMP_ACT_ERRNO", &always)])),
    ] {
        let filter = json!({"defaultAction": default, "syscalls": syscalls});
        assert!(!gets_default(&filter), "{filter}");
    }
}
