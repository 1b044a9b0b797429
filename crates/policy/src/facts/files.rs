//! Files of the host as the controls see them: what a path led to, and by which other names the host
//! has the same file.
//!
//! The runtime opens and measures; what a place means is said in `controls::mounts`.

use serde::{Deserialize, Serialize};

/// What a path of the host led to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FileFact {
    /// The path without links, as the kernel names it.
    pub path: String,
    /// What it is.
    pub kind: FileKind,
    /// Device of the file system (`st_dev`).
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Owner, a uid in the runtime's user namespace.
    pub owner: u32,
    /// Type of the file system (`f_type`, statfs(2)).
    pub fs_type: u64,
    /// Other paths of the host that show the same file: through another mount of its file system, or
    /// another link to it.
    pub names: Vec<String>,
    /// Mount points of the host whose content lies below this directory on its file system, and what
    /// the runtime keeps there.
    pub holds: Vec<String>,
    /// A file of root's with several names, that others may not read.
    pub shared_secret: bool,
    /// On the file system that holds `/`, but outside of what `/` shows of it: another subvolume, or
    /// a snapshot.
    pub outside_root: bool,
    /// What lies above it on its file system is shown by no mount, so that it may have names that
    /// nobody here can know.
    pub unseen: bool,
    /// The engine that keeps its data in this directory or above it.
    pub engine: Option<EngineFact>,
    /// For a directory: what a look inside found, such as the socket of an engine.
    pub inside: Vec<String>,
    /// Sockets of root's that the same look found, other than engines'; the first of them.
    pub sockets: Vec<String>,
    /// Whether a package of the host's owns it; asked for in few places.
    pub package: Package,
    /// What is mounted below it, for a recursive bind mount; outer mounts first.
    pub below: Vec<SubMount>,
    /// Files in it, or it itself, that the host has in use.
    pub used: Vec<Used>,
    /// For a root file system among an engine's data: the container that the engine made it for.
    pub container: Option<String>,
    /// The layers of the overlay that it lies on, as far as the kernel names them; none for `/`'s own.
    pub layers: Vec<LayerFact>,
}

impl FileFact {
    /// Every path of the host that shows it, its own first.
    pub fn all_names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.path).chain(&self.names).map(String::as_str)
    }

    /// True when this is a directory that contains `other`, by their paths.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.kind == FileKind::Directory && is_below(&other.path, &self.path)
    }
}

/// True when `path` lies in the directory `top`, by their text.
#[must_use]
pub fn is_below(path: &str, top: &str) -> bool {
    casemate_kernel::path::inside(path.as_bytes(), top.as_bytes())
        .is_some_and(|rest| rest.len() > 1)
}

/// The kind of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    #[default]
    Regular,
    /// A symbolic link that is not to be followed.
    Link,
    /// A socket.
    Socket,
    /// A named pipe.
    Fifo,
    /// A character device: major, minor.
    Char(u32, u32),
    /// A block device: major, minor.
    Block(u32, u32),
}

/// Whether the database of the host's packages has a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Package {
    /// Nobody asked.
    #[default]
    NotAsked,
    /// This package owns it.
    Owned(String),
    /// No package does.
    Unowned,
    /// The database cannot be read, for this reason.
    Unknown(String),
}

/// A mount below the source of a recursive bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubMount {
    /// Where, relative to the source.
    pub at: String,
    /// Type of the file system, as mountinfo names it.
    pub fs_name: String,
    /// What is mounted.
    pub file: FileFact,
}

/// A file of the host that somebody depends on, wherever it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Used {
    /// What for.
    pub by: Use,
    /// Its path.
    pub path: String,
}

/// What a file of the host is in use for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Use {
    /// The runtime's own program, or that of the engine that has started it.
    Program,
    /// A hook of this container or of another one of the state root: its program, or a link to it.
    Hook,
    /// The audit log of the node's policy, or a link to it.
    Log,
    /// An active swap file.
    Swap,
    /// What a mounted loop device is made of.
    Loop,
}

