//! Which pod a container belongs to: what the kubelet and the engine have made for it, they have made for that pod.
//!
//! It is said by the engine of Kubernetes, which is known (`engine`), or by the cgroup that cri-dockerd has docker use. What anybody
//! else writes into a configuration names no pod: users of docker, ctr and podman would name the one whose secrets they want.

use crate::engine::{Engine, Label};
use crate::facts::MountFacts;
use crate::origin::Origin;
use crate::spec::Spec;

/// The pod of a container, as far as it is known.
#[derive(Debug, Default)]
pub(crate) struct Pod {
    /// The sandbox, as containerd and CRI-O name it.
    pub(crate) sandbox: Option<String>,
    /// The same, where CRI-O says so.
    pub(crate) crio_sandbox: Option<String>,
    /// The pod's uid.
    pub(crate) uid: Option<String>,
    /// A configuration that is judged without its container: where nobody says which pod it is, it may be any. Creation has the id.
    pub(crate) open: bool,
}

const CLAIMED_SANDBOX: [&str; 2] =
    ["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];
const CLAIMED_UID: [&str; 2] = ["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"];

impl Pod {
    /// `engine`: the one that has made the configuration, as far as that is certain.
    pub(crate) fn of(spec: &Spec, engine: Option<Engine>, facts: &MountFacts) -> Self {
        let says = |label| {
            let text = engine.and_then(|engine| engine.label(&spec.annotations, label));
            text.map(str::to_owned)
        };
        let open = facts.container.is_empty() && engine != Some(Engine::Podman);
        // Whoever wrote it: better one pod than any.
        let claims = |names: [&str; 2]| {
            let found = names.iter().find_map(|name| spec.annotations.get(*name));
            found.filter(|_| open).cloned()
        };
        let sandbox = says(Label::Sandbox);
        Self {
            crio_sandbox: sandbox.clone().filter(|_| engine == Some(Engine::CriO)),
            sandbox: sandbox.or_else(|| claims(CLAIMED_SANDBOX)),
            uid: says(Label::PodUid)
                .or_else(|| by_cgroup(spec, facts, open))
                .or_else(|| claims(CLAIMED_UID)),
            open,
        }
    }

    /// Whether what was made for the pod with this uid is this container's.
    pub(crate) fn has_uid(&self, uid: &str) -> bool {
        self.fits(self.uid.as_deref(), uid)
    }

    /// The same of a sandbox.
    pub(crate) fn has_sandbox(&self, id: &str) -> bool {
        self.fits(self.sandbox.as_deref(), id)
    }

    fn fits(&self, own: Option<&str>, name: &str) -> bool {
        own.map_or(self.open, |own| own == name)
    }
}

/// Docker's configurations have no annotations, and cri-dockerd puts the container into the pod's cgroup. So does a user of docker
/// who names it, which cannot be told from that: it counts on nodes that have cri-dockerd, and of docker's containers.
fn by_cgroup(spec: &Spec, facts: &MountFacts, open: bool) -> Option<String> {
    let origin = Origin { id: &facts.container, bundle: &facts.bundle };
    let counts = open || (facts.cri_dockerd && origin.is_of_docker());
    spec.linux.cgroups_path.as_deref().filter(|_| counts).and_then(of_cgroup)
}

/// The uid in the kubelet's name of a pod's cgroup: `/kubepods/burstable/podUID/ID`, and with underscores in a slice,
/// `kubepods-burstable-podUID.slice:docker:ID`.
fn of_cgroup(path: &str) -> Option<String> {
    let mut parts = path.split(['/', ':']).filter(|part| !part.is_empty());
    if !parts.clone().any(|part| part.starts_with("kubepods")) {
        return None;
    }
    let uid = |part: &str| match part.strip_suffix(".slice") {
        Some(slice) => Some(slice.rsplit_once("-pod")?.1.replace('_', "-")),
        None => part.strip_prefix("pod").map(str::to_owned),
    };
    parts.find_map(uid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASKS: &str = "/run/containerd/io.containerd.runtime.v2.task";
    const CONTAINERD: &str =
        r#""io.kubernetes.cri.sandbox-id":"s1","io.kubernetes.cri.sandbox-uid":"u-1""#;
    const CLAIMED: &str = r#""io.kubernetes.pod.uid":"u-1""#;

    fn facts(container: &str, bundle: String) -> MountFacts {
        MountFacts { container: container.to_owned(), bundle, ..MountFacts::default() }
    }

    fn pod(annotations: &str, cgroup: &str, facts: &MountFacts) -> Pod {
        let text = format!(
            r#"{{"ociVersion":"1.0.2","root":{{"path":"r"}},"annotations":{{{annotations}}},
                "linux":{{"cgroupsPath":"{cgroup}"}}}}"#
        );
        let spec = Spec::parse(text.as_bytes()).unwrap();
        let origin = Origin { id: &facts.container, bundle: &facts.bundle };
        let engine = Engine::of(&spec.annotations, Some(cgroup), origin).unwrap();
        Pod::of(&spec, engine, facts)
    }

    #[test]
    fn the_pod_is_what_the_engine_of_kubernetes_says() {
        let facts = facts("c1", format!("{TASKS}/k8s.io/c1"));
        let pod = pod(CONTAINERD, "kubepods-podu_1.slice:cri-containerd:c1", &facts);
        assert!(pod.has_uid("u-1") && pod.has_sandbox("s1"));
        assert!(!pod.has_uid("u-2") && !pod.has_sandbox("s2"));
    }

    #[test]
    fn what_users_of_docker_ctr_and_podman_write_names_no_pod() {
        for namespace in ["moby", "default"] {
            let facts = facts("c1", format!("{TASKS}/{namespace}/c1"));
            for annotations in ["", CONTAINERD, CLAIMED] {
                for cgroup in
                    ["/docker/c1", "/kubepods/podu-1/c1", "kubepods-podu_1.slice:docker:c1"]
                {
                    let pod = pod(annotations, cgroup, &facts);
                    assert!(
                        !pod.has_uid("u-1") && !pod.has_sandbox("s1"),
                        "{annotations} {cgroup}"
                    );
                }
            }
        }
        let podman = "/var/lib/containers/storage/overlay-containers/c1/userdata";
        let pod = pod(CLAIMED, "machine.slice:libpod:c1", &facts("c1", podman.to_owned()));
        assert!(!pod.has_uid("u-1") && !pod.has_sandbox("s1"));
    }

    #[test]
    fn with_cri_dockerd_the_cgroup_of_dockers_containers_names_the_pod_and_nobody_elses() {
        let at = |namespace: &str, cri_dockerd| MountFacts {
            cri_dockerd,
            ..facts("c1", format!("{TASKS}/{namespace}/c1"))
        };
        for cgroup in
            ["kubepods-besteffort-podu_1.slice:docker:c1", "/kubepods/burstable/podu-1/c1"]
        {
            let own = pod("", cgroup, &at("moby", true));
            assert!(own.has_uid("u-1") && !own.has_uid("u-2"), "{cgroup}");
            for facts in [at("default", true), at("moby", false), at("moby/x", true)] {
                assert!(!pod("", cgroup, &facts).has_uid("u-1"), "{cgroup}");
            }
        }
    }

    #[test]
    fn without_a_container_what_is_written_counts_and_where_nothing_is_any_pod_may_be_meant() {
        let nobody = MountFacts::default();
        assert!(pod("", "/c1", &nobody).has_uid("u-1"));
        let claimed = pod(CLAIMED, "/c1", &nobody);
        assert!(claimed.has_uid("u-1") && !claimed.has_uid("u-2"));
        let by_cgroup = pod("", "/kubepods/podu-1/c1", &nobody);
        assert!(by_cgroup.has_uid("u-1") && !by_cgroup.has_uid("u-2"));
        assert!(!pod(CLAIMED, "machine.slice:libpod:c1", &nobody).has_uid("u-1"));
    }
}
