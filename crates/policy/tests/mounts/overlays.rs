//! Overlays, of the configuration's and of the host's: a layer shows what a bind mount would show.

use super::*;

/// An overlay with these layers as `lowerdir`, `upperdir` and `workdir`.
fn overlay(paths: [&str; 3]) -> Result<Hardened, Refusal> {
    let [lower, upper, work] = paths;
    let mount = json!({"destination": "/vol", "type": "overlay", "source": "overlay", "options":
        [format!("lowerdir={lower},upperdir={upper},workdir={work}")]});
    let spec = changed("/mounts/-", mount).unwrap();
    let roles = [LayerRole::Lower, LayerRole::Upper, LayerRole::Work];
    let layer = |(role, path): (LayerRole, &str)| LayerFact {
        role,
        path: path.to_owned(),
        moved: false,
        source: SourceFact::Found(Box::new(dir(path))),
    };
    let layers = roles.into_iter().zip(paths).map(layer).collect();
    let layers = [(spec.mounts.len() - 1, layers)].into();
    harden_as(spec, &choice(&[]), &HostFacts { layers, ..host() })
}

#[test]
fn the_layers_of_an_overlay_are_judged_like_bind_sources() {
    assert!(overlay(["/srv/low", "/srv/up", "/srv/wk"]).is_ok());
    assert!(overlay(["/usr/share", "/srv/up", "/srv/wk"]).is_ok(), "is only read");
    for (paths, wanted) in [
        (["/srv/low", "/etc", "/wk"], "mounts.host-etc"),
        (["/etc", "/srv/up", "/srv/wk"], "mounts.host-etc"),
        (["/srv/low", "/usr/bin", "/srv/wk"], "mounts.host-system"),
        (["/srv/low", "/srv/up", "/var/lib/dpkg"], "mounts.host-var"),
    ] {
        assert_eq!(class(overlay(paths)).as_deref(), Some(wanted), "{paths:?}");
    }
    let unseen = json!({"destination": "/vol", "type": "overlay", "source": "overlay", "options":
        ["lowerdir=/srv/a:/srv/b"]});
    let refusal = harden_as(changed("/mounts/-", unseen).unwrap(), &choice(&[]), &host());
    assert!(refusal.unwrap_err().decision.reason.contains("were not looked at"));
}

/// A directory on an overlay of a lower, an upper and a work directory.
fn on_overlay(path: &str, layers: [&str; 3]) -> FileFact {
    let roles = [LayerRole::Lower, LayerRole::Upper, LayerRole::Work];
    let layer = |(role, path): (LayerRole, &str)| LayerFact {
        role,
        path: path.to_owned(),
        moved: false,
        source: SourceFact::Found(Box::new(dir(path))),
    };
    FileFact { layers: roles.into_iter().zip(layers).map(layer).collect(), ..dir(path) }
}

const VOLUME: &str = "/var/lib/containers/storage/volumes/v/_data";
const MERGED: &str = "/var/lib/containers/storage/overlay/i1/merged";
const DIFF: &str = "/var/lib/containers/storage/overlay/i1/diff";

#[test]
fn a_source_on_an_overlay_is_judged_by_the_layers_too() {
    for path in ["/mnt/ovl", VOLUME] {
        assert!(is_writable(&bind(on_overlay(path, ["/srv/l", "/srv/u", "/srv/w"])).unwrap()));
        assert!(bind(on_overlay(path, ["/usr/share", "/srv/u", "/srv/w"])).is_ok(), "only read");
        for (layers, wanted) in [
            (["/srv/l", "/etc", "/srv/w"], "mounts.host-etc"),
            (["/etc", "/srv/u", "/srv/w"], "mounts.host-etc"),
            (["/srv/l", "/usr/bin", "/srv/w"], "mounts.host-system"),
            (["/srv/l", "/srv/u", "/var/lib/dpkg"], "mounts.host-var"),
            (["/srv/l", DIFF, "/srv/w"], "mounts.engine-data"),
            (["l", "/srv/u", "/srv/w"], "mounts.engine-data"),
        ] {
            let found = class(bind(on_overlay(path, layers)));
            assert_eq!(found.as_deref(), Some(wanted), "{path} {layers:?}");
        }
    }
}

