//! What lies in the directory of an engine: what the engine made for this container is let in, and what
//! belongs to the engine itself or to others is protected.

use super::scope::Scope;
use crate::facts::{is_below, Engine, FileFact, LayerRole};
use crate::spec::NamespaceKind;
use casemate_kernel::magic;

/// Whose the file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Made for this container, or for what it shares with others.
    Given,
    /// The same, and only ever read.
    Shown,
    /// The engine's, or somebody else's.
    Others,
}

/// The shapes of what engines make for containers. A part `x*` is any name that begins so, `%` the container itself, `@` its
/// pod, and `**` at the end whatever follows, or nothing.
const SHAPES: &[(Engine, &str)] = &[
    (Engine::Storage, "*/%/userdata/**"),
    // CRI-O, of the pod.
    (Engine::Storage, "*/@/userdata/hosts"),
    (Engine::Storage, "*/@/userdata/hostname"),
    (Engine::Storage, "*/@/userdata/resolv.conf"),
    (Engine::Storage, "*/@/userdata/.containerenv"),
    (Engine::Storage, "*/@/userdata/run/.containerenv"),
    (Engine::Storage, "volumes/*/_data/**"),
    (Engine::Docker, "containers/%/hosts"),
    (Engine::Docker, "containers/%/hostname"),
    (Engine::Docker, "containers/%/resolv.conf"),
    (Engine::Docker, "containers/%/mounts/*/**"),
    (Engine::Docker, "volumes/*/_data/**"),
    (Engine::Docker, "plugins/*/propagated-mount/**"),
    // A bind of a part of a volume (volume-subpath), which has that part's own name too.
    (Engine::Docker, "tmp/safe-mount*/**"),
    (Engine::Docker, "netns/*"),
    (Engine::Containerd, "*/sandboxes/@/hosts"),
    (Engine::Containerd, "*/sandboxes/@/hostname"),
    (Engine::Containerd, "*/sandboxes/@/resolv.conf"),
    (Engine::Containerd, "*/sandboxes/@/shm/**"),
    (Engine::Containerd, "*/containers/%/volumes/**"),
    (Engine::Containerd, "*/image-volumes/*/**"),
    (Engine::Containerd, "io.containerd.runtime.v2.task/*/%/**"),
    (Engine::Buildkit, "otel-grpc.sock"),
    (Engine::Nerdctl, "*/containers/*/%/**"),
    (Engine::Nerdctl, "*/etchosts/*/%/hosts"),
    (Engine::Nerdctl, "*/volumes/*/*/_data/**"),
    (Engine::Kubelet, "pods/@/etc-hosts"),
    (Engine::Kubelet, "pods/@/containers/*/**"),
    (Engine::Kubelet, "pods/@/volumes/*/*/**"),
    (Engine::Kubelet, "pods/@/volume-subpaths/*/**"),
];

/// What containers share with those that join their namespaces: their names on the network, and their memory. Others
/// may read the former, which engines hand on, and see nothing of the latter.
const SHARED: &[(Engine, &str, NamespaceKind)] = &[
    (Engine::Storage, "*/*/userdata/hosts", NamespaceKind::Network),
    (Engine::Storage, "*/*/userdata/hostname", NamespaceKind::Network),
    (Engine::Storage, "*/*/userdata/resolv.conf", NamespaceKind::Network),
    (Engine::Storage, "*/*/userdata/.containerenv", NamespaceKind::Network),
    (Engine::Storage, "*/*/userdata/run/.containerenv", NamespaceKind::Network),
    (Engine::Storage, "*/*/userdata/shm/**", NamespaceKind::Ipc),
    (Engine::Docker, "containers/*/hosts", NamespaceKind::Network),
    (Engine::Docker, "containers/*/hostname", NamespaceKind::Network),
    (Engine::Docker, "containers/*/resolv.conf", NamespaceKind::Network),
    (Engine::Docker, "containers/*/mounts/shm/**", NamespaceKind::Ipc),
    (Engine::Nerdctl, "*/containers/*/*/hostname", NamespaceKind::Network),
    (Engine::Nerdctl, "*/containers/*/*/resolv.conf", NamespaceKind::Network),
    (Engine::Nerdctl, "*/etchosts/*/*/hosts", NamespaceKind::Network),
];

