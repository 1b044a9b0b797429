//! What lies in the directory of an engine: what the engine made for this container is let in, and what
//! belongs to the engine itself or to others is protected.

use super::Scope;
use crate::facts::{is_below, Engine};

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
    (Engine::Storage, "*/*/userdata/hosts"),
    (Engine::Storage, "*/*/userdata/hostname"),
    (Engine::Storage, "*/*/userdata/resolv.conf"),
    (Engine::Storage, "*/*/userdata/.containerenv"),
    (Engine::Storage, "*/*/userdata/run/.containerenv"),
    (Engine::Storage, "*/*/userdata/shm/**"),
    (Engine::Storage, "volumes/*/_data/**"),
    (Engine::Storage, "*/*/merged/**"),
    (Engine::Docker, "containers/*/hosts"),
    (Engine::Docker, "containers/*/hostname"),
    (Engine::Docker, "containers/*/resolv.conf"),
    (Engine::Docker, "containers/*/mounts/shm/**"),
    (Engine::Docker, "containers/%/mounts/*/**"),
    (Engine::Docker, "volumes/*/_data/**"),
    (Engine::Docker, "plugins/*/propagated-mount/**"),
    (Engine::Docker, "overlay2/*/merged/**"),
    (Engine::Docker, "rootfs/*/*/**"),
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
    (Engine::Nerdctl, "*/containers/*/*/hostname"),
    (Engine::Nerdctl, "*/containers/*/*/resolv.conf"),
    (Engine::Nerdctl, "*/containers/*/%/**"),
    (Engine::Nerdctl, "*/etchosts/*/*/hosts"),
    (Engine::Nerdctl, "*/volumes/*/*/_data/**"),
    (Engine::Kubelet, "pods/@/etc-hosts"),
    (Engine::Kubelet, "pods/@/containers/*/**"),
    (Engine::Kubelet, "pods/@/volumes/*/*/**"),
    (Engine::Kubelet, "pods/@/volume-subpaths/*/**"),
];

/// Where BuildKit keeps the bundles of build steps, below its own root or dockerd's.
const BUILDS: [&str; 2] = ["", "buildkit/"];

/// Whose `path`, in the directory `root` of `engine`, is.
pub(super) fn whose(engine: Engine, root: &str, path: &str, scope: &Scope<'_>) -> Whose {
    let Some(rest) = path.strip_prefix(root.trim_end_matches('/')) else { return Whose::Others };
    let rest = rest.trim_start_matches('/');
    if rest.is_empty() {
        return Whose::Others;
    }
    let fits = |(of, shape): &&(Engine, &str)| *of == engine && matches(engine, shape, rest, scope);
    if SHAPES.iter().any(|shape| fits(&shape)) || is_of_build(engine, root, path, scope) {
        return Whose::Given;
    }
    match engine == Engine::Storage && is_below(rest, "artifacts") {
        true => Whose::Shown,
        false => Whose::Others,
    }
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
        || scope.facts.container.starts_with("buildah-")
}

/// The pod, where the engine says which one it is: the kubelet names it by its uid, containerd by its sandbox.
fn is_pod(engine: Engine, name: &str, scope: &Scope<'_>) -> bool {
    let pod = if engine == Engine::Kubelet { scope.pod_uid } else { scope.sandbox };
    pod.is_none_or(|pod| pod == name) || name == scope.facts.container
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::MountFacts;

    #[test]
    fn what_an_engine_makes_is_told_from_what_it_keeps() {
        let facts = MountFacts { container: "c1".to_owned(), ..MountFacts::default() };
        let scope = Scope { facts: &facts, sandbox: Some("p1"), pod_uid: Some("p1"), data: &[] };
        let whose = |engine, path: &str| whose(engine, "/e", &format!("/e/{path}"), &scope);
        for (engine, path) in [
            (Engine::Storage, "overlay-containers/c1/userdata/secrets/x"),
            (Engine::Storage, "overlay-containers/c2/userdata/shm"),
            (Engine::Storage, "overlay-containers/c2/userdata/hosts"),
            (Engine::Storage, "volumes/v/_data/a/b"),
            (Engine::Storage, "overlay/l1/merged/etc"),
            (Engine::Docker, "containers/c1/mounts/secrets/k"),
            (Engine::Docker, "volumes/v/_data"),
            (Engine::Containerd, "io.containerd.grpc.v1.cri/sandboxes/p1/shm"),
            (Engine::Kubelet, "pods/p1/volumes/kubernetes.io~secret/t"),
            (Engine::Kubelet, "pods/p1/etc-hosts"),
        ] {
            assert_eq!(whose(engine, path), Whose::Given, "{path}");
        }
        assert_eq!(whose(Engine::Storage, "artifacts/blobs/sha256/x"), Whose::Shown);
        for (engine, path) in [
            (Engine::Storage, ""),
            (Engine::Storage, "overlay-containers/c2/userdata/config.json"),
            (Engine::Storage, "overlay/l1/diff"),
            (Engine::Storage, "volumes"),
            (Engine::Docker, "containers/c2/mounts/secrets/k"),
            (Engine::Docker, "swarm/certificates"),
            (Engine::Containerd, "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs"),
            (Engine::Containerd, "io.containerd.grpc.v1.cri/sandboxes/p2/shm"),
            (Engine::Kubelet, "pods/p2/volumes/kubernetes.io~secret/t"),
            (Engine::Kubelet, "pki"),
        ] {
            assert_eq!(whose(engine, path), Whose::Others, "{path}");
        }
    }
}
