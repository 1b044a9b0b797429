//! Controls `mounts.types` and `mounts.sources`: what ordinary configurations bind and mount is let in, and each kind that
//! gives the host away is refused.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

#[path = "mounts/bundles.rs"]
mod bundles;
mod common;
#[path = "mounts/kernel.rs"]
mod kernel;
#[path = "mounts/overlays.rs"]
mod overlays;
#[path = "mounts/pods.rs"]
mod pods;
#[path = "mounts/types.rs"]
mod types;
#[path = "mounts/used.rs"]
mod used;

use casemate_policy::spec::Mount;
use casemate_policy::{
    harden_as, Choice, ControlId, DataLayout, EngineFact, FileFact, FileKind, Hardened, HostFacts,
    LayerFact, LayerRole, MountFacts, Package, ProfileName, Refusal, Source, SourceFact, SubMount,
    Verdict,
};
use common::{changed, facts, parse, plain, put};
use serde_json::{json, Value};

const CONTAINER: &str = "c0ffee";

fn choice(allow: &[&str]) -> Choice {
    let mut choice = Choice::from(ProfileName::Hardened.profile());
    for name in allow {
        choice.overrides.grant(name, &Source::CommandLine).unwrap();
    }
    choice
}

fn dir(path: &str) -> FileFact {
    FileFact { path: path.to_owned(), kind: FileKind::Directory, ..FileFact::default() }
}

fn host() -> HostFacts {
    let mounts = MountFacts {
        container: CONTAINER.to_owned(),
        bundle: format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{CONTAINER}"),
        state_root: "/state/run".to_owned(),
        ..MountFacts::default()
    };
    HostFacts { mounts, ..facts() }
}

/// A writable bind mount of this file, as mount 3.
fn bind_as(file: FileFact, facts: HostFacts, choice: &Choice) -> Result<Hardened, Refusal> {
    let mount = json!({"destination": "/vol", "type": "bind", "source": file.path,
        "options": ["rbind", "rw"]});
    let spec = changed("/mounts/-", mount).unwrap();
    let index = spec.mounts.len() - 1;
    let sources = [(index, SourceFact::Found(Box::new(file)))].into();
    harden_as(spec, choice, &HostFacts { sources, ..facts })
}

fn bind(file: FileFact) -> Result<Hardened, Refusal> {
    bind_as(file, host(), &choice(&[]))
}

fn volume(result: &Hardened) -> &Mount {
    result.spec.mounts.iter().find(|mount| mount.destination == "/vol").unwrap()
}

fn is_writable(result: &Hardened) -> bool {
    !volume(result).options.iter().any(|option| option == "ro" || option == "rro")
}

fn class(result: Result<Hardened, Refusal>) -> Option<String> {
    match result {
        Ok(done) => panic!("let in: {:?}", done.spec.mounts.last()),
        Err(refusal) => refusal.allow.map(|remedy| remedy.name),
    }
}

#[test]
fn ordinary_binds_are_let_in_writable() {
    for path in [
        "/srv",
        "/srv/data",
        "/home",
        "/home/user/project",
        "/mnt/disk",
        "/media/usb",
        "/data",
        "/data/postgres",
        "/tmp/x",
        "/var/tmp/buildah123",
        "/var/www/html",
        "/var/log",
        "/var/log/containers",
        "/var/cache/app",
        "/var/mail",
        "/var/spool/mail",
        "/var/backups/db",
        "/var/opt/app",
        "/var/local/x",
        "/var/data",
        "/var/lib/myapp",
        "/root/work",
        "/root/bundle/rootfs",
        "/opt/local-path-provisioner/pvc-1",
        "/opt/app",
        "/run/media/user/stick",
        "/var/lib/rancher/k3s/storage/pvc-1",
        "/var/snap/microk8s/common/default-storage/pvc",
        "/var/home/core/x",
        "/var/lib/containers/storage/volumes/v/_data",
        "/var/lib/containers/storage/volumes/v/_data/sub",
        "/var/lib/containers/storage/overlay-containers/c0ffee/userdata/shm",
        "/run/containers/storage/overlay-containers/c0ffee/userdata/run/secrets",
        "/var/lib/containers/storage/overlay/abc/merged",
        "/var/lib/docker/volumes/v/_data",
        "/var/lib/docker/containers/c0ffee/hosts",
        "/var/lib/docker/containers/c0ffee/mounts/shm",
        "/var/lib/docker/plugins/p/propagated-mount/v",
        "/var/lib/docker/tmp/safe-mount1577929742",
        "/var/lib/nerdctl/1935db59/volumes/default/v/_data",
        "/var/lib/nerdctl/1935db59/containers/default/c0ffee/resolv.conf",
        "/var/run/netns/cni-1",
    ] {
        let result = bind(dir(path)).unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
        assert!(is_writable(&result), "{path}");
    }
}

