//! Each invariant on a container that has it, and on one that differs in one thing.

use super::*;
use casemate_kernel::id_map::IdRange;
use casemate_kernel::mountinfo::parse;
use casemate_kernel::status::Status;
use casemate_kernel::Fact;
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
    let ranges = vec![IdRange { inside: 0, outside: 100_000, count: 65536 }];
    Observed {
        mounts: Part::of(parse(container.as_bytes())),
        host: Part::Seen(Host {
            mounts: parse(host.as_bytes()).unwrap(),
            own_places: vec!["/srv/state".to_owned()],
            program: Some("/opt/tools/casemate".to_owned()),
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
fn kernel_file_systems_are_at_their_place_or_nowhere() {
    let cases = [
        ("0:60 / /mnt", "proc", "mounts.second-proc"),
        ("0:60 / /proc/x", "proc", "mounts.second-proc"),
        ("0:50 /irq /mnt", "proc", "mounts.second-proc"),
        ("0:20 /sys /proc/sys", "proc", "mounts.host-proc"),
        ("0:60 / /mnt", "sysfs", "mounts.second-sysfs"),
        ("0:60 / /mnt", "cgroup2", "mounts.host-cgroup"),
        ("0:22 / /mnt", "devpts", "mounts.host-dev"),
        ("0:60 / /sys/x", "mqueue", "mounts.covered"),
        ("0:26 / /mnt", "debugfs", "mounts.kernel-fs"),
        ("0:61 / /mnt", "binfmt_misc", "mounts.kernel-fs"),
        ("0:61 mnt:[1] /mnt", "nsfs", "mounts.kernel-fs"),
        ("0:61 pid:[1] /mnt", "nsfs", "mounts.kernel-fs"),
        ("0:61 user:[1] /mnt", "nsfs", "mounts.kernel-fs"),
        ("0:61 / /mnt", "a_new_one", "mounts.unknown-fs"),
        ("8:9 / /mnt", "ext4", "mounts.block"),
        ("0:61 / /mnt", "nfs4", "mounts.network"),
        ("0:61 / /mnt", "fuse.sshfs", "mounts.fuse"),
    ];
    for (place, fstype, allow) in cases {
        let line = format!("90 50 {place} {FLAGS} - {fstype} source rw");
        assert_eq!(with_mount(&line, &[]), [("mounts.types", Some(allow))], "{line}");
        assert_eq!(with_mount(&line, &[allow]), [], "{line}");
    }
    for (place, fstype) in
        [("0:60 / /mnt", "mqueue"), ("0:60 / /mnt", "devpts"), ("0:61 net:[1] /mnt", "nsfs")]
    {
        assert_eq!(with_mount(&format!("90 50 {place} {FLAGS} - {fstype} source rw"), &[]), []);
    }
    let devices = format!("90 50 0:5 / /mnt {FLAGS} - devtmpfs udev rw");
    assert_eq!(with_mount(&devices, &[]), [("devices.nodes", Some("mounts.host-dev"))]);
    let disk = "90 52 0:5 /sda /dev/sda rw,nosuid - devtmpfs udev rw";
    assert_eq!(with_mount(disk, &[]), [("devices.nodes", Some("devices.all"))]);
}

#[test]
fn what_lies_on_the_hosts_sysfs_is_let_in_only_where_it_is_harmless() {
    let table = CONTAINER.replace(" 0:55 / /sys ", " 0:21 / /sys ");
    let line = "90 56 0:26 / /sys/kernel/debug ro,nosuid,nodev - debugfs debugfs rw\n";
    let open = format!("{table}{line}");
    let host_users = |table: &str| {
        let mut seen = seen(table, HOST);
        let mut all = own_namespaces();
        all.insert(Namespace::User, true);
        seen.namespaces = Part::Seen(all);
        hardened(&seen, &["userns.host"]).len()
    };
    assert_eq!(hardened(&seen(&open, HOST), &[]), []);
    assert_eq!(host_users(&open), 1);
    let mask = "91 90 0:56 /dir /sys/kernel/debug ro,nosuid,nodev - tmpfs casemate-mask rw\n";
    assert_eq!(host_users(&format!("{open}{mask}")), 0);
}

#[test]
fn places_of_the_host_are_known_by_file_system_whatever_they_are_called() {
    let bind = |root: &str, options: &str| {
        format!("90 50 8:1 {root} /h {options},nosuid,nodev - ext4 /dev/sda1 rw")
    };
    let cases = [
        ("/", "ro", Some("mounts.host-root")),
        ("/etc", "ro", Some("mounts.host-etc")),
        ("/etc/shadow", "ro", Some("mounts.host-etc")),
        ("/etc/kubernetes/pki", "ro", Some("mounts.host-etc")),
        ("/etc/cron.d", "rw", Some("mounts.host-system")),
        ("/usr/bin", "rw", Some("mounts.host-system")),
        ("/root/.ssh", "ro", Some("mounts.host-home")),
        ("/root", "rw", Some("mounts.host-home")),
        ("/boot/grub", "ro", Some("mounts.host-boot")),
        ("/var", "ro", Some("mounts.host-var")),
        ("/var/lib/docker", "ro", Some("mounts.engine-data")),
        ("/opt", "rw", Some("mounts.host-system")),
        ("/opt/tools/casemate", "rw", Some("mounts.host-system")),
        ("/srv", "ro", None),
        ("/srv/state/other", "ro", None),
        ("/home/u/run/docker.sock", "rw", Some("mounts.docker-sock")),
    ];
    for (root, options, allow) in cases {
        let line = bind(root, options);
        assert_eq!(with_mount(&line, &[]), [("mounts.places", allow)], "{line}");
        if let Some(allow) = allow {
            assert_eq!(with_mount(&line, &[allow]), [], "{line}");
        }
    }
    for (root, options) in [
        ("/data", "rw"),
        ("/home/u", "rw"),
        ("/root/work", "rw"),
        ("/usr/bin", "ro"),
        ("/opt/tools", "ro"),
        ("/etc/localtime", "ro"),
        ("/var/lib/docker/volumes/v/_data", "rw"),
        ("/srv/state/id/notify", "ro"),
        ("/etcetera", "rw"),
    ] {
        assert_eq!(with_mount(&bind(root, options), &[]), [], "{root}");
    }
    let run = format!("90 50 0:24 / /h {FLAGS} - tmpfs tmpfs rw");
    assert_eq!(with_mount(&run, &[]), [("mounts.places", Some("mounts.host-run"))]);
    let shm = "90 50 0:23 / /dev/shm rw,nosuid,nodev - tmpfs tmpfs rw";
    assert_eq!(with_mount(shm, &[]), [("mounts.places", Some("mounts.host-dev"))]);
    assert_eq!(with_mount(shm, &["namespaces.host-ipc"]), []);
}

#[test]
fn what_is_mounted_in_a_granted_place_comes_along_and_nothing_else_does() {
    let root = format!("90 50 8:1 / /h {FLAGS} - ext4 /dev/sda1 rw");
    let below = format!("{root}\n91 90 0:20 / /h/proc {FLAGS} - proc proc rw");
    assert_eq!(with_mount(&below, &["mounts.host-root"]), []);
    let own = format!("{root}\n91 90 0:60 / /h/proc {FLAGS} - proc proc rw");
    let found = with_mount(&own, &["mounts.host-root"]);
    assert_eq!(found, [("mounts.types", Some("mounts.second-proc"))]);
}

#[test]
fn layers_of_an_overlay_are_places_of_the_host() {
    let overlay = |options: &str| {
        with_mount(&format!("90 50 0:70 / /h {FLAGS} - overlay overlay rw,{options}"), &[])
    };
    let system = [("mounts.places", Some("mounts.host-system"))];
    assert_eq!(overlay("lowerdir=/srv/low,upperdir=/etc/cron.d,workdir=/wk"), system);
    let etc = [("mounts.places", Some("mounts.host-etc"))];
    assert_eq!(overlay("lowerdir=/srv/low:/etc,upperdir=/u,workdir=/wk"), etc);
    assert_eq!(overlay("lowerdir+=/a,lowerdir+=/etc/ssh"), etc);
    // A colon or comma in a name is no new layer.
    assert_eq!(overlay("lowerdir=/a\\134:/etc"), []);
    assert_eq!(overlay("lowerdir=/usr/share/x,upperdir=/data/u,workdir=/data/w"), []);
}

#[test]
fn layers_of_an_overlay_that_the_host_has_mounted_are_places_of_the_host() {
    let found = |host_root: &str, options: &str, flags: &str| {
        let line = format!("overlay overlay rw,{options}");
        let host = format!("{HOST}40 20 0:70 / {host_root} rw shared:20 - {line}\n");
        let container = format!("{CONTAINER}90 50 0:70 /sub /h {flags} - {line}\n");
        let found = hardened(&seen(&container, &host), &[]);
        found.into_iter().map(|violation| violation.allow).collect::<Vec<_>>()
    };
    let stacked = "lowerdir=/srv/low:/etc,upperdir=/srv/u,workdir=/srv/w";
    assert_eq!(found("/srv/v", stacked, FLAGS), [Some("mounts.host-etc")]);
    let system = "lowerdir=/srv/low,upperdir=/usr/lib,workdir=/w";
    assert_eq!(found("/srv/v", system, FLAGS), [Some("mounts.host-system")]);
    assert_eq!(found("/srv/v", system, "ro,nosuid,nodev"), []);
    let engine = "/var/lib/containers/storage/overlay";
    let image = format!("lowerdir={engine}/l/A:{engine}/l/B,upperdir={engine}/x/diff");
    assert_eq!(found("/srv/v", &image, FLAGS), []);
    // The host's own root.
    assert_eq!(found("/", "lowerdir=/,upperdir=/etc", FLAGS), []);
}

#[test]
fn masks_cover_the_files_of_procfs_that_the_kernel_has() {
    let without = |name: &str| {
        let kept = CONTAINER.lines().filter(|line| !line.contains(&format!(" {name} ")));
        kept.map(|line| format!("{line}\n")).collect::<String>()
    };
    let found = |table: &str, granted: &[&str]| {
        let found = hardened(&seen(table, HOST), granted);
        found.into_iter().map(|violation| violation.what).collect::<Vec<_>>()
    };
    let open = without("/proc/kcore");
    assert_eq!(found(&open, &[]), ["/proc/kcore shows the host's proc"]);
    assert_eq!(found(&open, &["paths.unmasked"]), Vec::<String>::new());
    let writable = without("/proc/sys");
    assert_eq!(found(&writable, &[]), ["/proc/sys can be written"]);
    assert_eq!(found(&writable, &["paths.writable"]), Vec::<String>::new());
    // A second procfs over the masks takes them away again.
    let second = format!("{CONTAINER}90 51 0:60 / /proc {FLAGS} - proc proc rw\n");
    let shown = found(&second, &[]);
    for what in ["/proc/kcore shows the host's proc", "/proc/sys can be written"] {
        assert!(shown.iter().any(|found| found == what), "{shown:?}");
    }
    let partial = open.replace("proc proc rw", "proc proc rw,hidepid=ptraceable,subset=pid");
    assert_eq!(found(&partial, &[]), Vec::<String>::new());
}

#[test]
fn mounts_have_their_flags_and_no_peers_on_the_host() {
    let one = |from: &str, to: &str, granted: &[&str]| {
        let table = CONTAINER.replace(from, to);
        let found = hardened(&seen(&table, HOST), granted);
        found.into_iter().map(|violation| violation.invariant).collect::<Vec<_>>()
    };
    let data = format!("{CONTAINER}90 50 8:1 /data /h rw - ext4 d rw\n");
    let found = hardened(&seen(&data, HOST), &[]);
    let both: Vec<_> = found.iter().map(|violation| violation.invariant).collect();
    assert_eq!(both, ["mounts.nosuid", "mounts.nodev"]);
    assert_eq!(hardened(&seen(&data, HOST), &["mounts.suid", "mounts.dev"]), []);
    assert_eq!(one(" / ro - ext4", " / rw - ext4", &[]), ["root.readonly"]);
    assert_eq!(one(" / ro - ext4", " / rw - ext4", &["rootfs.writable"]), Vec::<&str>::new());
    assert_eq!(one(" / ro - ext4", " / ro shared:1 - ext4", &[]), ["mounts.shared"]);
    assert_eq!(one(" / ro - ext4", " / ro shared:99 - ext4", &[]), Vec::<&str>::new());
}

#[test]
fn what_the_host_mounts_later_is_listed_and_no_violation() {
    let table = format!(
        "{CONTAINER}90 50 8:1 /data /h rw,nosuid,nodev master:1 - ext4 d rw\n\
         91 90 0:61 / /h/late rw master:13 - nfs4 server:/ rw\n"
    );
    let seen = seen(&table, HOST);
    assert_eq!(check(ProfileName::Hardened, &names(&[]), Phase::AfterExec, &seen), []);
    assert_eq!(propagated(&seen), [("/h/late".to_owned(), "nfs4".to_owned())]);
    assert_eq!(hardened(&seen, &[]).len(), 3);
}

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
        let range = IdRange { inside: 1, outside: 0, count: 1 };
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

#[test]
fn the_floor_shares_nothing_with_the_controls() {
    let sources = [
        include_str!("flags.rs"),
        include_str!("identity.rs"),
        include_str!("kernel_paths.rs"),
        include_str!("mod.rs"),
        include_str!("observed.rs"),
        include_str!("overlay.rs"),
        include_str!("places.rs"),
        include_str!("process.rs"),
        include_str!("tree.rs"),
        include_str!("types.rs"),
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

#[test]
fn a_place_that_was_made_read_only_is_as_restricted_as_what_it_lies_on() {
    let under = "/var/lib/containers/storage/vfs/dir/x";
    let own = format!("90 50 8:1 {under}/own /own ro - ext4 /dev/sda1 rw");
    assert_eq!(with_mount(&own, &[]), []);
    let other = format!("90 50 8:1 {under}/elsewhere /own ro - ext4 /dev/sda1 rw");
    let found = with_mount(&other, &["mounts.dev"]);
    assert_eq!(found, [("mounts.nosuid", Some("mounts.suid"))]);
    let opened = format!("{own}\n91 90 8:1 {under}/own/x /own/x rw - ext4 /dev/sda1 rw");
    assert_eq!(with_mount(&opened, &["mounts.dev"]), [("mounts.nosuid", Some("mounts.suid"))]);
}

#[test]
fn who_has_no_privilege_is_kept_from_root_s_files_by_the_kernel() {
    let cron = format!("90 50 8:1 /var/spool/cron /h {FLAGS} - ext4 /dev/sda1 rw");
    let table = format!("{CONTAINER}{cron}\n");
    let mut seen = seen(&table, HOST);
    assert_eq!(hardened(&seen, &[]).len(), 1);
    seen.caller = Caller { privileged: false, euid: 1000 };
    assert_eq!(hardened(&seen, &[]), []);
}

#[test]
fn baseline_shows_all_of_procfs_only_where_no_id_is_the_hosts() {
    let table =
        CONTAINER.lines().filter(|line| !line.contains("mask")).collect::<Vec<_>>().join("\n");
    let mut seen = seen(&table, HOST);
    let masked = |seen: &Observed<'_>| {
        let found = check(ProfileName::Baseline, &names(&[]), Phase::Plan, seen);
        found.iter().any(|violation| violation.invariant == "paths.masked")
    };
    assert!(!masked(&seen));
    seen.uid_map = Part::Seen(vec![IdRange { inside: 0, outside: 0, count: 65536 }]);
    assert!(masked(&seen));
}
