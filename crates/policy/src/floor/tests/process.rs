//! The process: what it may do, as whom, and which namespaces it is in.

use super::*;

fn of_process(
    profile: ProfileName,
    change: impl FnOnce(&mut Observed<'_>),
    granted: &[&str],
) -> Vec<&'static str> {
    let mut seen = seen(CONTAINER, HOST);
    change(&mut seen);
    let found = check(profile, &names(granted), Phase::BeforeExec, &seen);
    found.into_iter().map(|violation| violation.invariant).collect()
}

fn status_of<'a>(seen: &'a mut Observed<'_>) -> &'a mut Status {
    match &mut seen.status {
        Part::Seen(status) => status,
        _ => unreachable!("status() is there"),
    }
}

#[test]
fn every_capability_set_is_below_the_ceiling() {
    const SYS_ADMIN: u64 = 1 << 21;
    let sets: [fn(&mut Status) -> &mut u64; 5] = [
        |s| &mut s.bounding,
        |s| &mut s.permitted,
        |s| &mut s.effective,
        |s| &mut s.inheritable,
        |s| &mut s.ambient,
    ];
    for set in sets {
        for bit in [SYS_ADMIN, 1 << 50] {
            let change = |seen: &mut Observed<'_>| *set(status_of(seen)) |= bit;
            let found = of_process(ProfileName::Baseline, change, &[]);
            assert_eq!(found, ["process.capabilities"]);
        }
        let change = |seen: &mut Observed<'_>| *set(status_of(seen)) |= SYS_ADMIN;
        for name in ["capabilities.sys_admin", "capabilities.all"] {
            assert!(of_process(ProfileName::Hardened, change, &[name]).is_empty());
        }
    }
    // CHOWN: hardened leaves it, restricted does not.
    let chown = |seen: &mut Observed<'_>| status_of(seen).bounding |= 1;
    assert!(of_process(ProfileName::Hardened, chown, &[]).is_empty());
    assert_eq!(of_process(ProfileName::Restricted, chown, &[]), ["process.capabilities"]);
}

#[test]
fn a_process_has_what_confines_it() {
    let of = |change: fn(&mut Observed<'_>), granted: &[&str]| {
        of_process(ProfileName::Hardened, change, granted)
    };
    type Case = (fn(&mut Observed<'_>), &'static str, &'static str);
    let cases: [Case; 6] = [
        (|s| status_of(s).no_new_privs = false, "process.no-new-privs", "process.new-privileges"),
        (|s| s.filters = Part::Seen((0, 0)), "seccomp.filters", "seccomp.unconfined"),
        (|s| s.oom_score_adj = Part::Seen(-1), "oom.score", "oom.negative-score"),
        (|s| s.devices_listed = Part::Seen(false), "devices.listed", "devices.all"),
        (|s| s.max_user_namespaces = Part::Seen(1), "userns.nested", "userns.nested"),
        (
            |s| s.core_limit = Part::Seen(Limit { soft: 0, hard: 4096 }),
            "rlimits.core",
            "rlimits.core",
        ),
    ];
    for (change, invariant, allow) in cases {
        assert_eq!(of(change, &[]), [invariant]);
        assert!(of(change, &[allow]).is_empty(), "{allow}");
    }
    // The configuration's own filter comes on top of ours.
    assert_eq!(of(|s| s.filters = Part::Seen((1, 1)), &[]), ["seccomp.filters"]);
    assert!(of(|s| s.filters = Part::Seen((1, 1)), &["seccomp.unconfined"]).is_empty());
    let baseline =
        |filters| of_process(ProfileName::Baseline, |s| s.filters = Part::Seen(filters), &[]);
    assert!(baseline((1, 1)).is_empty());
    assert_eq!(baseline((0, 0)), ["seccomp.filters"]);
}

#[test]
fn no_id_of_the_host_is_the_containers() {
    let low = |seen: &mut Observed<'_>| {
        let range = IdRange { inside: InnerId(1), outside: HostId(0), count: 1 };
        seen.gid_map = Part::Seen(vec![range]);
    };
    assert_eq!(of_process(ProfileName::Hardened, low, &[]), ["userns.ids"]);
    assert!(of_process(ProfileName::Hardened, low, &["userns.host"]).is_empty());
    let ordinary = |seen: &mut Observed<'_>| {
        low(seen);
        seen.caller = Caller { privileged: false, euid: 1000 };
    };
    assert!(of_process(ProfileName::Hardened, ordinary, &[]).is_empty());
}

#[test]
fn namespaces_are_not_the_hosts() {
    use Namespace::*;
    for (kind, name) in [
        (Network, "namespaces.host-network"),
        (Pid, "namespaces.host-pid"),
        (Ipc, "namespaces.host-ipc"),
        (Uts, "namespaces.host-uts"),
        (Cgroup, "namespaces.host-cgroup"),
        (User, "userns.host"),
    ] {
        let shared = |seen: &mut Observed<'_>| {
            let mut all = own_namespaces();
            all.insert(kind, true);
            seen.namespaces = Part::Seen(all);
        };
        let found = of_process(ProfileName::Hardened, shared, &[]);
        let wanted = if kind == User { "userns.own" } else { "namespaces.own" };
        assert_eq!(found, [wanted], "{kind:?}");
        assert!(of_process(ProfileName::Hardened, shared, &[name]).is_empty(), "{name}");
    }
}

#[test]
fn a_core_pattern_that_hands_over_needs_its_override_in_restricted() {
    for (pattern, soft, violated) in [
        ("|/usr/lib/x", 0, true),
        ("|/usr/lib/x", 1, false),
        ("@/run/s", 1, true),
        ("@@/run/s", 1, true),
        ("core", 0, false),
    ] {
        let change = |seen: &mut Observed<'_>| {
            let mut all = own_namespaces();
            all.insert(Namespace::User, true);
            seen.namespaces = Part::Seen(all);
            seen.core_limit = Part::Seen(Limit { soft, hard: soft });
            seen.core_pattern = Part::Seen(pattern.to_owned());
        };
        let found = of_process(ProfileName::Restricted, change, &["userns.host"]);
        let wanted: &[&str] = if violated { &["process.core-pattern"] } else { &[] };
        assert_eq!(found, wanted, "{pattern} {soft}");
        let names = ["userns.host", "process.core-pipe"];
        assert!(of_process(ProfileName::Restricted, change, &names).is_empty());
    }
}
