//! The record: everything that later commands need, so that none of them reads the bundle again.

use casemate_cgroup::systemd::Unit;
use casemate_cgroup::{Contents, Limits};
use casemate_policy::spec::IdMapping;
use casemate_policy::{Engine, HardenedSpec};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Marks the file as ours, with the version of its layout.
pub(crate) const FORMAT: &str = "casemate/1";

/// One container.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    /// [`FORMAT`].
    pub format: String,
    /// Container id.
    pub id: String,
    /// Absolute bundle directory.
    pub bundle: PathBuf,
    /// The configuration, where it is not the bundle's config.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// The engine that made the configuration, as far as that was certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Absolute rootfs directory.
    pub rootfs: PathBuf,
    /// RFC 3339, UTC, nanoseconds.
    pub created: String,
    /// Uid of the creator.
    pub owner: u32,
    /// Cgroup permissions may be missing.
    pub rootless: bool,
    /// Init, from the moment it exists; kept in a file of its own.
    #[serde(skip)]
    pub init: Option<InitRecord>,
    /// The container's cgroup, from before it is made.
    pub cgroup: Option<CgroupRecord>,
    /// Limits last applied.
    #[serde(default)]
    pub limits: Limits,
    /// The hardened configuration, without its system call filter: what `exec`, hooks and `state` start from.
    pub spec: HardenedSpec,
    /// The kinds of namespaces that exec joins, bits of `ns::flag`.
    pub namespaces: u64,
    /// Init is in a pid namespace that is not its own: the cgroup has to be killed as a whole.
    pub shared_pid_namespace: bool,
    /// Id maps of the user namespace.
    #[serde(default)]
    pub uid_mappings: Vec<IdMapping>,
    /// Id maps of the user namespace.
    #[serde(default)]
    pub gid_mappings: Vec<IdMapping>,
    /// The file that keeps these ids for the container, when they were taken from the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_range: Option<String>,
    /// The file that keeps the ids which the configuration brings itself from being given to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_ids: Option<String>,
    /// The file that keeps these SELinux categories for the container, when they were taken from the pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<String>,
    /// The session keyring that exec joins.
    pub keyring: Option<String>,
    /// Compiled filters in seccomp.bpf, one after the other.
    #[serde(default)]
    pub seccomp: Vec<SeccompRecord>,
    /// Where notifications of exec'd processes go: socket and metadata.
    pub seccomp_listener: Option<(PathBuf, String)>,
    /// systemd's socket for readiness, when the creator had one.
    pub notify_socket: Option<PathBuf>,
}

impl Record {
    /// The file that the container was made from.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.clone().unwrap_or_else(|| self.bundle.join("config.json"))
    }
}

/// Who init is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitRecord {
    /// Pid in the runtime's pid namespace.
    pub pid: i32,
    /// Start time in clock ticks since boot.
    pub start_time: u64,
}

/// What init.json holds. The record's layout may change from one release to the next; that of this file stays, so that every
/// release can end every container.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LastResort {
    /// Who init is.
    #[serde(flatten)]
    pub(crate) init: InitRecord,
    /// What goes with it; releases up to 0.2.0 have not told.
    #[serde(default)]
    pub(crate) held: Option<Held>,
}

/// What has to be removed with a container, for who cannot read its record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    /// As in the record.
    pub(crate) cgroup: Option<CgroupRecord>,
    /// As in the record.
    pub(crate) rootless: bool,
}

impl Held {
    pub(crate) fn of(record: &Record) -> Self {
        Self { cgroup: record.cgroup.clone(), rootless: record.rootless }
    }
}

/// The container's cgroup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// Directory in the file system; empty until systemd has said where.
    pub path: PathBuf,
    /// The systemd unit, if systemd made it: with the bus to reach it by, whatever later commands have in their environment.
    pub unit: Option<Unit>,
    /// What its files said, if the cgroup existed before the container: then it is given back, not removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Contents>,
}

impl CgroupRecord {
    /// Whether it is the container's already, so that all that is in it is.
    pub(crate) fn is_known(&self) -> bool {
        !self.path.as_os_str().is_empty()
    }
}

/// One compiled filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeccompRecord {
    /// Bytes in seccomp.bpf.
    pub bytes: usize,
    /// Flags for seccomp(2).
    pub flags: u64,
}
