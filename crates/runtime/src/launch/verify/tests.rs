//! The verification, on this process.

use super::mounts::Planned;
use super::*;
use casemate_kernel::InnerId;
use casemate_policy::spec::IdMapping;
use casemate_sys::mount::attr;
use casemate_sys::ns::flag;
use std::path::PathBuf;

fn with_mount(path: &str, planned: Planned) -> MountClaims {
    MountClaims { planned: [(PathBuf::from(path), planned)].into(), ..MountClaims::default() }
}

const READ_ONLY: Planned = Planned { set: attr::RDONLY, mapped: false, order: 0 };

fn verified(expected: &Expectation) -> Result<Posture, String> {
    let proc = procfs::open().unwrap();
    expected.verify(&proc, std::process::id() as i32).map_err(|error| format!("{error:#}"))
}

fn expectation() -> Expectation {
    let proc = procfs::open().unwrap();
    let me = read::status(&proc, std::process::id() as i32).unwrap();
    let all =
        CapabilityPlan { bounding: !0, effective: !0, permitted: !0, inheritable: !0, ambient: !0 };
    Expectation {
        uid: HostId(me.uid[1]),
        gid: HostId(me.gid[1]),
        caps: all,
        no_new_privs: false,
        selinux: (None, None),
        claims: Claims::default(),
        mounts: MountClaims::default(),
        floor: None,
    }
}

#[test]
fn a_process_as_planned_passes_and_one_with_more_does_not() {
    let proc = procfs::open().unwrap();
    let pid = std::process::id() as i32;
    assert!(expectation().verify(&proc, pid).is_ok());
    let more =
        Expectation { caps: CapabilityPlan { bounding: 0, ..expectation().caps }, ..expectation() };
    let text = format!("{:#}", more.verify(&proc, pid).unwrap_err());
    assert!(text.contains("bounding capabilities are"), "{text}");
    let nnp = Expectation { no_new_privs: true, ..expectation() };
    assert!(nnp.verify(&proc, pid).is_err());
    let other = Expectation { uid: HostId(4711), ..expectation() };
    assert!(other.verify(&proc, pid).is_err());
}

#[test]
fn a_mount_without_its_restriction_is_found() {
    let lax = Expectation { mounts: with_mount("/proc", READ_ONLY), ..expectation() };
    let text = verified(&lax).unwrap_err();
    assert!(text.contains("mount /proc is not ro"), "{text}");
    let planned = Planned { set: 0, mapped: true, order: 0 };
    let unmapped = Expectation { mounts: with_mount("/proc", planned), ..expectation() };
    let text = verified(&unmapped).unwrap_err();
    assert!(text.contains("mount /proc has no id mapping"), "{text}");
}

#[test]
fn a_namespace_that_is_not_the_planned_one_is_found() {
    for (kind, file) in read::KINDS.into_iter().filter(|(kind, _)| *kind != flag::TIME) {
        let claims = Claims { new: kind, ..Claims::default() };
        let text = verified(&Expectation { claims, ..expectation() }).unwrap_err();
        assert!(text.contains(&format!("the {file} namespace is not a new one")), "{text}");
    }
    let own = std::fs::File::open("/proc/self/ns/uts").unwrap();
    let plan = |kind| Namespaces {
        clone: 0,
        join: vec![(kind, own.try_clone().unwrap().into())],
        new_cgroup: false,
        new_time: None,
        user: casemate_sandbox::plan::UserNamespace::Inherit,
    };
    let joined = |kind| {
        let mut claims = Claims::default();
        claims.join(&plan(kind), None).unwrap();
        verified(&Expectation { claims, ..expectation() })
    };
    assert!(joined(flag::UTS).is_ok());
    let text = joined(flag::NET).unwrap_err();
    assert!(text.contains("the net namespace is not the one to be joined"), "{text}");
}

#[test]
fn limits_and_maps_that_are_not_the_planned_ones_are_found() {
    const FSIZE: u32 = 1;
    let early = |may_shrink| Early {
        rlimits: vec![(FSIZE, 4096, 4096)],
        rlimits_may_shrink: may_shrink,
        ..Early::default()
    };
    let range = IdMapping { container_id: InnerId(0), host_id: HostId(4711), size: 1 };
    let maps = IdMaps { uid: vec![range], gid: Vec::new() };
    for (early, maps, what) in [
        (early(false), IdMaps::default(), "resource limit 1 is "),
        (early(true), IdMaps::default(), "resource limit 1 is "),
        (Early::default(), maps, "the uid map is not the planned one"),
    ] {
        let claims = Claims::of(&early, &maps);
        let text = verified(&Expectation { claims, ..expectation() }).unwrap_err();
        assert!(text.contains(what), "{text}");
    }
}

#[test]
fn a_mask_that_is_missing_is_found() {
    let masked = |path: &str, own_proc: bool| {
        let mounts = MountClaims { own_proc, ..with_mount(path, READ_ONLY) };
        verified(&Expectation { mounts, ..expectation() })
    };
    let text = masked("/proc/version", true).unwrap_err();
    assert!(text.contains("/proc/version is not covered"), "{text}");
    // Not there, a process, a link, below a directory, or a procfs that need not have it.
    for path in ["/proc/absent", "/proc/1", "/proc/self", "/proc/sys/kernel", "/sys/firmware"] {
        assert!(masked(path, true).is_ok(), "{path}");
    }
    assert!(masked("/proc/version", false).is_ok());
}