/// Root file systems of containers and of images, by where engines mount them.
const ROOTS: &[(Engine, &str)] = &[
    (Engine::Storage, "*/*/merged/**"),
    (Engine::Docker, "overlay2/*/merged/**"),
    (Engine::Docker, "rootfs/*/*/**"),
];

/// Where engines mount the root file system of a container whose name is in the path.
const NAMED_ROOTS: &[(Engine, &str, &str)] = &[
    (
        Engine::Containerd,
        "io.containerd.runtime.v2.task/*/*/**",
        "io.containerd.runtime.v2.task/*/%/**",
    ),
    (Engine::Docker, "rootfs/*/*/**", "rootfs/*/%/**"),
];

/// What containers write is kept here, and mounted elsewhere for them: no engine names it as a root file system.
const LAYERS: &[(Engine, &str)] = &[
    (Engine::Storage, "overlay/*/diff/**"),
    (Engine::Docker, "overlay2/*/diff/**"),
    (Engine::Containerd, "*/snapshots/*/fs/**"),
];

/// True for a root file system, at `path` in the directory `root` of `engine`, that cannot be this container's.
pub(super) fn is_others_root(engine: Engine, root: &str, path: &str, scope: &Scope<'_>) -> bool {
    if let Some(root) = remapped(engine, root, path) {
        return is_others_root(engine, &root, path, scope);
    }
    let rest = path.strip_prefix(root.trim_end_matches('/')).unwrap_or_default();
    let rest = rest.trim_start_matches('/');
    let fits = |of: Engine, shape: &str| of == engine && matches(engine, shape, rest, scope);
    let named = NAMED_ROOTS.iter().any(|(of, any, own)| fits(*of, any) && !fits(*of, own));
    named || LAYERS.iter().any(|(of, shape)| fits(*of, shape))
}

/// Where BuildKit keeps the bundles of build steps, below its own root or dockerd's.
const BUILDS: [&str; 2] = ["", "buildkit/"];

/// Whose `path`, in the directory `root` of `engine`, is.
///
/// `file`: what lies there.
pub(super) fn whose(
    engine: Engine,
    root: &str,
    path: &str,
    scope: &Scope<'_>,
    file: &FileFact,
) -> Whose {
    if let Some(root) = remapped(engine, root, path) {
        return whose(engine, &root, path, scope, file);
    }
    let Some(rest) = path.strip_prefix(root.trim_end_matches('/')) else { return Whose::Others };
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() {
        return Whose::Others;
    }
    let fits = |(of, shape): &&(Engine, &str)| *of == engine && matches(engine, shape, rest, scope);
    if SHAPES.iter().any(|shape| fits(&shape)) || is_of_build(engine, root, path, scope) {
        return Whose::Given;
    }
    if ROOTS.iter().any(|(of, shape)| *of == engine && matches(engine, shape, rest, scope)) {
        return of_root(engine, scope, file);
    }
    let shared =
        SHARED.iter().find(|(of, shape, _)| *of == engine && matches(engine, shape, rest, scope));
    match shared {
        Some((_, _, NamespaceKind::Ipc)) if is_memory_of_joined(engine, rest, scope, file) => {
            Whose::Given
        }
        Some((_, _, NamespaceKind::Network)) if scope.joined.contains(&NamespaceKind::Network) => {
            Whose::Given
        }
        // A configuration that is judged without its container: whose they are cannot be told. Creation has the id.
        Some(_) if scope.facts.container.is_empty() => Whose::Given,
        Some((_, _, NamespaceKind::Ipc)) => Whose::Others,
        Some(_) => Whose::Shown,
        None if engine == Engine::Storage && is_below(rest, "artifacts") => Whose::Shown,
        None => Whose::Others,
    }
}