#[test]
fn the_hosts_system_may_be_read() {
    for path in [
        "/usr",
        "/usr/lib/modules",
        "/usr/share/zoneinfo/UTC",
        "/lib/firmware",
        "/bin",
        "/sbin",
        "/opt",
        "/etc/hosts",
        "/etc/localtime",
        "/etc/resolv.conf",
        "/run/systemd/resolve/stub-resolv.conf",
        "/etc/passwd",
        "/etc/ssl/certs",
        "/etc/os-release",
        "/var/lib/containers/storage/artifacts/blobs/x",
    ] {
        let result = bind(dir(path)).unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
        assert!(!is_writable(&result), "{path}");
    }
    let granted = choice(&["mounts.host-system"]);
    assert!(is_writable(&bind_as(dir("/usr"), host(), &granted).unwrap()));
}

#[test]
fn what_is_the_host_itself_is_refused_by_its_name() {
    for (path, wanted) in [
        ("/", "mounts.host-root"),
        ("/sysroot/x", "mounts.host-root"),
        ("/etc", "mounts.host-etc"),
        ("/etc/cron.daily", "mounts.host-etc"),
        ("/etc/kubernetes/pki", "mounts.host-etc"),
        ("/etc/ssl", "mounts.host-etc"),
        ("/boot/grub", "mounts.host-boot"),
        ("/root", "mounts.host-home"),
        ("/root/.ssh", "mounts.host-home"),
        ("/run", "mounts.host-run"),
        ("/run/udev", "mounts.host-run"),
        ("/var/run/user/1000", "mounts.host-run"),
        ("/var", "mounts.host-var"),
        ("/var/lib", "mounts.host-var"),
        ("/var/lib/dpkg", "mounts.host-var"),
        ("/var/lib/systemd/timers", "mounts.host-var"),
        ("/var/spool", "mounts.host-var"),
        ("/var/spool/cron/crontabs", "mounts.host-var"),
        ("/dev", "mounts.host-dev"),
        ("/dev/shm", "mounts.host-dev"),
        ("/var/lib/docker", "mounts.engine-data"),
        ("/var/lib/docker/overlay2/x/diff", "mounts.engine-data"),
        ("/var/lib/containers", "mounts.engine-data"),
        ("/var/lib/containers/storage/overlay-containers/other/userdata", "mounts.engine-data"),
        ("/var/lib/kubelet", "mounts.engine-data"),
        ("/var/lib/kubelet/pods", "mounts.engine-data"),
        ("/var/lib/kubelet/pki", "mounts.engine-data"),
        ("/var/lib/etcd", "mounts.engine-data"),
        ("/var/lib/rancher/k3s/server", "mounts.engine-data"),
        ("/run/containerd/containerd.sock", "mounts.containerd-sock"),
        ("/var/run/docker.sock", "mounts.docker-sock"),
        ("/state", "mounts.engine-data"),
    ] {
        let facts = match path {
            "/state" => host(),
            _ => HostFacts { mounts: MountFacts::default(), ..host() },
        };
        let found = class(bind_as(dir(path), facts, &choice(&[])));
        assert_eq!(found.as_deref(), Some(wanted), "{path}");
        let granted = choice(&[wanted]);
        assert!(bind_as(dir(path), host(), &granted).is_ok(), "{path} as asked for");
    }
}

