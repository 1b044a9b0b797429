//! Mounts: of which types, where, with which flags, and what they hide.

use super::*;

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
    for place in ["/dev/x", "/dev/console", "/mnt/tty"] {
        let terminal = format!("90 52 0:22 /3 {place} {FLAGS} - devpts devpts rw");
        let found = with_mount(&terminal, &[]);
        assert_eq!(found.iter().map(|hit| hit.1).collect::<Vec<_>>(), [Some("mounts.host-dev")]);
        assert_eq!(with_mount(&terminal, &["mounts.host-dev"]), [], "{place}");
    }
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
fn what_the_host_has_mounted_in_a_place_belongs_to_it() {
    let host = format!(
        "{HOST}40 20 0:70 / /usr/local rw - tmpfs t rw\n41 20 0:71 / /home rw - tmpfs t rw\n"
    );
    let of = |place: &str| {
        let table = format!("{CONTAINER}90 50 {place} /h {FLAGS} - tmpfs t rw\n");
        let found = hardened(&seen(&table, &host), &[]);
        found.into_iter().map(|violation| violation.allow).collect::<Vec<_>>()
    };
    assert_eq!(of("0:70 /bin"), [Some("mounts.host-system")]);
    assert_eq!(of("0:71 /u"), []);
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
        ("/etc/myapp2", "rw", Some("mounts.host-system")),
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
        ("/etc/myapp/conf", "rw"),
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
    seen.uid_map =
        Part::Seen(vec![IdRange { inside: InnerId(0), outside: HostId(0), count: 65536 }]);
    assert!(masked(&seen));
}