/// The directory that dockerd with `userns-remap` has for its data below the usual one, `UID.GID` (daemon_unix.go,
/// setupDaemonRoot), where `path` lies in one.
fn remapped(engine: Engine, root: &str, path: &str) -> Option<String> {
    let root = root.trim_end_matches('/');
    let first = path.strip_prefix(root)?.strip_prefix('/')?.split('/').next()?;
    let (uid, gid) = first.split_once('.')?;
    let is_id = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (engine == Engine::Docker && is_id(uid) && is_id(gid)).then(|| format!("{root}/{first}"))
}

/// The memory of the process whose ipc namespace is joined; CRI-O gives that of a pod a name of its own, and names the pod.
fn is_memory_of_joined(engine: Engine, path: &str, scope: &Scope<'_>, file: &FileFact) -> bool {
    let same = scope.facts.joined_memory == Some((file.device, file.inode));
    let of_pod = matches(engine, "*/@/userdata/shm/**", path, scope);
    scope.joined.contains(&NamespaceKind::Ipc) && (same || (engine == Engine::Storage && of_pod))
}

/// A mounted root file system that is bound. Images that containers/storage mounts have no upper directory, and
/// containers have one; Docker's have one both, and which it is cannot be told.
fn of_root(engine: Engine, scope: &Scope<'_>, file: &FileFact) -> Whose {
    let written = file.layers.iter().any(|layer| layer.role == LayerRole::Upper);
    match engine {
        // Whether somebody writes there a FUSE file system does not say.
        _ if file.fs_type == magic::FUSE && !is_build(scope) => Whose::Shown,
        // Stages of a build are containers, which later ones are given.
        _ if !written || is_build(scope) => Whose::Given,
        Engine::Docker => Whose::Shown,
        _ => Whose::Others,
    }
}

/// A step of buildah's (and `podman build`'s): the container is named after the bundle, a directory that buildah has made for it
/// (runUsingRuntime in its run_common.go). An id alone is what anybody who calls us chooses.
pub(super) fn is_build(scope: &Scope<'_>) -> bool {
    let bundle = scope.facts.bundle.rsplit('/').next().unwrap_or_default();
    bundle.starts_with("buildah") && scope.facts.container.strip_prefix("buildah-") == Some(bundle)
}

/// BuildKit binds snapshots, caches and secrets into its build steps, which are bundles below its own root.
fn is_of_build(engine: Engine, root: &str, path: &str, scope: &Scope<'_>) -> bool {
    if !matches!(engine, Engine::Buildkit | Engine::Docker) {
        return false;
    }
    let root = root.trim_end_matches('/');
    let builds = match engine {
        Engine::Docker => format!("{root}/{}", BUILDS[1].trim_end_matches('/')),
        _ => root.to_owned(),
    };
    let is_step = is_below(&scope.facts.bundle, &builds);
    let part = |dir: &str| is_below(path, &format!("{root}/{dir}"));
    let snapshot = part("overlay2") || part("vfs") || path.contains("/snapshots/");
    is_step && (snapshot || is_below(path, &builds)) && !path.ends_with(".sock")
}

fn matches(engine: Engine, shape: &str, path: &str, scope: &Scope<'_>) -> bool {
    let mut path = path.split('/');
    for part in shape.split('/') {
        if part == "**" {
            return true;
        }
        let Some(name) = path.next() else { return false };
        let fits = match part {
            "%" => is_container(name, scope),
            "@" => is_pod(engine, name, scope),
            _ => match part.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => part == name,
            },
        };
        if !fits {
            return false;
        }
    }
    path.next().is_none()
}