#[test]
fn the_runtimes_own_directories_are_opened_by_no_override() {
    let all: Vec<&str> =
        casemate_policy::CONTROLS.iter().flat_map(|row| row.allow).copied().collect();
    let all: Vec<&str> = all.into_iter().filter(|name| !name.ends_with('*')).collect();
    for path in [
        "/run/casemate",
        "/run/casemate-ids/x",
        "/etc/casemate",
        "/etc/casemate/policy.d",
        "/state/run/c1",
    ] {
        let refusal = bind_as(dir(path), host(), &choice(&all)).unwrap_err();
        assert_eq!(
            (refusal.decision.rule, refusal.allow),
            (ControlId::MountSources, None),
            "{path}"
        );
    }
}

#[test]
fn every_other_name_of_a_source_is_judged() {
    let named = |names: &[&str]| FileFact {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..dir("/srv/alias")
    };
    let held = |holds: &[&str]| FileFact {
        holds: holds.iter().map(|name| (*name).to_owned()).collect(),
        ..dir("/mnt/top")
    };
    let part = FileFact {
        names: vec!["/etc/kubernetes/pki".to_owned()],
        ..dir("/var/lib/docker/tmp/safe-mount7")
    };
    for (file, wanted) in [
        (part, "mounts.host-etc"),
        (named(&["/etc/kubernetes/pki"]), "mounts.host-etc"),
        (named(&["/data", "/var/lib/docker"]), "mounts.engine-data"),
        (held(&["/", "/home"]), "mounts.host-root"),
        (held(&["/var"]), "mounts.host-var"),
    ] {
        let refusal = bind(file).unwrap_err();
        assert_eq!(refusal.allow.unwrap().name, wanted, "{}", refusal.decision.reason);
    }
    assert!(!is_writable(&bind(named(&["/usr/share"])).unwrap()));
    assert!(is_writable(&bind(named(&["/home/x"])).unwrap()));
}

#[test]
fn another_subvolume_of_the_hosts_file_system_is_the_host_unless_it_is_a_place_for_data() {
    let outside = |path: &str| FileFact { outside_root: true, ..dir(path) };
    assert_eq!(class(bind(outside("/mnt/top/@snapshots/1"))).as_deref(), Some("mounts.host-root"));
    for path in ["/home/u", "/srv/x", "/var/lib/containers/storage/volumes/v/_data"] {
        assert!(is_writable(&bind(outside(path)).unwrap()), "{path}");
    }
    let mut listed = choice(&[]);
    listed.overrides.values.paths_data = Some(vec!["/mnt/top".to_owned()]);
    assert!(bind_as(outside("/mnt/top/data"), host(), &listed).is_ok());
}

#[test]
fn a_file_that_only_root_may_read_is_not_bound_by_one_of_several_names() {
    let secret =
        |path: &str| FileFact { kind: FileKind::Regular, shared_secret: true, ..dir(path) };
    assert_eq!(class(bind(secret("/home/u/notes"))).as_deref(), Some("mounts.host-root"));
    assert!(bind_as(secret("/home/u/notes"), host(), &choice(&["mounts.host-root"])).is_ok());
    // What an engine made for the container is where nobody else writes.
    let given = "/var/lib/containers/storage/overlay-containers/c0ffee/userdata/secrets/key";
    assert!(bind(secret(given)).is_ok());
}

