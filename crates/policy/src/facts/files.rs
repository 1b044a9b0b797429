//! Files of the host as the rules see them: what a path led to, and which places of the host are not for containers.
//!
//! The runtime opens and measures; what a place means is said here, and what follows from it in the rules.

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
    /// Type of the file system (`f_type`, statfs(2)).
    pub fs_type: u64,
}

impl FileFact {
    /// True for two names of one file.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// True when this is a directory that contains `other`, by their paths.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        let rest = other.path.strip_prefix(self.path.trim_end_matches('/'));
        self.kind == FileKind::Directory && rest.is_some_and(|rest| rest.starts_with('/'))
    }
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

/// The source of a bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceFact {
    /// It is there.
    Found(FileFact),
    /// It cannot be opened, for this reason.
    Missing(String),
}

/// A place of the host that exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlaceFact {
    /// The name that overrides go by, `mounts.docker-sock`.
    pub class: String,
    /// How far it reaches.
    pub reach: Reach,
    /// Where it is.
    pub file: FileFact,
}

/// How far a place reaches. What contains a place is taken for the place itself: who has `/run` has its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reach {
    /// The place itself.
    Itself,
    /// And what lies directly in it. What engines make for one container lies deeper.
    Children,
    /// And everything below.
    Below,
    /// And everything below, which may be shown but not written.
    ReadOnly,
}

/// A place that is looked for on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its usual path.
    pub path: &'static str,
    /// The name that overrides go by.
    pub class: &'static str,
    /// How far it reaches.
    pub reach: Reach,
}

/// The class of the runtime's own state directory and of engines' data.
pub const ENGINE_DATA: &str = "mounts.engine-data";

const fn place(path: &'static str, class: &'static str, reach: Reach) -> Place {
    Place { path, class, reach }
}

/// The places, the most telling name first: the first that fits is named. Kernel file systems are not here: they are known
/// by their type.
pub const PLACES: [Place; 65] = [
    place("/", "mounts.host-root", Reach::Itself),
    place("/run", "mounts.host-run", Reach::Itself),
    place("/var", "mounts.host-var", Reach::Itself),
    place("/var/lib", "mounts.host-var", Reach::Itself),
    place("/boot", "mounts.host-boot", Reach::Below),
    place("/efi", "mounts.host-boot", Reach::Below),
    place("/root", "mounts.host-home", Reach::Itself),
    place("/dev", "mounts.host-dev", Reach::Itself),
    place("/dev/shm", "mounts.host-dev", Reach::Itself),
    place("/dev/mqueue", "mounts.host-dev", Reach::Itself),
    place("/etc", "mounts.host-etc", Reach::Itself),
    place("/etc/shadow", "mounts.host-etc", Reach::Below),
    place("/etc/gshadow", "mounts.host-etc", Reach::Below),
    place("/etc/sudoers", "mounts.host-etc", Reach::Below),
    place("/etc/sudoers.d", "mounts.host-etc", Reach::Below),
    place("/etc/ssh", "mounts.host-etc", Reach::Below),
    place("/etc/kubernetes", "mounts.host-etc", Reach::Below),
    place("/run/docker.sock", "mounts.docker-sock", Reach::Below),
    place("/run/containerd/containerd.sock", "mounts.containerd-sock", Reach::Below),
    place("/run/k3s/containerd/containerd.sock", "mounts.containerd-sock", Reach::Below),
    place("/run/crio/crio.sock", "mounts.crio-sock", Reach::Below),
    place("/run/podman/podman.sock", "mounts.podman-sock", Reach::Below),
    place("/run/buildkit/buildkitd.sock", "mounts.docker-sock", Reach::Below),
    place("/run/cri-dockerd.sock", "mounts.docker-sock", Reach::Below),
    place("/run/systemd/private", "mounts.systemd-sock", Reach::Below),
    place("/var/lib/docker", ENGINE_DATA, Reach::Children),
    place("/var/lib/containerd", ENGINE_DATA, Reach::Children),
    place("/var/lib/containers", ENGINE_DATA, Reach::Children),
    place("/var/lib/containers/storage", ENGINE_DATA, Reach::Children),
    place("/var/lib/kubelet", ENGINE_DATA, Reach::Children),
    place("/run/casemate", ENGINE_DATA, Reach::Below),
    place("/run/docker", ENGINE_DATA, Reach::Itself),
    place("/run/containerd", ENGINE_DATA, Reach::Itself),
    place("/run/containers", ENGINE_DATA, Reach::Itself),
    place("/run/crio", ENGINE_DATA, Reach::Itself),
    place("/run/libpod", ENGINE_DATA, Reach::Itself),
    place("/usr/bin", "mounts.host-system", Reach::ReadOnly),
    place("/usr/sbin", "mounts.host-system", Reach::ReadOnly),
    place("/usr/lib", "mounts.host-system", Reach::ReadOnly),
    place("/usr/lib64", "mounts.host-system", Reach::ReadOnly),
    place("/usr/libexec", "mounts.host-system", Reach::ReadOnly),
    place("/bin", "mounts.host-system", Reach::ReadOnly),
    place("/sbin", "mounts.host-system", Reach::ReadOnly),
    place("/lib", "mounts.host-system", Reach::ReadOnly),
    place("/lib64", "mounts.host-system", Reach::ReadOnly),
    place("/etc/passwd", "mounts.host-system", Reach::ReadOnly),
    place("/etc/group", "mounts.host-system", Reach::ReadOnly),
    place("/etc/pam.d", "mounts.host-system", Reach::ReadOnly),
    place("/etc/security", "mounts.host-system", Reach::ReadOnly),
    place("/etc/systemd", "mounts.host-system", Reach::ReadOnly),
    place("/etc/cron.d", "mounts.host-system", Reach::ReadOnly),
    place("/etc/crontab", "mounts.host-system", Reach::ReadOnly),
    place("/etc/ld.so.preload", "mounts.host-system", Reach::ReadOnly),
    place("/etc/ld.so.conf.d", "mounts.host-system", Reach::ReadOnly),
    place("/etc/profile.d", "mounts.host-system", Reach::ReadOnly),
    place("/etc/modprobe.d", "mounts.host-system", Reach::ReadOnly),
    place("/etc/sysctl.d", "mounts.host-system", Reach::ReadOnly),
    place("/etc/udev", "mounts.host-system", Reach::ReadOnly),
    place("/etc/apparmor.d", "mounts.host-system", Reach::ReadOnly),
    place("/etc/selinux", "mounts.host-system", Reach::ReadOnly),
    place("/etc/docker", "mounts.host-system", Reach::ReadOnly),
    place("/etc/containers", "mounts.host-system", Reach::ReadOnly),
    place("/etc/containerd", "mounts.host-system", Reach::ReadOnly),
    place("/etc/crio", "mounts.host-system", Reach::ReadOnly),
    place("/etc/casemate", "mounts.host-system", Reach::ReadOnly),
];

/// Sockets of engines by the name that they have wherever they are: rootless engines keep theirs below `/run/user`.
pub const SOCKETS: [(&str, &str); 6] = [
    ("docker.sock", "mounts.docker-sock"),
    ("buildkitd.sock", "mounts.docker-sock"),
    ("cri-dockerd.sock", "mounts.docker-sock"),
    ("containerd.sock", "mounts.containerd-sock"),
    ("crio.sock", "mounts.crio-sock"),
    ("podman.sock", "mounts.podman-sock"),
];
