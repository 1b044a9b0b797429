//! Each invariant on a container that has it, and on one that differs in one thing.

mod mounts;
mod process;

use super::*;
use casemate_kernel::id_map::IdRange;
use casemate_kernel::mountinfo::parse;
use casemate_kernel::status::Status;
use casemate_kernel::{Fact, HostId, InnerId};
use std::collections::BTreeMap;

const HOST: &str = "\
20 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
21 20 0:20 / /proc rw shared:2 - proc proc rw
22 20 0:21 / /sys rw shared:3 - sysfs sysfs rw
23 20 0:5 / /dev rw shared:4 - devtmpfs udev rw
24 23 0:22 / /dev/pts rw shared:5 - devpts devpts rw
25 23 0:23 / /dev/shm rw shared:6 - tmpfs tmpfs rw
26 20 0:24 / /run rw shared:7 - tmpfs tmpfs rw
27 22 0:25 / /sys/fs/cgroup rw shared:8 - cgroup2 cgroup2 rw
28 22 0:26 / /sys/kernel/debug rw shared:9 - debugfs debugfs rw
29 20 8:1 /srv /second rw shared:10 - ext4 /dev/sda1 rw
30 20 0:30 / /nfs rw shared:11 - nfs4 server:/ rw
31 20 8:1 / /mnt/all rw shared:12 - ext4 /dev/sda1 rw
";

const CONTAINER: &str = "\
50 40 8:1 /var/lib/containers/storage/vfs/dir/x / ro - ext4 /dev/sda1 rw
51 50 0:50 / /proc rw,nosuid,nodev,noexec - proc proc rw
52 50 0:51 / /dev rw,nosuid,noexec - tmpfs tmpfs rw
53 52 0:52 / /dev/pts rw,nosuid,noexec - devpts devpts rw
54 52 0:53 / /dev/shm rw,nosuid,nodev,noexec - tmpfs shm rw
55 52 0:54 / /dev/mqueue rw,nosuid,nodev,noexec - mqueue mqueue rw
56 50 0:55 / /sys ro,nosuid,nodev,noexec - sysfs sysfs rw
57 56 0:25 /x /sys/fs/cgroup ro,nosuid,nodev,noexec - cgroup2 cgroup rw
58 51 0:50 /sys /proc/sys ro,nosuid,nodev,noexec - proc proc rw
59 51 0:56 /file /proc/kcore ro,nosuid,nodev,noexec - tmpfs casemate-mask rw
";

/// This kernel has no others of the masked and read-only files.
fn kernel_has(path: &str) -> Fact {
    Fact::from(matches!(path, "/proc/kcore" | "/proc/sys"))
}

fn status() -> Status {
    // Which every profile leaves.
    const NET_BIND_SERVICE: u64 = 1 << 10;
    Status {
        uid: [100_001; 4],
        gid: [100_001; 4],
        bounding: NET_BIND_SERVICE,
        permitted: NET_BIND_SERVICE,
        effective: NET_BIND_SERVICE,
        no_new_privs: true,
        ..Status::default()
    }
}

fn own_namespaces() -> BTreeMap<Namespace, bool> {
    use Namespace::*;
    [Mount, Network, Pid, Ipc, Uts, Cgroup, User].map(|kind| (kind, false)).into()
}

fn seen<'t>(container: &'t str, host: &'t str) -> Observed<'t> {
    let ranges = vec![IdRange { inside: InnerId(0), outside: HostId(100_000), count: 65536 }];
    Observed {
        mounts: Part::of(parse(container.as_bytes())),
        host: Part::Seen(Host {
            mounts: parse(host.as_bytes()).unwrap(),
            own_places: vec!["/srv/state".to_owned()],
            program: Some("/opt/tools/casemate".to_owned()),
            data: vec!["/etc/myapp".to_owned()],
        }),
        kernel_has: &kernel_has,
        status: Part::Seen(status()),
        uid_map: Part::Seen(ranges.clone()),
        gid_map: Part::Seen(ranges),
        namespaces: Part::Seen(own_namespaces()),
        filters: Part::Seen((1, 0)),
        core_limit: Part::Seen(Limit { soft: 0, hard: 0 }),
        core_pattern: Part::Seen("core".to_owned()),
        max_user_namespaces: Part::Seen(0),
        oom_score_adj: Part::Seen(0),
        devices_listed: Part::Seen(true),
        ..Observed::nothing(Caller { privileged: true, euid: 0 })
    }
}

