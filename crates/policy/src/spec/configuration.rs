//! One container's configuration: the whole of `config.json`.

use super::de::{is_default, map, maybe_object, non_empty, nullable, object, objects};
use super::{Hooks, Linux, Mount, Namespace, NamespaceKind, Process};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One container's configuration: the whole of `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// Version of the specification that the bundle follows, 1.x.
    #[serde(deserialize_with = "nullable")]
    pub oci_version: String,
    /// What to run. May be missing at `create`; `start` then refuses.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(deserialize_with = "object")]
    pub root: Root,
    /// Host name; needs a private UTS namespace.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// NIS domain name; needs a private UTS namespace.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Mounts, in the order in which they are made.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub mounts: Vec<Mount>,
    /// Programs to run at points of the life cycle.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    pub hooks: Hooks,
    /// Free-form metadata.
    #[serde(deserialize_with = "map", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The Linux part; all defaults when the bundle has none.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    pub linux: Linux,
    /// What is accepted but deserves a line in the log; filled in by the check.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    /// Properties that are not here, as JSON paths, in the order of the document; filled in when it is read.
    #[serde(skip)]
    pub unknown: Vec<String>,
}

/// The container's root file system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Root {
    /// Directory on the host, absolute or relative to the bundle.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// Read-only for the container.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub readonly: bool,
}

/// Something that the specification allows and that is probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// JSON path, dotted.
    pub path: String,
    /// What was noticed, and what is done about it.
    pub message: String,
}

impl Spec {
    /// The namespace entry of one kind, if the container has its own or joins one.
    #[must_use]
    pub fn namespace(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
    }

    /// Whether it asks for a new user namespace and names no ids for it, which OCI permits.
    pub(crate) fn leaves_ids_open(&self) -> bool {
        let Linux { uid_mappings, gid_mappings, .. } = &self.linux;
        let new = self.namespace(NamespaceKind::User).is_some_and(|own| own.path.is_none());
        new && uid_mappings.is_empty() && gid_mappings.is_empty()
    }
}
