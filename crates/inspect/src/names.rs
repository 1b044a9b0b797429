//! What an engine calls a container, and which engine that is: for people, who know a container by its name, and who have to be
//! told where it is.
//!
//! A name is taken from where only the engine writes it: docker's and podman's own files, and of the annotations those that
//! [`Engine::label`] vouches for. So no image calls itself by the name of another container, and no signal goes astray.

use anyhow::{Context as _, Result};
use casemate_policy::spec::Spec;
use casemate_policy::{Engine, Label, Origin};
use casemate_runtime::files::read_regular;
use serde_json::Value;
use std::path::Path;

/// Where containerd's shims keep bundles: `TASKS/NAMESPACE/ID`.
const TASKS: &str = "io.containerd.runtime.v2.task";

/// docker's own records of its containers, when its data is where it usually is.
pub(crate) const DOCKER: &str = "/var/lib/docker/containers";

/// Files that docker keeps for a container and mounts into it, beside its own record of the container.
const OF_DOCKER: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// An engine's view of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// The engine; `None`: it cannot be told, as for callers by hand.
    pub engine: Option<&'static str>,
    /// All that the container is called, the longest first; none where the engine has no names but the id.
    pub names: Vec<String>,
}

impl Called {
    /// The name to show.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.names.first().map(String::as_str)
    }
}

/// What the container `id` is called that was made from `bundle` with the configuration `spec`.
///
/// # Errors
/// A file of the engine's that is there and cannot be read: what the container is called is not known then.
pub(crate) fn of(id: &str, bundle: &Path, spec: &Spec) -> Result<Called> {
    let cgroup = spec.linux.cgroups_path.as_deref();
    let origin = Origin { id, bundle: bundle.to_str().unwrap_or_default() };
    // Signs of two engines are no engine's.
    let engine = Engine::of(&spec.annotations, cgroup, origin).ok().flatten();
    let named = |engine, names| Ok(Called { engine: Some(engine), names });
    match (engine, namespace(bundle)) {
        (Some(Engine::CriO), _) => named("cri-o", in_pod(Engine::CriO, spec)),
        (Some(Engine::Containerd), _) => named("containerd", in_pod(Engine::Containerd, spec)),
        (Some(Engine::Podman), None) => named("podman", of_podman(id, bundle)?),
        (_, Some("moby")) => named("docker", of_docker(id, spec)?),
        (_, Some(_)) => {
            named("containerd", spec.annotations.get("nerdctl/name").cloned().into_iter().collect())
        }
        (None, None) => Ok(Called::default()),
    }
}

/// The namespace of containerd's that keeps the bundle.
fn namespace(bundle: &Path) -> Option<&str> {
    let above = bundle.parent()?;
    let is_of_shim = above.parent()?.file_name()? == TASKS;
    above.file_name()?.to_str().filter(|_| is_of_shim)
}

/// `NAMESPACE/POD/CONTAINER`, and what of it is enough. A pod's name means its containers and not its sandbox.
fn in_pod(engine: Engine, spec: &Spec) -> Vec<String> {
    let label = |label| engine.label(&spec.annotations, label);
    let Some(pod) = label(Label::Pod) else { return Vec::new() };
    let container = label(Label::Container).filter(|name| *name != "POD");
    let short = format!("{pod}/{}", container.unwrap_or("POD"));
    let long = label(Label::Namespace).map(|namespace| format!("{namespace}/{short}"));
    let alone = container.into_iter().flat_map(|name| [name, pod]).map(ToOwned::to_owned);
    long.into_iter().chain([short]).chain(alone).collect()
}

/// containers/storage has a list beside the directories of the containers, and another one of those that go by themselves.
fn of_podman(id: &str, bundle: &Path) -> Result<Vec<String>> {
    let Some(storage) = bundle.parent().and_then(Path::parent) else { return Ok(Vec::new()) };
    for file in ["containers.json", "volatile-containers.json"] {
        let Some(Value::Array(list)) = json(&storage.join(file))? else { continue };
        if let Some(one) = list.iter().find(|one| one["id"] == id) {
            let names = one["names"].as_array().into_iter().flatten();
            return Ok(names.filter_map(Value::as_str).map(ToOwned::to_owned).collect());
        }
    }
    Ok(Vec::new())
}

fn of_docker(id: &str, spec: &Spec) -> Result<Vec<String>> {
    let record = docker_record(id, spec)?;
    let name = record.as_ref().and_then(|record| record["Name"].as_str());
    Ok(name.map(|name| name.trim_start_matches('/').to_owned()).into_iter().collect())
}

/// dockerd's own record, beside the files that it mounts into the container; those tell where its data is.
pub(crate) fn docker_record(id: &str, spec: &Spec) -> Result<Option<Value>> {
    let of_mount = spec.mounts.iter().find_map(|mount| {
        OF_DOCKER.contains(&mount.destination.as_str()).then_some(())?;
        let dir = Path::new(mount.source.as_deref()?).parent()?;
        (dir.file_name()? == id).then(|| dir.to_owned())
    });
    let dir = of_mount.unwrap_or_else(|| Path::new(DOCKER).join(id));
    json(&dir.join("config.v2.json"))
}

/// `None`: there is no such file.
pub(crate) fn json(path: &Path) -> Result<Option<Value>> {
    if !path.try_exists().with_context(|| path.display().to_string())? {
        return Ok(None);
    }
    let bytes = read_regular(path)?;
    serde_json::from_slice(&bytes).map(Some).with_context(|| path.display().to_string())
}

/// Shorter beginnings of an id mean nobody.
pub(crate) const SHORTEST: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn spec(annotations: Value, cgroup: &str) -> Spec {
        let config = json!({"ociVersion": "1.0.2", "root": {"path": "r"}, "annotations": annotations,
            "linux": {"cgroupsPath": cgroup}});
        Spec::parse(config.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn a_container_of_a_pod_answers_to_its_pod_and_a_sandbox_does_not() {
        let bundle = Path::new("/run/containerd/io.containerd.runtime.v2.task/k8s.io/c1");
        let of = |kind: &str| {
            let annotations = json!({"io.kubernetes.cri.container-type": kind, "io.kubernetes.cri.sandbox-name": "web",
                "io.kubernetes.cri.sandbox-namespace": "prod", "io.kubernetes.cri.container-name": "nginx"});
            of("c1", bundle, &spec(annotations, "/kubepods/c1")).unwrap()
        };
        assert_eq!(of("container").engine, Some("containerd"));
        assert_eq!(of("container").names, ["prod/web/nginx", "web/nginx", "nginx", "web"]);
        assert_eq!(of("sandbox").names, ["prod/web/POD", "web/POD"]);
    }

    #[test]
    fn annotations_of_an_image_name_nothing() {
        let annotations = json!({"io.container.manager": "libpod", "nerdctl/name": "db",
            "io.kubernetes.container.name": "db"});
        let bundle = Path::new("/nowhere/overlay-containers/c1/userdata");
        let called = of("c1", bundle, &spec(annotations.clone(), "/machine/libpod-c1")).unwrap();
        assert_eq!(called, Called { engine: Some("podman"), names: Vec::new() });
        let by_hand =
            of("c1", Path::new("/b"), &spec(json!({"nerdctl/name": "db"}), "/x")).unwrap();
        assert_eq!(by_hand, Called::default());
    }
}