#[test]
fn layers_that_cannot_be_looked_at_are_refused() {
    let mut file = on_overlay("/mnt/ovl", ["/srv/l", "/srv/u", "/srv/w"]);
    file.layers[0].source = SourceFact::Missing("ENOENT".to_owned());
    assert_eq!(class(bind(file.clone())).as_deref(), Some("mounts.engine-data"));
    assert!(bind_as(file.clone(), host(), &choice(&["mounts.engine-data"])).is_ok());
    let user = HostFacts { euid: 1000, ..host() };
    assert!(bind_as(file, user, &choice(&[])).is_ok(), "an ordinary caller's");
}

/// Who mounts an overlay may have had a link at the place that is gone, to anywhere.
#[test]
fn a_layer_that_is_gone_is_let_in_where_it_is_an_engines_own_and_nowhere_else() {
    let root = |path: &str, lower: &str| {
        let mut file = on_overlay(path, [lower, DIFF, DIFF]);
        file.layers[0].moved = true;
        harden_as(parse(&plain()).unwrap(), &choice(&[]), &HostFacts { root: Some(file), ..host() })
    };
    let bundle = format!("{}/rootfs", host().mounts.bundle);
    let snapshots = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
    assert!(root(&bundle, snapshots).is_ok());
    assert!(root(MERGED, DIFF).is_ok());
    for lower in ["/srv/l", "/usr/share"] {
        let found = class(root(&bundle, lower));
        assert_eq!(found.as_deref(), Some("mounts.engine-data"), "{lower}");
    }
    assert_eq!(class(root(&bundle, "/etc")).as_deref(), Some("mounts.host-etc"));
    for lower in ["/srv/l", snapshots] {
        let mut volume = on_overlay(VOLUME, [lower, "/srv/u", "/srv/w"]);
        volume.layers[0].moved = true;
        assert_eq!(class(bind(volume)).as_deref(), Some("mounts.engine-data"), "{lower}");
    }
}

#[test]
fn the_layers_of_a_layer_are_judged() {
    let mut file = on_overlay("/mnt/ovl", ["/srv/l", "/srv/u", "/srv/w"]);
    let inner = on_overlay("/srv/l", ["/etc", "/srv/u2", "/srv/w2"]);
    file.layers[0].source = SourceFact::Found(Box::new(inner));
    assert_eq!(class(bind(file)).as_deref(), Some("mounts.host-etc"));
}

#[test]
fn the_overlays_that_engines_mount_have_engines_data_as_layers() {
    let mut image = on_overlay(MERGED, [DIFF, DIFF, DIFF]);
    image.layers.truncate(1);
    assert!(bind(image).is_ok());
    let mut foreign = on_overlay(MERGED, ["/etc", DIFF, DIFF]);
    foreign.layers.truncate(1);
    assert_eq!(class(bind(foreign)).as_deref(), Some("mounts.host-etc"));
}

#[test]
fn another_containers_root_file_system_is_not_bound() {
    let root = |path: &str| on_overlay(path, ["/srv/l", "/srv/u", "/srv/w"]);
    assert_eq!(class(bind(root(MERGED))).as_deref(), Some("mounts.engine-data"));
    assert_eq!(class(bind(root(&format!("{MERGED}/etc")))).as_deref(), Some("mounts.engine-data"));
    let docker = bind(root("/var/lib/docker/overlay2/c1/merged")).unwrap();
    assert!(!is_writable(&docker), "an image's, perhaps");
    let by = |container: &str, bundle: &str| {
        let (container, bundle) = (container.to_owned(), bundle.to_owned());
        let mounts = MountFacts { container, bundle, ..host().mounts };
        bind_as(root(MERGED), HostFacts { mounts, ..host() }, &choice(&[])).is_ok()
    };
    assert!(by("buildah-buildah1", "/var/tmp/buildah1"), "a stage of the same build");
    // A name that anybody can choose.
    assert!(!by("buildah-buildah1", "/srv/b") && !by("buildah-x", "/var/tmp/x"));
}