fn names(list: &[&str]) -> BTreeSet<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn hardened(seen: &Observed<'_>, granted: &[&str]) -> Vec<Violation> {
    check(ProfileName::Hardened, &names(granted), Phase::BeforeExec, seen)
}

/// The container with one mount more: what comes of it at the default profile, and with the override.
fn with_mount(line: &str, granted: &[&str]) -> Vec<(&'static str, Option<&'static str>)> {
    let table = format!("{CONTAINER}{line}\n");
    let found = hardened(&seen(&table, HOST), granted);
    found.into_iter().map(|violation| (violation.invariant, violation.allow)).collect()
}

const FLAGS: &str = "rw,nosuid,nodev";

#[test]
fn an_ordinary_container_is_above_the_floor_in_every_profile_and_phase() {
    for profile in ProfileName::ALL {
        for phase in [Phase::Plan, Phase::BeforeExec, Phase::AfterExec] {
            let found = check(profile, &names(&[]), phase, &seen(CONTAINER, HOST));
            assert_eq!(found, [], "{profile} {phase:?}");
        }
    }
}

#[test]
fn privileged_has_no_floor() {
    let nothing = Observed::nothing(Caller { privileged: true, euid: 0 });
    assert_eq!(check(ProfileName::Privileged, &names(&[]), Phase::BeforeExec, &nothing), []);
}

#[test]
fn what_cannot_be_read_is_a_violation_and_what_nobody_looked_at_is_none() {
    let plain = || seen(CONTAINER, HOST);
    let no = || "read(/proc/7/status): EIO".to_owned();
    let parts: [(&str, Observed<'_>); 6] = [
        ("process.capabilities", Observed { status: Part::Unreadable(no()), ..plain() }),
        ("mounts.types", Observed { mounts: Part::Unreadable(no()), ..plain() }),
        ("mounts.places", Observed { host: Part::Unreadable(no()), ..plain() }),
        ("userns.ids", Observed { uid_map: Part::Unreadable(no()), ..plain() }),
        ("namespaces.own", Observed { namespaces: Part::Unreadable(no()), ..plain() }),
        ("rlimits.core", Observed { core_limit: Part::Unreadable(no()), ..plain() }),
    ];
    for (invariant, seen) in parts {
        let found = hardened(&seen, &[]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].invariant, found[0].allow), (invariant, None));
        assert!(found[0].to_string().contains("cannot be read: read("), "{}", found[0]);
    }
    let nothing = Observed::nothing(Caller { privileged: true, euid: 0 });
    assert_eq!(hardened(&nothing, &[]), []);
}

#[test]
fn the_floor_shares_nothing_with_the_controls() {
    let sources = [
        include_str!("../flags.rs"),
        include_str!("../identity.rs"),
        include_str!("../kernel_paths.rs"),
        include_str!("../mod.rs"),
        include_str!("../observed.rs"),
        include_str!("../overlay.rs"),
        include_str!("../places.rs"),
        include_str!("../process.rs"),
        include_str!("../question.rs"),
        include_str!("../path.rs"),
        include_str!("../types.rs"),
    ];
    for line in sources.iter().flat_map(|text| text.lines()).map(str::trim) {
        let used = line.contains("crate::") && !line.starts_with("//");
        let known = line.contains("crate::profile::ProfileName");
        assert!(!used || known, "{line}");
    }
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/floor");
    let files = std::fs::read_dir(dir).unwrap().count();
    assert_eq!(files, sources.len() + 1, "a file of the floor is not looked at here");
}