#[test]
fn the_containers_own_configuration_is_not_written_from_inside() {
    let bundle = host().mounts.bundle;
    let above = bundle.rsplit_once('/').unwrap().0.to_owned();
    for path in [bundle.clone(), above, format!("{bundle}/config.json")] {
        // Above an engine's bundle it is the engine's data anyway.
        let made = bind(dir(&path));
        assert!(made.is_err() || !is_writable(&made.unwrap()), "{path}");
    }
    assert!(is_writable(&bind(dir(&format!("{bundle}/rootfs"))).unwrap()));
    let facts = MountFacts { bundle: "/srv/b".to_owned(), ..host().mounts };
    let by_hand = HostFacts { mounts: facts, ..host() };
    for path in ["/srv/b", "/srv"] {
        assert!(
            !is_writable(&bind_as(dir(path), by_hand.clone(), &choice(&[])).unwrap()),
            "{path}"
        );
    }
    let data = bind_as(dir("/srv/b/data"), by_hand, &choice(&[])).unwrap();
    assert!(is_writable(&data));
}

#[test]
fn places_that_the_policy_calls_data_are_let_in() {
    let mut listed = choice(&[]);
    listed.overrides.values.paths_data = Some(vec!["/etc/myapp".to_owned()]);
    assert!(is_writable(&bind_as(dir("/etc/myapp/conf"), host(), &listed).unwrap()));
    assert!(bind_as(dir("/etc/myapp2"), host(), &listed).is_err());
    listed.overrides.values.paths_data = Some(vec!["/run".to_owned()]);
    assert!(bind_as(dir("/run/casemate"), host(), &listed).is_err(), "never, by no override");
}

#[test]
fn an_engine_that_was_moved_is_known_by_what_it_keeps() {
    let moved = |path: &str| {
        let engine = EngineFact { engine: DataLayout::Docker, root: "/data/docker".to_owned() };
        FileFact { engine: Some(engine), ..dir(path) }
    };
    for path in
        ["/data/docker", "/data/docker/overlay2", "/data/docker/containers/x/config.v2.json"]
    {
        assert_eq!(class(bind(moved(path))).as_deref(), Some("mounts.engine-data"), "{path}");
    }
    assert!(is_writable(&bind(moved("/data/docker/volumes/v/_data")).unwrap()));
    let above = FileFact { inside: vec!["/data/docker/engine-id".to_owned()], ..dir("/data") };
    assert_eq!(class(bind(above)).as_deref(), Some("mounts.engine-data"));
}

#[test]
fn sockets_of_root_and_directories_with_an_engines_socket_are_refused() {
    let socket = |path: &str, owner: u32| FileFact { kind: FileKind::Socket, owner, ..dir(path) };
    assert_eq!(class(bind(socket("/srv/app.sock", 0))).as_deref(), Some("mounts.socket"));
    assert_eq!(class(bind(socket("/srv/podman.sock", 7))).as_deref(), Some("mounts.podman-sock"));
    for path in ["/run/systemd/notify", "/tmp/.buildkit-ssh-sock1/ssh_auth_sock"] {
        assert!(bind(socket(path, 0)).is_ok(), "{path}");
    }
    assert!(bind(socket("/home/u/agent.sock", 1000)).is_ok());
    let holds = FileFact { inside: vec!["/srv/x/docker.sock".to_owned()], ..dir("/srv/x") };
    assert_eq!(class(bind(holds)).as_deref(), Some("mounts.docker-sock"));
}

#[test]
fn what_a_package_owns_is_the_hosts_system() {
    let owned = |path: &str, package: Package| FileFact { package, ..dir(path) };
    let yes = || Package::Owned("pkg".to_owned());
    let unknown = || Package::Unknown("rpm".to_owned());
    assert!(!is_writable(&bind(owned("/opt/app", yes())).unwrap()));
    assert!(!is_writable(&bind(owned("/opt/app", unknown())).unwrap()));
    assert!(is_writable(&bind(owned("/opt/app", Package::Unowned)).unwrap()));
    assert_eq!(class(bind(owned("/var/lib/app", yes()))).as_deref(), Some("mounts.host-var"));
    assert!(is_writable(&bind(owned("/var/lib/app", unknown())).unwrap()));
}

