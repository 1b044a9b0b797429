//! A configuration that is refused for several reasons is told all of them, with one way past them.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod common;

use casemate_policy::spec::{Capability, Spec};
use casemate_policy::{harden_as, Choice, Engine, HostFacts, ProfileName, Refusal, Source};
use common::{changed, facts};
use serde_json::json;

/// What `openvpn` and a virtual machine want: two devices, the host's network, and a capability.
fn demanding() -> Spec {
    let sets = json!(["CAP_CHOWN", "CAP_NET_RAW", "CAP_NET_ADMIN"]);
    let all = json!({"bounding": sets, "effective": sets, "permitted": sets});
    let device =
        |path: &str, minor: i64| json!({"path": path, "type": "c", "major": 10, "minor": minor});
    let text = json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs"},
        "process": {"args": ["x"], "cwd": "/", "user": {"uid": 0, "gid": 0}, "capabilities": all},
        "linux": {
            "namespaces": [{"type": "mount"}, {"type": "pid"}, {"type": "ipc"}, {"type": "uts"}],
            "devices": [device("/dev/net/tun", 200), device("/dev/kvm", 232), device("/dev/net/tun2", 200)],
        },
    });
    Spec::parse(text.to_string().as_bytes()).unwrap()
}

fn host() -> HostFacts {
    HostFacts { can_make_user_namespace: true, cgroup_controllers: Vec::new(), ..facts() }
}

fn refusal(profile: ProfileName, allow: &[&str]) -> Option<Refusal> {
    let mut choice = Choice::from(profile.profile());
    for name in allow {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    let first = harden_as(demanding(), &choice, &host()).err()?;
    Some(first.with_others(&demanding(), &choice, &host()))
}

/// What `--allow` is told to be given.
fn paste(text: &str) -> Vec<String> {
    let list = text.split("--allow ").nth(1).unwrap().split([',', ' ']);
    list.take_while(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn a_refusal_names_all_that_refuses_and_what_was_asked_for_by_name_and_is_cut() {
    let text = refusal(ProfileName::Hardened, &[]).unwrap().to_string();
    assert!(
        text.starts_with("denied by profile hardened: the network namespace is the host's"),
        "{text}"
    );
    assert!(text.contains("; refused as well: devices.tun, devices.kvm; "), "{text}");
    // Every engine gives NET_RAW to who does not ask for it.
    assert!(text.contains("asked for by name and not given: capabilities.net_admin;"), "{text}");
    let permit = "casemate policy permit namespaces.host-network,devices.tun,devices.kvm,capabilities.net_admin";
    assert!(text.ends_with(permit), "{text}");
}

#[test]
fn what_is_asked_for_by_name_and_not_given_is_said_of_a_configuration_that_runs_too() {
    let said = |names: &[&str], engine: Option<Engine>, allow: &[&str]| {
        let mut choice = Choice::from(ProfileName::Hardened.profile());
        choice.engine = engine;
        for name in allow {
            choice.overrides.grant(name, &Source::CommandLine).unwrap();
        }
        let sets = json!({"bounding": names, "effective": names, "permitted": names});
        let spec = changed("/process/capabilities", sets).unwrap();
        harden_as(spec, &choice, &facts()).unwrap().not_given(&choice)
    };
    let docker = ["CAP_CHOWN", "CAP_NET_RAW", "CAP_MKNOD", "CAP_AUDIT_WRITE", "CAP_SYS_CHROOT"];
    assert_eq!(said(&docker, None, &[]), None, "what everybody is given");
    let text = said(&["CAP_CHOWN", "CAP_SYS_PTRACE"], None, &[]).unwrap();
    let wanted = "asked for by name and not given: capabilities.sys_ptrace; allow with --allow capabilities.sys_ptrace, or";
    assert!(text.starts_with(wanted), "{text}");
    assert_eq!(said(&["CAP_SYS_PTRACE"], None, &["capabilities.sys_ptrace"]), None);
    // podman gives NET_RAW to nobody who does not name it.
    let text = said(&docker, Some(Engine::Podman), &[]).unwrap();
    let wanted = "asked for by name and not given: capabilities.audit_write, capabilities.mknod, capabilities.net_raw; allow all";
    assert!(text.starts_with(wanted), "{text}");
    let all: Vec<String> = Capability::all().map(|one| one.name().to_owned()).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let text = said(&all, None, &[]).unwrap();
    assert!(text.starts_with("all capabilities are asked for, as with --privileged"), "{text}");
}

#[test]
fn what_a_refusal_says_to_allow_lets_the_configuration_run() {
    for profile in [ProfileName::Hardened, ProfileName::Restricted] {
        let names = paste(&refusal(profile, &[]).unwrap().to_string());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert_eq!(refusal(profile, &names), None, "{names:?}");
    }
    let strict = refusal(ProfileName::Restricted, &[]).unwrap().to_string();
    for name in ["memory.unlimited", "pids.unlimited", "process.root"] {
        assert!(strict.contains(name), "{name}: {strict}");
    }
}

#[test]
fn one_reason_alone_is_told_as_ever() {
    let rest = ["devices.tun", "devices.kvm", "capabilities.net_admin"];
    let text = refusal(ProfileName::Hardened, &rest).unwrap().to_string();
    let end = "; allow with --allow namespaces.host-network, or annotation \
               org.casemate.allow/namespaces.host-network=true once the node permits it: \
               casemate policy permit namespaces.host-network";
    assert!(text.ends_with(end), "{text}");
}