/// The container itself, by its id or by where its bundle lies. Buildah's build steps have ids of their own, and
/// name the storage of the container that is built.
fn is_container(name: &str, scope: &Scope<'_>) -> bool {
    name == scope.facts.container
        || scope.facts.bundle.split('/').any(|part| part == name)
        || is_build(scope)
}

/// The pod, where the engine says which one it is: the kubelet names it by its uid, containerd by its sandbox.
fn is_pod(engine: Engine, name: &str, scope: &Scope<'_>) -> bool {
    let of_pod = match engine {
        // Anybody could say so to podman, whose annotations are the user's.
        Engine::Storage => return scope.pod.crio_sandbox.as_deref() == Some(name),
        // The id of a container is its caller's choice.
        Engine::Kubelet => return scope.pod.has_uid(name),
        _ => scope.pod.has_sandbox(name),
    };
    of_pod || name == scope.facts.container
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admit::Pod;
    use crate::facts::MountFacts;

    #[test]
    fn what_an_engine_makes_is_told_from_what_it_keeps() {
        let facts = MountFacts { container: "c1".to_owned(), ..MountFacts::default() };
        let name = || Some("p1".to_owned());
        let pod = Pod { sandbox: name(), crio_sandbox: name(), uid: name(), open: false };
        let file = FileFact::default();
        let scope = Scope { facts: &facts, pod: &pod, data: &[], joined: Vec::new() };
        let whose = |engine, path: &str| whose(engine, "/e", &format!("/e/{path}"), &scope, &file);
        for (engine, path) in [
            (Engine::Storage, "overlay-containers/c1/userdata/secrets/x"),
            (Engine::Storage, "overlay-containers/p1/userdata/resolv.conf"),
            (Engine::Storage, "volumes/v/_data/a/b"),
            (Engine::Storage, "overlay/l1/merged/etc"),
            (Engine::Docker, "containers/c1/mounts/secrets/k"),
            (Engine::Docker, "volumes/v/_data"),
            (Engine::Docker, "500000.500000/containers/c1/resolv.conf"),
            (Engine::Docker, "500000.500000/volumes/v/_data"),
            (Engine::Containerd, "io.containerd.grpc.v1.cri/sandboxes/p1/shm"),
            (Engine::Kubelet, "pods/p1/volumes/kubernetes.io~secret/t"),
            (Engine::Kubelet, "pods/p1/etc-hosts"),
        ] {
            assert_eq!(whose(engine, path), Whose::Given, "{path}");
        }
        assert_eq!(whose(Engine::Storage, "artifacts/blobs/sha256/x"), Whose::Shown);
        let hosts = "overlay-containers/c2/userdata/hosts";
        assert_eq!(whose(Engine::Storage, hosts), Whose::Shown);
        for (engine, path) in [
            (Engine::Storage, ""),
            (Engine::Storage, "overlay-containers/c2/userdata/config.json"),
            (Engine::Storage, "overlay/l1/diff"),
            (Engine::Storage, "overlay-containers/c2/userdata/shm"),
            (Engine::Docker, "containers/c2/mounts/shm"),
            (Engine::Storage, "volumes"),
            (Engine::Docker, "containers/c2/mounts/secrets/k"),
            (Engine::Docker, "swarm/certificates"),
            (Engine::Docker, "500000.500000"),
            (Engine::Docker, "500000.500000/containers/c2/mounts/secrets/k"),
            (Engine::Docker, "500000.x/volumes/v/_data"),
            (Engine::Docker, "1.1/1.1.1/volumes/v/_data"),
            (Engine::Containerd, "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs"),
            (Engine::Containerd, "io.containerd.grpc.v1.cri/sandboxes/p2/shm"),
            (Engine::Kubelet, "pods/p2/volumes/kubernetes.io~secret/t"),
            (Engine::Kubelet, "pki"),
        ] {
            assert_eq!(whose(engine, path), Whose::Others, "{path}");
        }
    }
}
