//! One mount as the bundle asks for it. Option strings are kept as written; `mount_options` gives them
//! their meaning.

use super::de::{is_default, non_empty, nullable, objects};
use casemate_kernel::id_map::IdRange;
use casemate_kernel::{HostId, InnerId};
use serde::{Deserialize, Serialize};

/// One entry of `mounts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Mount {
    /// Path in the container; a relative one counts from `/`.
    #[serde(deserialize_with = "nullable")]
    pub destination: String,
    /// File system type; ignored for bind mounts.
    #[serde(
        rename = "type",
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub kind: Option<String>,
    /// Device, or path on the host; a relative path counts from the bundle.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// fstab-style options.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub options: Vec<String>,
    /// User ids of an idmapped mount. Present without the `idmap` option they still ask for one:
    /// podman strips the option and sends only these.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub uid_mappings: Vec<IdMapping>,
    /// Group ids of an idmapped mount.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub gid_mappings: Vec<IdMapping>,
}

impl Mount {
    /// True for `bind` and `rbind`, whatever the type says: the specification decides by the options.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        self.options.iter().any(|option| option == "bind" || option == "rbind")
    }
}

/// A range of ids, as in `/proc/PID/uid_map`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IdMapping {
    /// First id inside.
    #[serde(rename = "containerID", deserialize_with = "nullable")]
    pub container_id: InnerId,
    /// First id outside.
    #[serde(rename = "hostID", deserialize_with = "nullable")]
    pub host_id: HostId,
    /// How many ids.
    #[serde(deserialize_with = "nullable")]
    pub size: u32,
}

/// As the kernel shows it.
impl From<&IdMapping> for IdRange {
    fn from(mapping: &IdMapping) -> Self {
        Self { inside: mapping.container_id, outside: mapping.host_id, count: mapping.size }
    }
}

impl From<IdRange> for IdMapping {
    fn from(IdRange { inside, outside, count }: IdRange) -> Self {
        Self { container_id: inside, host_id: outside, size: count }
    }
}

impl IdMapping {
    /// True when `id` of the inside lies in this range.
    #[must_use]
    pub fn contains(&self, id: InnerId) -> bool {
        self.to_host(id).is_some()
    }

    /// The host's number for an id of the container; `None`: it is not in the range.
    #[must_use]
    pub fn to_host(&self, id: InnerId) -> Option<HostId> {
        IdRange::from(self).to_host(id)
    }

    /// The container's number for an id of the host.
    #[must_use]
    pub fn to_inner(&self, id: HostId) -> Option<InnerId> {
        IdRange::from(self).to_inner(id)
    }
}
