//! Which engine made a configuration, and what of its annotations the engine itself has written.
//!
//! A configuration's annotations come from several hands: CRI-O copies those of the pod into every
//! container of it, podman 4 those of the image, containerd those of the pod that its
//! `pod_annotations` name. An author of a pod or of an image can write any key, and only a key that
//! the engine writes after copying says what the engine says:
//!
//! - CRI-O (`internal/factory/container`, `server/sandbox_run_linux.go`) ends with the kubelet's
//!   labels, among them `io.kubernetes.pod.namespace`, in containers and sandboxes alike. Its own
//!   keys `io.kubernetes.cri-o.*` come before the pod's annotations in a sandbox, and
//!   `io.kubernetes.cri-o.Namespace` is not written in containers at all.
//! - containerd's CRI service (`internal/cri/server`) ends with `io.kubernetes.cri.*`; the image's
//!   name in containers only.
//! - podman (`libpod/container_internal_common.go`) writes `io.container.manager` only where nobody
//!   has written it before.
//!
//! So the cgroup's name is asked too: engines make it themselves, of a fixed word and the
//! container's id. Users of docker, ctr and nerdctl choose annotations and cgroup alike; what they do not choose is where
//! the engine keeps the bundle ([`Origin`]), and without that nobody passes for an engine of Kubernetes.

use crate::error::PolicyError;
use crate::origin::Origin;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

type Annotations = BTreeMap<String, String>;

/// An engine that is known by what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// containerd's CRI service, for Kubernetes.
    Containerd,
    /// CRI-O.
    CriO,
    /// podman, whose containers' annotations may be the image's.
    Podman,
}

/// What engines say about a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// The image's name.
    Image,
    /// The container's name in its pod.
    Container,
    /// The Kubernetes namespace.
    Namespace,
    /// The pod's name.
    Pod,
    /// The pod's uid.
    PodUid,
    /// The pod's sandbox.
    Sandbox,
}

/// By what podman and CRI-O say who they are.
const MANAGER: &str = "io.container.manager";

/// How all keys of containerd's CRI service begin.
const CONTAINERD: &str = "io.kubernetes.cri.";

/// How CRI-O calls the sandbox of a pod in the label of the container's name.
const CRIO_SANDBOX: &str = "POD";

/// Keys that stand for image and namespace, whoever wrote them: good enough to be stricter by.
const CLAIMED_IMAGE: [&str; 2] = ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"];
const CLAIMED_NAMESPACE: [&str; 3] = [
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.pod.namespace",
    "io.kubernetes.cri-o.Namespace",
];

