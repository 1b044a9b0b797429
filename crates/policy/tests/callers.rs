//! What concerns the caller and the host around a container: hooks, terminals, keyrings, crashes, memory.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::RlimitKind;
use casemate_policy::{
    harden_as, harden_process, AllowedHook, CallerLimits, Choice, ControlId, FileFact, FileKind,
    Hardened, HookFile, HostFacts, Mode, ProfileName, Refusal, Source, Verdict,
};
use common::{changed, facts, parse, plain};
use serde_json::json;

fn choice(profile: ProfileName, allow: &[&str]) -> Choice {
    let mut choice = Choice::from(profile.profile());
    for name in allow {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    choice
}

fn hardened(facts: &HostFacts, allow: &[&str]) -> Result<Hardened, Refusal> {
    harden_as(parse(&plain()).unwrap(), &choice(ProfileName::Hardened, allow), facts)
}

fn verdict(result: &Hardened, rule: ControlId) -> Verdict {
    result.decisions.iter().find(|decision| decision.rule == rule).unwrap().verdict
}

fn core(result: &Hardened) -> (u64, u64) {
    let limits = &result.spec.process.as_ref().unwrap().rlimits;
    let core = limits.iter().find(|limit| limit.kind == RlimitKind::Core).unwrap();
    (core.soft, core.hard)
}

#[test]
fn a_crash_does_not_start_the_hosts_program() {
    let pipe = |hard: u64| HostFacts {
        core_pattern: casemate_policy::CorePattern::Pipe,
        limits: CallerLimits { core: Some(hard), ..CallerLimits::default() },
        ..facts()
    };
    assert_eq!(core(&hardened(&facts(), &[]).unwrap()), (0, 0));
    assert_eq!(core(&hardened(&pipe(u64::MAX), &[]).unwrap()), (1, 1));
    // Nobody can go above the caller's own.
    assert_eq!(core(&hardened(&pipe(0), &[]).unwrap()), (0, 0));
    for limits in [(0, 0), (4096, 4096), (0, 4096), (1, 1)] {
        let entry = json!([{"type": "RLIMIT_CORE", "soft": limits.0, "hard": limits.1}]);
        let spec = changed("/process/rlimits", entry).unwrap();
        let result = harden_as(spec, &choice(ProfileName::Hardened, &[]), &pipe(u64::MAX)).unwrap();
        assert_eq!(core(&result), (1, 1), "{limits:?}");
        let wanted = if limits == (1, 1) { Verdict::Kept } else { Verdict::Tightened };
        assert_eq!(verdict(&result, ControlId::CoreLimit), wanted);
        // exec is told by what the container has.
        let process = parse(&plain()).unwrap().process.unwrap();
        let (added, _) = harden_process(process, &result.spec, CallerLimits::default()).unwrap();
        let core = added.rlimits.iter().find(|limit| limit.kind == RlimitKind::Core).unwrap();
        assert_eq!((core.soft, core.hard), (1, 1));
    }
}

#[test]
fn a_container_ends_as_a_whole_where_the_policy_wants_it() {
    let group = |result: &Hardened| {
        let resources = result.spec.linux.resources.clone().unwrap_or_default();
        resources.unified.get("memory.oom.group").cloned()
    };
    assert_eq!(group(&hardened(&facts(), &[]).unwrap()), None);
    let mut on = choice(ProfileName::Hardened, &[]);
    on.overrides.modes.insert(ControlId::OomGroup, Mode::Enforce);
    let result = harden_as(parse(&plain()).unwrap(), &on, &facts()).unwrap();
    assert_eq!(group(&result).as_deref(), Some("1"));
    assert_eq!(verdict(&result, ControlId::OomGroup), Verdict::Added);
    let own = json!({"unified": {"memory.oom.group": "0"}});
    let result = harden_as(changed("/linux/resources", own).unwrap(), &on, &facts()).unwrap();
    assert_eq!(group(&result).as_deref(), Some("0"), "who says so knows");
    on.overrides.grant("memory.oom-single", &Source::CommandLine).unwrap();
    let result = harden_as(parse(&plain()).unwrap(), &on, &facts()).unwrap();
    assert_eq!((group(&result), verdict(&result, ControlId::OomGroup)), (None, Verdict::Waived));
}

#[test]
fn terminals_go_to_the_caller_and_to_root() {
    let spec = hardened(&facts(), &[]).unwrap().spec;
    assert!(spec.check_console(1000, 1000).is_ok() && spec.check_console(0, 1000).is_ok());
    let text = spec.check_console(1001, 0).unwrap_err().to_string();
    assert!(text.contains("uid 1001") && text.contains("(rule console.peer)"), "{text}");
    let free = hardened(&facts(), &["console.foreign"]).unwrap().spec;
    assert!(free.check_console(1001, 0).is_ok());
}

#[test]
fn the_callers_keyring_is_given_by_name_only() {
    let spec = hardened(&facts(), &[]).unwrap().spec;
    assert!(!spec.may_inherit_keyring());
    assert_eq!(spec.keyring_decision(true).unwrap().verdict, Verdict::Tightened);
    assert_eq!(spec.keyring_decision(false).unwrap().verdict, Verdict::Kept);
    let free = hardened(&facts(), &["keyring.inherited"]).unwrap().spec;
    assert!(free.may_inherit_keyring());
    assert_eq!(free.keyring_decision(true).unwrap().verdict, Verdict::Waived);
    let loose = choice(ProfileName::Privileged, &[]);
    let loose = harden_as(parse(&plain()).unwrap(), &loose, &facts()).unwrap().spec;
    assert!(loose.may_inherit_keyring() && loose.keyring_decision(true).is_none());
}

#[test]
fn hooks_are_compared_with_the_list_by_path_and_digest() {
    let digest = "0".repeat(64);
    let spec = || changed("/hooks", json!({"prestart": [{"path": "/proc/7/exe"}]})).unwrap();
    let file = HookFile { path: "/usr/bin/engine".to_owned(), sha256: Some(digest.clone()) };
    let host = HostFacts { hook_files: [("/hooks/prestart/0".to_owned(), file)].into(), ..facts() };
    let run = |list: Option<Vec<AllowedHook>>| {
        let mut choice = choice(ProfileName::Baseline, &[]);
        choice.overrides.values.hooks_allow = list;
        harden_as(spec(), &choice, &host)
    };
    let entry = |path: &str, sha256: Option<&str>| {
        vec![AllowedHook { path: path.to_owned(), sha256: sha256.map(str::to_owned), env: None }]
    };
    assert!(run(None).is_ok());
    for list in [entry("/usr/bin/engine", None), entry("/proc/7/exe", Some(&digest))] {
        let result = run(Some(list)).unwrap();
        let decision = result.decisions.iter().find(|d| d.rule == ControlId::ListedHooks).unwrap();
        assert_eq!(decision.after, json!({"/proc/7/exe": digest}));
    }
    for list in [vec![], entry("/usr/bin/other", None), entry("/usr/bin/engine", Some("1"))] {
        let refusal = run(Some(list)).unwrap_err();
        assert_eq!(refusal.decision.rule, ControlId::ListedHooks);
        assert!(refusal.to_string().contains("hooks.prestart[0]: "), "{refusal}");
    }
}

#[test]
fn a_root_file_system_is_judged_like_a_bind_source() {
    let dir = |path: &str, names: &[&str]| FileFact {
        path: path.to_owned(),
        kind: FileKind::Directory,
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..FileFact::default()
    };
    let run = |root: FileFact, allow: &[&str]| {
        hardened(&HostFacts { root: Some(root), ..facts() }, allow)
    };
    for (path, names) in [
        ("/", &[][..]),
        ("/mnt/alias", &["/"]),
        ("/usr", &[]),
        ("/usr/bin", &[]),
        ("/etc", &[]),
        ("/var/lib/containers/storage", &[]),
        ("/var/lib/docker/overlay2", &[]),
    ] {
        let text = run(dir(path, names), &[]).unwrap_err().to_string();
        assert!(text.contains("(rule mounts.sources)"), "{path}: {text}");
    }
    for path in [
        "/var/lib/containers/storage/vfs/dir/x",
        "/var/lib/containerd/io.containerd.snapshotter.v1.native/snapshots/3",
        "/srv/x/rootfs",
        "/root/bundle/rootfs",
        "/tmp/b/rootfs",
        "/opt/x/rootfs",
        "/usr/local/images/alpine",
        "/usr/share/images/alpine",
    ] {
        assert!(run(dir(path, &[]), &[]).is_ok(), "{path}");
    }
    let result = run(dir("/mnt/alias", &["/"]), &["mounts.host-root"]).unwrap();
    assert_eq!(verdict(&result, ControlId::MountSources), Verdict::Waived);
}

#[test]
fn an_annotation_does_not_keep_roots_groups_nor_cost_the_user_namespace() {
    let spec = || changed("/annotations", json!({"run.oci.keep_original_groups": "1"})).unwrap();
    let root = HostFacts { can_make_user_namespace: true, ..facts() };
    let run = |facts: &HostFacts, allow: &[&str]| {
        harden_as(spec(), &choice(ProfileName::Hardened, allow), facts).unwrap()
    };
    let result = run(&root, &[]);
    assert_eq!(verdict(&result, ControlId::KeptGroups), Verdict::Tightened);
    assert!(!result.spec.keeps_groups() && result.spec.extras().auto_userns.is_some());
    let result = run(&root, &["groups.kept"]);
    assert!(
        result.spec.keeps_groups() && verdict(&result, ControlId::KeptGroups) == Verdict::Waived
    );
    let user = HostFacts { euid: 1000, ..facts() };
    let inside = HostFacts { in_initial_userns: false, ..facts() };
    for facts in [user, inside] {
        assert!(run(&facts, &[]).spec.keeps_groups(), "engines of ordinary users");
    }
}
