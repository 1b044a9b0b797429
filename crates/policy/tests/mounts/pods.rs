//! What the kubelet and the engine made for a pod: it is for the containers of that pod.

use super::*;
use casemate_policy::Engine;

const OF_POD: [&str; 7] = [
    "/var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/p/hostname",
    "/run/containerd/io.containerd.grpc.v1.cri/sandboxes/p/shm",
    "/var/lib/kubelet/pods/u/etc-hosts",
    "/var/lib/kubelet/pods/u/volumes/kubernetes.io~empty-dir/v",
    "/var/lib/kubelet/pods/u/volumes/kubernetes.io~projected/token",
    "/var/lib/kubelet/pods/u/volume-subpaths/v/c/0",
    "/var/lib/kubelet/pods/u/containers/c/9f",
];

/// A bind of this directory, in a configuration with the annotations of pod `u` with sandbox `p`.
fn bind_for(engine: Option<Engine>, path: &str, facts: HostFacts) -> Result<Hardened, Refusal> {
    let mut document = plain();
    put(
        &mut document,
        "/annotations",
        json!({"io.kubernetes.cri.sandbox-id": "p", "io.kubernetes.cri.sandbox-uid": "u"}),
    );
    put(
        &mut document,
        "/mounts/-",
        json!({"destination": "/vol", "type": "bind", "source": path, "options": ["rbind", "rw"]}),
    );
    let spec = parse(&document).unwrap();
    let sources = [(spec.mounts.len() - 1, SourceFact::Found(Box::new(dir(path))))].into();
    let mut choice = choice(&[]);
    choice.engine = engine;
    harden_as(spec, &choice, &HostFacts { sources, ..facts })
}

#[test]
fn a_pods_directories_are_for_its_containers() {
    for path in OF_POD {
        let result = bind_for(Some(Engine::Containerd), path, host());
        let result = result.unwrap_or_else(|refusal| panic!("{path}: {refusal}"));
        assert!(is_writable(&result), "{path}");
        for another in [path.replace("/p/", "/q/"), path.replace("/u/", "/x/")] {
            if another != path {
                assert!(bind_for(Some(Engine::Containerd), &another, host()).is_err(), "{another}");
            }
        }
    }
}

#[test]
fn a_pods_directories_are_for_no_container_that_belongs_to_no_pod() {
    for path in OF_POD {
        let refusal = bind(dir(path)).unwrap_err();
        assert_eq!(refusal.allow.unwrap().name, "mounts.engine-data", "{path}");
        // What a user of docker or ctr has written.
        let refusal = bind_for(None, path, host()).unwrap_err();
        assert_eq!(refusal.allow.unwrap().name, "mounts.engine-data", "{path}");
    }
}