impl Engine {
    /// As messages say it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
        }
    }

    /// The engine that made a configuration; `None`: it cannot be told, as for docker, nerdctl, ctr
    /// and callers by hand.
    ///
    /// # Errors
    /// Signs of two engines: one of them was copied from a pod or an image.
    pub fn of(
        annotations: &Annotations,
        cgroups_path: Option<&str>,
        origin: Origin<'_>,
    ) -> Result<Option<Self>, PolicyError> {
        let Some(engine) = Self::claimed(annotations, cgroups_path)? else { return Ok(None) };
        let path = cgroups_path.unwrap_or_default();
        let certain = match engine {
            // Its annotations count for nothing, so that nothing is won by passing for it.
            Self::Podman => true,
            // Podman 4 with an image that says so has another cgroup.
            Self::CriO => {
                manager(annotations) == Some(engine)
                    && by_cgroup(path) == Some(engine)
                    && origin.is_of_crio(path)
            }
            // The same; podman without a cgroup has no path.
            Self::Containerd => own_key(annotations).is_some() && origin.is_of_containerd(path),
        };
        Ok(certain.then_some(engine))
    }

    /// The engine that a configuration seems to be of, whoever wrote that.
    ///
    /// # Errors
    /// As [`Engine::of`].
    pub fn claimed(
        annotations: &Annotations,
        cgroups_path: Option<&str>,
    ) -> Result<Option<Self>, PolicyError> {
        let manager = manager(annotations);
        let signs = [
            manager.map(|engine| (engine, format!("annotation {MANAGER}={}", engine.manager()))),
            own_key(annotations).map(|key| (Self::Containerd, format!("annotation {key}"))),
            cgroups_path.and_then(by_cgroup).map(|engine| (engine, "linux.cgroupsPath".to_owned())),
        ];
        let mut given = signs.iter().flatten();
        let Some((engine, sign)) = given.next() else { return Ok(None) };
        if let Some((other, other_sign)) = given.find(|(other, _)| other != engine) {
            return Err(PolicyError::new(format!(
                "signs of two engines: {engine} ({sign}) and {other} ({other_sign}); one was copied from a pod or an image"
            )));
        }
        Ok(Some(*engine))
    }

    /// As it calls itself where it does (`io.container.manager`), and as records call it.
    #[must_use]
    pub fn manager(self) -> &'static str {
        match self {
            Self::Podman => "libpod",
            Self::Containerd | Self::CriO => self.as_str(),
        }
    }

    /// What the engine itself says, and nobody else can.
    #[must_use]
    pub fn label(self, annotations: &Annotations, label: Label) -> Option<&str> {
        let key = match (self, label) {
            (Self::Podman, _) => return None,
            (Self::Containerd, Label::Image) => "io.kubernetes.cri.image-name",
            (Self::Containerd, Label::Container) => "io.kubernetes.cri.container-name",
            (Self::Containerd, Label::Namespace) => "io.kubernetes.cri.sandbox-namespace",
            (Self::Containerd, Label::Pod) => "io.kubernetes.cri.sandbox-name",
            (Self::Containerd, Label::PodUid) => "io.kubernetes.cri.sandbox-uid",
            (Self::Containerd, Label::Sandbox) => "io.kubernetes.cri.sandbox-id",
            (Self::CriO, Label::Image) => "io.kubernetes.cri-o.ImageName",
            (Self::CriO, Label::Container) => "io.kubernetes.container.name",
            (Self::CriO, Label::Namespace) => "io.kubernetes.pod.namespace",
            (Self::CriO, Label::Pod) => "io.kubernetes.pod.name",
            (Self::CriO, Label::PodUid) => "io.kubernetes.pod.uid",
            (Self::CriO, Label::Sandbox) => "io.kubernetes.cri-o.SandboxID",
        };
        self.written(annotations, key)
    }

    /// The value of a key, if it is one that the engine writes itself and last in a container of
    /// this kind.
    pub(crate) fn written<'a>(self, annotations: &'a Annotations, key: &str) -> Option<&'a str> {
        let value = |key: &str| annotations.get(key).map(String::as_str);
        let own = match self {
            Self::Podman => false,
            Self::Containerd => match key {
                "io.kubernetes.cri.container-type"
                | "io.kubernetes.cri.sandbox-id"
                | "io.kubernetes.cri.sandbox-namespace"
                | "io.kubernetes.cri.sandbox-name"
                | "io.kubernetes.cri.sandbox-uid" => true,
                "io.kubernetes.cri.image-name" | "io.kubernetes.cri.container-name" => {
                    value("io.kubernetes.cri.container-type") == Some("container")
                }
                _ => false,
            },
            Self::CriO => match key {
                "io.kubernetes.pod.namespace"
                | "io.kubernetes.pod.name"
                | "io.kubernetes.pod.uid"
                | "io.kubernetes.container.name" => true,
                "io.kubernetes.cri-o.ImageName" | "io.kubernetes.cri-o.SandboxID" => {
                    value("io.kubernetes.container.name").is_some_and(|name| name != CRIO_SANDBOX)
                }
                _ => false,
            },
        };
        value(key).filter(|_| own)
    }
}

/// Whether some engine writes this key itself, in some of its containers: what a rule that gives
/// can be for.
pub(crate) fn is_of_an_engine(key: &str) -> bool {
    let texts = [
        (key, "x"),
        ("io.kubernetes.cri.container-type", "container"),
        ("io.kubernetes.container.name", "x"),
    ];
    let all: Annotations = texts.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    [Engine::Containerd, Engine::CriO].iter().any(|engine| engine.written(&all, key).is_some())
}

/// All that annotations claim the image, or the namespace, to be.
pub(crate) fn claims(annotations: &Annotations, label: Label) -> impl Iterator<Item = &str> {
    let keys = match label {
        Label::Image => &CLAIMED_IMAGE[..],
        Label::Namespace => &CLAIMED_NAMESPACE[..],
        Label::Container | Label::Pod | Label::PodUid | Label::Sandbox => &[],
    };
    keys.iter().filter_map(|key| annotations.get(*key)).map(String::as_str)
}

/// Who says that it is this engine.
fn manager(annotations: &Annotations) -> Option<Engine> {
    match annotations.get(MANAGER)?.as_str() {
        "libpod" => Some(Engine::Podman),
        "cri-o" => Some(Engine::CriO),
        _ => None,
    }
}

/// The first key of containerd's CRI service.
fn own_key(annotations: &Annotations) -> Option<&str> {
    let (key, _) = annotations.range(CONTAINERD.to_owned()..).next()?;
    key.starts_with(CONTAINERD).then_some(key)
}

/// The engine whose word is in the name: `slice:WORD:id`, or `WORD-id` as the last part of a path.
fn by_cgroup(path: &str) -> Option<Engine> {
    let known = |word: &str| match word {
        "libpod" => Some(Engine::Podman),
        "crio" => Some(Engine::CriO),
        "cri-containerd" => Some(Engine::Containerd),
        _ => None,
    };
    if let Some((_, rest)) = path.split_once(':') {
        return known(rest.split(':').next().unwrap_or_default());
    }
    let last = path.trim_end_matches('/').rsplit('/').next()?;
    last.split_once('-').and_then(|(word, _)| known(word))
}

impl fmt::Display for Engine {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}