#[test]
fn a_place_on_an_overlay_below_a_recursive_bind_is_judged_by_the_layers() {
    let file = on_overlay("/srv/v/sub", ["/srv/l", "/etc", "/srv/w"]);
    let below = vec![SubMount { at: "sub".to_owned(), fs_name: "overlay".to_owned(), file }];
    let found = class(bind(FileFact { below, ..dir("/srv/v") }));
    assert_eq!(found.as_deref(), Some("mounts.host-etc"));
}

#[test]
fn a_root_on_an_overlay_is_judged_by_its_layers() {
    let root = |file: FileFact| {
        harden_as(parse(&plain()).unwrap(), &choice(&[]), &HostFacts { root: Some(file), ..host() })
    };
    let containerd = "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots";
    let snapshots = ["1/fs", "2/fs", "2/work"].map(|part| format!("{containerd}/{part}"));
    let snapshots = snapshots.each_ref().map(String::as_str);
    let rootfs = format!("{}/rootfs", host().mounts.bundle);
    for (path, layers) in [
        (MERGED, [DIFF, DIFF, DIFF]),
        (MERGED, ["l/ABC", DIFF, DIFF]),
        (rootfs.as_str(), snapshots),
        ("/run/elsewhere/rootfs", ["/srv/l", "/srv/u", "/srv/w"]),
    ] {
        let mut file = on_overlay(path, layers);
        if layers[0] == "l/ABC" {
            file.layers[0].source = SourceFact::Found(Box::new(dir(DIFF)));
        }
        assert!(root(file).is_ok(), "{path} {layers:?}");
    }
    for (path, layers, wanted) in [
        (MERGED, [DIFF, "/etc", DIFF], "mounts.host-etc"),
        ("/mnt/ovl", ["/srv/l", "/etc", "/srv/w"], "mounts.host-etc"),
        ("/mnt/ovl", ["/srv/l", DIFF, "/srv/w"], "mounts.engine-data"),
        ("/mnt/ovl", ["/srv/l", "/usr/lib", "/srv/w"], "mounts.host-system"),
    ] {
        let found = class(root(on_overlay(path, layers)));
        assert_eq!(found.as_deref(), Some(wanted), "{path} {layers:?}");
    }
}

#[test]
fn a_place_for_everybodys_files_is_no_root_file_system() {
    let with = |path: &str, euid: u32, allow: &[&str]| {
        let facts = HostFacts { root: Some(dir(path)), euid, ..host() };
        harden_as(parse(&plain()).unwrap(), &choice(allow), &facts)
    };
    for path in ["/home", "/tmp", "/srv", "/var/tmp", "/var/log"] {
        for caller in [0, 1000] {
            let refused = with(path, caller, &[]);
            assert_eq!(class(refused).as_deref(), Some("mounts.host-root"), "{path}");
        }
        let below = format!("{path}/x");
        assert!(with(&below, 0, &[]).is_ok() && with(path, 0, &["mounts.host-root"]).is_ok());
    }
    assert!(with("/mnt", 0, &[]).is_ok());
}

#[test]
fn the_root_file_system_of_another_container_is_not_this_ones() {
    let with = |file: FileFact| {
        harden_as(parse(&plain()).unwrap(), &choice(&[]), &HostFacts { root: Some(file), ..host() })
    };
    let owned = |owner: &str| FileFact {
        container: Some(owner.to_owned()),
        ..on_overlay(MERGED, [DIFF, DIFF, DIFF])
    };
    assert!(with(owned(CONTAINER)).is_ok());
    assert_eq!(class(with(owned("c2"))).as_deref(), Some("mounts.engine-data"));
    for path in [
        "/run/containerd/io.containerd.runtime.v2.task/k8s.io/c2/rootfs",
        "/var/lib/docker/rootfs/overlayfs/c2",
        DIFF,
        "/var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/7/fs",
    ] {
        assert_eq!(class(with(dir(path))).as_deref(), Some("mounts.engine-data"), "{path}");
    }
    for path in [
        format!("{}/rootfs", host().mounts.bundle),
        format!("/var/lib/docker/rootfs/overlayfs/{CONTAINER}"),
    ] {
        assert!(with(dir(&path)).is_ok(), "{path}");
    }
}
