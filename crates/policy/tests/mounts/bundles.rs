//! Bundles: what says what runs next is written by no container.

use super::*;
use casemate_policy::BundleFact;

fn by(mounts: MountFacts, euid: u32, path: &str) -> bool {
    let facts = HostFacts { mounts: MountFacts { ..mounts }, euid, ..host() };
    is_writable(&bind_as(dir(path), facts, &choice(&[])).unwrap())
}

#[test]
fn a_configuration_with_another_name_is_not_written_from_inside() {
    let named = || MountFacts {
        bundle: "/srv/b".to_owned(),
        config: Some("/home/u/conf/web.json".to_owned()),
        ..MountFacts::default()
    };
    for path in ["/home/u/conf", "/home/u", "/home/u/conf/web.json"] {
        assert!(!by(named(), 0, path), "{path}");
    }
    assert!(by(named(), 0, "/srv/b") && by(named(), 0, "/home/u/other"));
}

#[test]
fn an_ordinary_callers_configuration_is_not_written_from_inside() {
    let at = |bundle: &str| MountFacts { bundle: bundle.to_owned(), ..MountFacts::default() };
    for path in ["/home/u/b", "/home/u", "/home/u/b/config.json"] {
        assert!(!by(at("/home/u/b"), 1000, path), "{path}");
    }
    // Toolbox and distrobox give containers the home directory, in which the engine keeps the bundle.
    let podmans = "/home/u/.local/share/containers/storage/overlay-containers/c0ffee/userdata";
    assert!(by(at(podmans), 1000, "/home/u"));
    assert!(!by(at(podmans), 1000, &format!("{podmans}/config.json")));
}

#[test]
fn what_another_container_was_made_from_is_read_only() {
    let other = BundleFact {
        container: "c2".to_owned(),
        bundle: "/srv/b".to_owned(),
        config: None,
        root: "/home/u/tree".to_owned(),
        names: vec!["/home/w/up/b".to_owned(), "/home/w/up/b/config.json".to_owned()],
        root_names: vec!["/home/v/layer".to_owned()],
        hooks: Vec::new(),
    };
    let facts = || MountFacts { others: vec![other.clone()], ..MountFacts::default() };
    for path in ["/srv", "/srv/b", "/srv/b/config.json", "/home/u", "/home/u/tree/usr"]
        .into_iter()
        .chain(["/home/w/up", "/home/w/up/b/config.json", "/home/v", "/home/v/layer/etc"])
    {
        assert!(!by(facts(), 0, path), "{path}");
    }
    for path in ["/srv/b/data", "/srv/c", "/home/u/tree2", "/home/w/up/c"] {
        assert!(by(facts(), 0, path), "{path}");
    }
    // A container on the host's root has none of its own.
    let on_root = BundleFact { root: "/".to_owned(), ..other.clone() };
    assert!(by(MountFacts { others: vec![on_root], ..MountFacts::default() }, 0, "/home/u"));
}

#[test]
fn a_root_file_system_holds_no_bundle() {
    let own = MountFacts { bundle: "/home/u/b".to_owned(), ..MountFacts::default() };
    let other = BundleFact {
        container: "c2".to_owned(),
        bundle: "/home/u/b".to_owned(),
        root: "/home/u/b/rootfs".to_owned(),
        ..BundleFact::default()
    };
    let others = MountFacts { others: vec![other], ..MountFacts::default() };
    let refused = |mounts: &MountFacts, euid: u32, root: FileFact| {
        let facts = HostFacts { mounts: mounts.clone(), root: Some(root), euid, ..host() };
        let spec = changed("/root/readonly", json!(false)).unwrap();
        let choice = choice(&["rootfs.writable"]);
        harden_as(spec, &choice, &facts).err()?.allow.map(|remedy| remedy.name)
    };
    for mounts in [&own, &others] {
        for (path, euid) in [("/home/u/b", 0), ("/home/u", 0), ("/home/u/b", 1000)] {
            let class = refused(mounts, euid, dir(path));
            assert_eq!(class.as_deref(), Some("mounts.engine-data"), "{path} {euid}");
        }
        // Mounted from below it.
        let top = FileFact { holds: vec!["/home".to_owned()], ..dir("/mnt/top") };
        assert_eq!(refused(mounts, 0, top).as_deref(), Some("mounts.engine-data"));
        assert_eq!(refused(mounts, 0, dir("/home/u/c")), None);
    }
    assert_eq!(refused(&own, 0, dir("/home/u/b/rootfs")), None);
    let facts = HostFacts { mounts: own, root: Some(dir("/home/u/b")), ..host() };
    let run = |facts: &HostFacts| {
        harden_as(changed("/root/readonly", json!(true)).unwrap(), &choice(&[]), facts)
    };
    // It cannot be written there.
    assert!(run(&facts).is_ok());
    assert!(run(&HostFacts { mounts: others, ..facts }).is_err());
}

#[test]
fn a_root_file_system_that_is_written_is_nobody_elses() {
    let other = BundleFact {
        container: "c2".to_owned(),
        bundle: "/home/u/b".to_owned(),
        root: "/home/u/tree".to_owned(),
        ..BundleFact::default()
    };
    let mounts = MountFacts { others: vec![other], ..MountFacts::default() };
    let run = |path: &str, readonly: bool, profile: ProfileName| {
        let facts = HostFacts { mounts: mounts.clone(), root: Some(dir(path)), ..host() };
        let spec = changed("/root/readonly", json!(readonly)).unwrap();
        let mut choice = Choice::from(profile.profile());
        choice.overrides = super::choice(&["rootfs.writable"]).overrides;
        harden_as(spec, &choice, &facts).err().and_then(|refusal| refusal.allow).map(|r| r.name)
    };
    let (hardened, baseline) = (ProfileName::Hardened, ProfileName::Baseline);
    for path in
        ["/opt/cni", "/opt/containerd/lib", "/nix", "/snap/core", "/usr/local", "/usr/share"]
    {
        for profile in [hardened, baseline] {
            let class = run(path, false, profile);
            assert_eq!(class.as_deref(), Some("mounts.host-system"), "{path} {profile}");
        }
        assert_eq!(run(path, true, hardened), None, "{path}");
    }
    assert_eq!(run("/home/u/tree", false, hardened).as_deref(), Some("mounts.engine-data"));
    // Read-only, or where containers write to their roots anyway, they share one.
    assert_eq!(run("/home/u/tree", true, hardened), None);
    assert_eq!(run("/home/u/tree", false, baseline), None);
}

#[test]
fn a_package_or_an_engine_is_known_by_every_name_of_a_directory() {
    let owned = FileFact {
        names: vec!["/var/lib/git".to_owned()],
        package: Package::Owned("git".to_owned()),
        ..dir("/mnt/bound")
    };
    let engine = EngineFact { engine: DataLayout::Docker, root: "/data/docker".to_owned() };
    let moved = FileFact {
        names: vec!["/data/docker/containers/1111".to_owned()],
        engine: Some(engine),
        ..dir("/mnt/bound")
    };
    for file in [owned, moved] {
        assert!(bind_as(file, host(), &choice(&[])).is_err());
    }
}