#[test]
fn what_is_mounted_below_a_recursive_bind_is_judged_too() {
    const EXT4: u64 = 0xef53;
    let below = |path: &str, fs_name: &str, fs_type: u64| {
        let file = FileFact { fs_type, ..dir(path) };
        let at = "sub".to_owned();
        let below = vec![SubMount { at, fs_name: fs_name.to_owned(), file }];
        FileFact { below, ..dir("/data") }
    };
    assert_eq!(
        class(bind(below("/data/sub", "proc", 0x9fa0))).as_deref(),
        Some("mounts.host-proc")
    );
    let etc = FileFact { names: vec!["/etc".to_owned()], ..dir("/data/sub") };
    let below_etc = vec![SubMount { at: "sub".to_owned(), fs_name: "ext4".to_owned(), file: etc }];
    let file = FileFact { below: below_etc, ..dir("/data") };
    assert_eq!(class(bind(file)).as_deref(), Some("mounts.host-etc"));
    assert!(is_writable(&bind(below("/data/sub", "ext4", EXT4)).unwrap()));
    let pinned = bind(below("/data/sub", "nsfs", 0x6e73_6673)).unwrap();
    let told = pinned.decisions.iter().find(|d| d.rule == ControlId::MountSources).unwrap();
    assert!(told.reason.contains("without that"), "{}", told.reason);
}

