//! Whom a rule of the node's policy is for.
//!
//! Image names and Kubernetes namespaces are known from annotations that engines write. Under podman they mean nothing:
//! it writes none of them, and podman 4 copies those of the image, which could call itself by another name.

use super::file::ScopeText;
use super::matches_glob;
use crate::spec::Spec;
use std::collections::BTreeMap;
use std::fmt;

/// The annotations by which engines name the image: containerd's CRI service, CRI-O.
const IMAGE: [&str; 2] = ["io.kubernetes.cri.image-name", "io.kubernetes.cri-o.ImageName"];

/// The annotations by which engines name the Kubernetes namespace: containerd's CRI service, CRI-O.
const NAMESPACE: [&str; 2] =
    ["io.kubernetes.cri.sandbox-namespace", "io.kubernetes.cri-o.Namespace"];

/// Who made the container, by podman's word; it sets this last, over whatever the image says.
const MANAGER: (&str, &str) = ("io.container.manager", "libpod");

/// What rules match: the container that is about to be made, and its maker.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The configuration's annotations.
    pub annotations: &'a BTreeMap<String, String>,
    /// `linux.cgroupsPath`, in whichever form.
    pub cgroups_path: Option<&'a str>,
    /// Effective uid of the caller.
    pub uid: u32,
    /// What the container is called; empty if nobody said.
    pub id: &'a str,
    /// The configuration's hostname.
    pub hostname: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// The subject of a configuration.
    #[must_use]
    pub fn new(spec: &'a Spec, uid: u32) -> Self {
        let cgroups_path = spec.linux.cgroups_path.as_deref();
        let hostname = spec.hostname.as_deref();
        Self { annotations: &spec.annotations, cgroups_path, uid, id: "", hostname }
    }

    /// The same, of a container with that id.
    #[must_use]
    pub fn called(self, id: &'a str) -> Self {
        Self { id, ..self }
    }

    /// Whether the container is one step of an image's build, whose product is its root file system: buildah's (and
    /// `podman build`'s) or BuildKit's. Neither can pass an annotation. Who makes containers chooses the name and the
    /// hostname; of those who only describe them, Kubernetes' users choose the hostname, and there are always annotations then.
    pub(crate) fn is_build_step(&self) -> bool {
        let by_name = self.id.starts_with("buildah-buildah");
        self.annotations.is_empty() && (by_name || self.hostname == Some("buildkitsandbox"))
    }

    fn first(&self, keys: &[&str]) -> Option<&'a str> {
        if self.annotations.get(MANAGER.0).is_some_and(|name| name == MANAGER.1) {
            return None;
        }
        keys.iter().find_map(|key| self.annotations.get(*key)).map(String::as_str)
    }
}

/// A rule's `match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope {
    place: String,
    image: Vec<String>,
    namespace: Vec<String>,
    annotation: BTreeMap<String, String>,
    uid: Vec<u32>,
    cgroup_parent: Vec<String>,
}

impl Scope {
    pub(super) fn new(place: String, text: ScopeText) -> Self {
        let ScopeText { image, namespace, annotation, uid, cgroup_parent } = text;
        Self { place, image, namespace, annotation, uid, cgroup_parent }
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// All that is given matches.
    pub(super) fn covers(&self, subject: &Subject<'_>) -> bool {
        let one_of = |patterns: &[String], value: Option<&str>| {
            patterns.is_empty()
                || value.is_some_and(|value| patterns.iter().any(|one| matches_glob(one, value)))
        };
        let annotated = self.annotation.iter().all(|(key, pattern)| {
            subject.annotations.get(key).is_some_and(|value| matches_glob(pattern, value))
        });
        let below = |parent: &String| subject.cgroups_path.is_some_and(|p| is_below(p, parent));
        annotated
            && one_of(&self.image, subject.first(&IMAGE))
            && one_of(&self.namespace, subject.first(&NAMESPACE))
            && (self.uid.is_empty() || self.uid.contains(&subject.uid))
            && (self.cgroup_parent.is_empty() || self.cgroup_parent.iter().any(below))
    }
}

/// `/kubepods` covers `/kubepods/x` and not `/kubepods2`; a slice covers the scopes in it (`machine.slice:libpod:id`).
fn is_below(path: &str, parent: &str) -> bool {
    let parent = parent.trim_end_matches('/');
    let rest = path.strip_prefix(parent);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':']))
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let uids: Vec<String> = self.uid.iter().map(ToString::to_string).collect();
        let annotations: Vec<String> =
            self.annotation.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let parts = [
            ("image", &self.image),
            ("namespace", &self.namespace),
            ("annotation", &annotations),
            ("uid", &uids),
            ("cgroup-parent", &self.cgroup_parent),
        ];
        let given = parts.iter().filter(|(_, list)| !list.is_empty());
        let texts: Vec<String> =
            given.map(|(name, list)| format!("{name} {}", list.join(" or "))).collect();
        out.write_str(&texts.join(" and "))
    }
}