/// Where an engine keeps its data: known by its usual place, or by what engines keep there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EngineFact {
    /// Which engine.
    pub engine: Engine,
    /// Its directory, the path without links.
    pub root: String,
}

/// Engines, by how they lay out their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Engine {
    /// Podman, CRI-O, Buildah: a graph root or run root of containers/storage.
    Storage,
    /// Docker.
    Docker,
    /// containerd: root and state.
    Containerd,
    /// nerdctl's own data.
    Nerdctl,
    /// BuildKit.
    Buildkit,
    /// The kubelet.
    Kubelet,
}

/// Files and directories by which the data of an engine is recognised wherever it was moved, and whose.
pub const SIGNS: [(&str, Engine); 10] = [
    ("overlay-containers", Engine::Storage),
    ("vfs-containers", Engine::Storage),
    ("btrfs-containers", Engine::Storage),
    ("zfs-containers", Engine::Storage),
    ("engine-id", Engine::Docker),
    ("io.containerd.metadata.v1.bolt", Engine::Containerd),
    ("io.containerd.runtime.v2.task", Engine::Containerd),
    ("buildkitd.lock", Engine::Buildkit),
    ("plugins_registry", Engine::Kubelet),
    ("pod-resources", Engine::Kubelet),
];

/// What is bound or stacked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceFact {
    /// It is there.
    Found(Box<FileFact>),
    /// It cannot be opened, for this reason.
    Missing(String),
}

/// A layer of an overlay that the configuration mounts, or that was mounted before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayerFact {
    /// What it is for.
    pub role: LayerRole,
    /// As the configuration, or the kernel, names it.
    pub path: String,
    /// Nothing is there any more: `source` is where engines have it from that mount layers with other ids, for as long as it
    /// takes to mount the overlay.
    #[serde(default)]
    pub moved: bool,
    /// What is there.
    pub source: SourceFact,
}

/// What a layer of an overlay is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LayerRole {
    /// Only read.
    Lower,
    /// Only read, and only for the content of files that another layer names.
    Data,
    /// Takes what is written.
    Upper,
    /// The kernel's work directory, on the same file system.
    Work,
}

/// What the judgement of mounts has to know beside the files themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MountFacts {
    /// The container's id.
    pub container: String,
    /// The bundle's directory, without links.
    pub bundle: String,
    /// The configuration, without links, where it is not the bundle's config.json.
    pub config: Option<String>,
    /// Other names of both: links that lead to them, and where they lie beneath an overlay; looked for as `others` are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The bundles of other containers, as far as no engine keeps them; looked for only where something is bound.
    pub others: Vec<BundleFact>,
    /// Where the runtime keeps its containers, without links.
    pub state_root: String,
    /// Device and inode of the memory (`/dev/shm`) of the process whose ipc namespace is joined.
    pub joined_memory: Option<(u64, u64)>,
    /// The node has cri-dockerd, so that docker's containers in a pod's cgroup may be that pod's; looked for only where the cgroup is one.
    pub cri_dockerd: bool,
}

/// What another container was made from: paths without links.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BundleFact {
    /// The container's id.
    pub container: String,
    /// Its bundle.
    pub bundle: String,
    /// Its configuration, where it is not the bundle's config.json.
    pub config: Option<String>,
    /// Its root file system.
    pub root: String,
    /// Other names of bundle and configuration: links that lead to them, and where they lie beneath an overlay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// The same of the root file system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub root_names: Vec<String>,
    /// What its hooks on the host's side depend on, as far as it lies among data: their programs, and links to them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<String>,
}

/// Sockets of engines by the name that they have wherever they are: rootless engines keep theirs below
/// `/run/user`.
pub const SOCKETS: [(&str, &str); 6] = [
    ("docker.sock", "mounts.docker-sock"),
    ("buildkitd.sock", "mounts.docker-sock"),
    ("cri-dockerd.sock", "mounts.docker-sock"),
    ("containerd.sock", "mounts.containerd-sock"),
    ("crio.sock", "mounts.crio-sock"),
    ("podman.sock", "mounts.podman-sock"),
];