#[test]
fn what_lies_on_the_hosts_procfs_does_not_come_with_its_pid_namespace() {
    let run = |recursive: bool| {
        let mut document = plain();
        document["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != "/proc");
        let namespaces = document["linux"]["namespaces"].as_array_mut().unwrap();
        namespaces.retain(|namespace| namespace["type"] != "pid");
        let option = if recursive { "rbind" } else { "bind" };
        let mount =
            json!({"destination": "/proc", "type": "bind", "source": "/proc", "options": [option]});
        put(&mut document, "/mounts/-", mount);
        let spec = parse(&document).unwrap();
        let misc = FileFact { fs_type: 0x4249_4e4d, ..dir("/proc/sys/fs/binfmt_misc") };
        let at = "sys/fs/binfmt_misc".to_owned();
        let below = SubMount { at, fs_name: "binfmt_misc".to_owned(), file: misc };
        let below = if recursive { vec![below] } else { Vec::new() };
        let file = FileFact { fs_type: 0x9fa0, below, ..dir("/proc") };
        let sources = [(spec.mounts.len() - 1, SourceFact::Found(Box::new(file)))].into();
        harden_as(spec, &choice(&["namespaces.host-pid"]), &HostFacts { sources, ..host() })
    };
    assert!(run(false).is_ok());
    assert_eq!(class(run(true)).as_deref(), Some("mounts.kernel-fs"));
}

#[test]
fn a_source_that_was_not_looked_at_is_refused() {
    let mount = json!({"destination": "/vol", "source": "/srv", "options": ["bind"]});
    let refusal =
        harden_as(changed("/mounts/-", mount).unwrap(), &choice(&[]), &host()).unwrap_err();
    assert!(refusal.decision.reason.contains("was not looked at"));
}

#[test]
fn another_containers_namespace_does_not_make_the_hosts_files_expected() {
    let run = |path: &str, fs_type: u64, kind: &str, hosts: bool, allow: &[&str]| {
        let mut document = plain();
        let spaces = document["linux"]["namespaces"].as_array_mut().unwrap();
        let space = spaces.iter_mut().find(|space| space["type"] == kind).unwrap();
        space["path"] = json!(format!("/proc/77/ns/{kind}"));
        let mounts = document["mounts"].as_array_mut().unwrap();
        mounts.retain(|mount| mount["destination"] != path);
        let index = mounts.len();
        let mount = json!({"destination": path, "source": path, "options": ["rbind"]});
        put(&mut document, "/mounts/-", mount);
        let file = FileFact { fs_type, ..dir(path) };
        let host_namespaces = match (hosts, kind) {
            (true, "pid") => vec![casemate_policy::spec::NamespaceKind::Pid],
            (true, _) => vec![casemate_policy::spec::NamespaceKind::Ipc],
            _ => Vec::new(),
        };
        let sources = [(index, SourceFact::Found(Box::new(file)))].into();
        let facts = HostFacts { sources, host_namespaces, ..host() };
        harden_as(parse(&document).unwrap(), &choice(allow), &facts)
    };
    assert!(run("/proc", 0x9fa0, "pid", false, &[]).is_err());
    assert!(run("/dev/shm", 0x0102_1994, "ipc", false, &[]).is_err());
    assert!(run("/proc", 0x9fa0, "pid", true, &["namespaces.host-pid"]).is_ok());
    assert!(run("/dev/shm", 0x0102_1994, "ipc", true, &["namespaces.host-ipc"]).is_ok());
}

#[test]
fn what_containers_share_is_for_those_that_join_their_namespaces() {
    let with_memory = |path: &str, kind: &str, namespace_path: &str, memory| {
        let mut document = plain();
        for namespace in document["linux"]["namespaces"].as_array_mut().unwrap() {
            if namespace["type"] == kind {
                namespace["path"] = json!(namespace_path);
            }
        }
        let mount = json!({"destination": "/vol", "type": "bind", "source": path,
            "options": ["rbind", "rw"]});
        document["mounts"].as_array_mut().unwrap().push(mount);
        let spec = parse(&document).unwrap();
        let file = FileFact { device: 7, inode: 2, ..dir(path) };
        let sources = [(spec.mounts.len() - 1, SourceFact::Found(Box::new(file)))].into();
        let mut facts = HostFacts { sources, ..host() };
        facts.mounts.joined_memory = memory;
        harden_as(spec, &choice(&[]), &facts)
    };
    let own = Some((7, 2));
    let with_path = |path: &str, kind: &str, at: &str| with_memory(path, kind, at, own);
    let with = |path: &str, kind: &str| with_path(path, kind, &format!("/proc/123/ns/{kind}"));
    for (hosts, shm) in [
        (
            "/run/containers/storage/overlay-containers/c2/userdata/hosts",
            "/var/lib/containers/storage/overlay-containers/c2/userdata/shm",
        ),
        ("/var/lib/docker/containers/c2/hosts", "/var/lib/docker/containers/c2/mounts/shm"),
    ] {
        assert!(is_writable(&with(hosts, "network").unwrap()), "{hosts}");
        assert!(!is_writable(&with(hosts, "none").unwrap()), "{hosts}");
        // Podman gives every container's own network namespace a name.
        let own = with_path(hosts, "network", "/run/netns/netns-1").unwrap();
        assert!(!is_writable(&own), "{hosts}");
        assert!(is_writable(&with(shm, "ipc").unwrap()), "{shm}");
        assert_eq!(class(with(shm, "none")).as_deref(), Some("mounts.engine-data"), "{shm}");
        // The ipc namespace of a third container makes it nobody's.
        for memory in [Some((8, 2)), None] {
            let of_third = with_memory(shm, "ipc", "/proc/124/ns/ipc", memory);
            assert_eq!(class(of_third).as_deref(), Some("mounts.engine-data"), "{shm}");
        }
    }
}

#[test]
fn an_ordinary_caller_needs_no_override_for_what_is_that_callers_own() {
    let user = || HostFacts { euid: 1000, ..host() };
    for path in ["/etc/cron.daily", "/opt", "/var/lib/dpkg", "/run/user/1000/app", "/usr/share"] {
        let result = bind_as(dir(path), user(), &choice(&[]));
        let result = result.unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
        assert!(is_writable(&result), "{path}");
    }
    let socket = FileFact { kind: FileKind::Socket, owner: 1000, ..dir("/run/user/1000/bus") };
    assert!(bind_as(socket, user(), &choice(&[])).is_ok());
    for path in ["/", "/etc", "/etc/shadow", "/run", "/var/lib/docker"] {
        assert!(bind_as(dir(path), user(), &choice(&[])).is_err(), "{path}");
    }
    let mount = json!({"destination": "/vol", "type": "fuse.sshfs", "source": "x"});
    let spec = changed("/mounts/-", mount).unwrap();
    assert!(harden_as(spec, &choice(&[]), &user()).is_ok());
}
