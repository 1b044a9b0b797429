//! Which pod a container belongs to: what the kubelet and the engine have made for it, they have made for that pod.
//!
//! Read from the configuration alone; what that is worth depends on the engine that has written it.

use crate::engine::{Engine, Label};
use crate::spec::Spec;

/// The pod of a container, as far as its configuration says.
#[derive(Debug, Default)]
pub(crate) struct Pod {
    /// What the kubelet made for pods is for none of podman's containers: their annotations are whoever's.
    pub(super) nobodys: bool,
    /// The sandbox, as containerd and CRI-O name it.
    pub(super) sandbox: Option<String>,
    /// The same, where it is certain that CRI-O says so.
    pub(super) crio_sandbox: Option<String>,
    /// The pod's uid.
    pub(super) uid: Option<String>,
}

const CLAIMED_SANDBOX: [&str; 2] =
    ["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"];
const CLAIMED_UID: [&str; 2] = ["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"];

impl Pod {
    /// `engine`: the one that has made the configuration, as far as that is certain.
    pub(crate) fn of(spec: &Spec, engine: Option<Engine>) -> Self {
        let path = spec.linux.cgroups_path.as_deref();
        let says = |label| {
            let text = engine.and_then(|engine| engine.label(&spec.annotations, label));
            text.map(str::to_owned)
        };
        // Whoever wrote it: better one pod than any.
        let claims =
            |names: [&str; 2]| names.iter().find_map(|name| spec.annotations.get(*name)).cloned();
        let sandbox = says(Label::Sandbox);
        Self {
            nobodys: engine == Some(Engine::Podman),
            crio_sandbox: sandbox.clone().filter(|_| engine == Some(Engine::CriO)),
            sandbox: sandbox.or_else(|| claims(CLAIMED_SANDBOX)),
            // Docker's configurations have no annotations, and cri-dockerd puts the container into the pod's cgroup.
            uid: says(Label::PodUid)
                .or_else(|| path.and_then(of_cgroup))
                .or_else(|| claims(CLAIMED_UID)),
        }
    }

    /// Whether what was made for the pod with this uid is this container's.
    pub(super) fn has_uid(&self, uid: &str) -> bool {
        fits(self.uid.as_deref(), uid, self.nobodys)
    }

    /// The same of a sandbox.
    pub(super) fn has_sandbox(&self, id: &str) -> bool {
        fits(self.sandbox.as_deref(), id, self.nobodys)
    }
}

/// Where nobody says which pod it is, it may be any.
fn fits(own: Option<&str>, name: &str, nobodys: bool) -> bool {
    !nobodys && own.is_none_or(|own| own == name)
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
