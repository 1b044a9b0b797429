//! A host that is only a table of mounts and a few names, and what the runtime would find on it.

use casemate_kernel::mountinfo::{self, unescape, Mount};
use casemate_policy::{
    DataLayout, EngineFact, FileFact, FileKind, LayerFact, Package, SourceFact, SubMount, SIGNS,
    SOCKETS,
};

pub(crate) const TABLE: &[u8] = include_bytes!("host.mountinfo");

/// Symbolic links of the host.
const LINKS: [(&str, &str); 9] = [
    ("/var/run", "/run"),
    ("/bin", "usr/bin"),
    ("/lib", "usr/lib"),
    ("/srv/link-etc", "/etc"),
    ("/srv/link-root", "/../.."),
    ("/srv/link-sock", "../run/docker.sock"),
    ("/tmp/chain", "/srv/link-etc/shadow"),
    ("/srv/loop", "/srv/loop"),
    ("/srv/link-second", "/mnt/second/etc"),
];

/// Files that are no directories; what else is named exists as a directory.
const FILES: [(&str, FileKind); 18] = [
    ("/etc/shadow", FileKind::Regular),
    ("/etc/passwd", FileKind::Regular),
    ("/etc/hosts", FileKind::Regular),
    ("/etc/crontab", FileKind::Regular),
    ("/run/docker.sock", FileKind::Socket),
    ("/run/containerd/containerd.sock", FileKind::Socket),
    ("/srv/moved/podman.sock", FileKind::Socket),
    ("/run/dbus/system_bus_socket", FileKind::Socket),
    ("/run/systemd/private", FileKind::Socket),
    ("/run/systemd/notify", FileKind::Socket),
    ("/srv/app/own.sock", FileKind::Socket),
    ("/dev/null", FileKind::Char(1, 3)),
    ("/dev/mem", FileKind::Char(1, 1)),
    ("/dev/sda", FileKind::Block(8, 0)),
    ("/dev/fuse", FileKind::Char(10, 229)),
    ("/proc/kcore", FileKind::Regular),
    ("/proc/sysrq-trigger", FileKind::Regular),
    ("/vmlinuz", FileKind::Regular),
];

/// Where engines keep their data, at the usual place and elsewhere.
const ENGINES: [(&str, DataLayout); 3] = [
    ("/data/docker", DataLayout::Docker),
    ("/srv/graph", DataLayout::Storage),
    ("/home/k/kubelet", DataLayout::Kubelet),
];

/// What configurations name of it.
pub(crate) const SOURCES: &[&str] = &[
    "/",
    "/.",
    "/..",
    "//",
    "/srv",
    "/srv/data",
    "/srv/data/x",
    "/srv/app",
    "/srv/app/own.sock",
    "/srv/moved",
    "/srv/graph",
    "/srv/graph/overlay/l",
    "/home",
    "/home/u",
    "/home/k/kubelet",
    "/home/k/kubelet/pods",
    "/mnt",
    "/mnt/second",
    "/mnt/second/etc",
    "/mnt/second/etc/shadow",
    "/mnt/second/srv/data",
    "/mnt/second/var/lib/docker",
    "/mnt/second/usr/bin",
    "/mnt/vol",
    "/data",
    "/data/docker",
    "/data/docker/volumes/v/_data",
    "/data/docker/containers",
    "/mnt/snap",
    "/mnt/nfs",
    "/mnt/ssh fs",
    "/tmp",
    "/tmp/x",
    "/tmp/chain",
    "/tmp/../etc",
    "/etc",
    "/etc/",
    "/etc/shadow",
    "/etc/passwd",
    "/etc/hosts",
    "/etc/crontab",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/kubernetes/pki",
    "/etc/cron.d",
    "/etc/ssl/certs",
    "/boot",
    "/boot/grub",
    "/root",
    "/root/.ssh",
    "/root/work",
    "/usr",
    "/usr/bin",
    "/usr/lib/x",
    "/bin",
    "/lib",
    "/opt",
    "/opt/vendor",
    "/opt/mine",
    "/var",
    "/var/run",
    "/var/run/docker.sock",
    "/var/lib",
    "/var/lib/docker",
    "/var/lib/docker/volumes/v/_data",
    "/var/lib/docker/overlay2/x/merged",
    "/var/lib/containerd",
    "/var/lib/containers/storage",
    "/var/lib/containers/storage/overlay/abc/merged",
    "/var/lib/containers/storage/volumes/v/_data",
    "/var/lib/containers/storage/overlay-containers/c1/userdata/hosts",
    "/var/lib/kubelet",
    "/var/lib/kubelet/pods/1-2/volumes/kubernetes.io~projected/token",
    "/var/lib/kubelet/pods/1-2/etc-hosts",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/lib/app",
    "/var/lib/postgresql",
    "/var/spool/cron",
    "/var/spool",
    "/var/log",
    "/var/tmp/x",
    "/var/www",
    "/run",
    "/run/docker.sock",
    "/run/containerd",
    "/run/containerd/containerd.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
    "/run/systemd/notify",
    "/run/user",
    "/run/user/1000",
    "/run/netns",
    "/run/netns/x",
    "/run/snapd",
    "/run/casemate",
    "/run/casemate/other",
    "/run/casemate-ids",
    "/run/casemate-mcs",
    "/srv/link-etc",
    "/srv/link-root",
    "/srv/link-sock",
    "/srv/loop",
    "/srv/link-second",
    "/srv/k8s-copy",
    "/srv/docker-copy",
    "/proc",
    "/proc/kcore",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/sys/fs/binfmt_misc",
    "/sys",
    "/sys/fs/cgroup",
    "/sys/kernel/debug",
    "/sys/kernel/security",
    "/sys/firmware/efi/efivars",
    "/sys/fs/bpf",
    "/dev",
    "/dev/null",
    "/dev/mem",
    "/dev/sda",
    "/dev/fuse",
    "/dev/pts",
    "/dev/pts/0",
    "/dev/shm",
    "/dev/shm/x",
    "/dev/mqueue",
    "/dev/hugepages",
    "/vmlinuz",
    "/swap",
    "/srv/a b",
    "/srv/new\nline",
    "/srv/co:lon",
    "/srv/com,ma",
    "/srv/back\\slash",
    "/missing",
    "relative",
    "../x",
];

/// The mounts.
pub(crate) struct Host {
    pub(crate) mounts: Vec<Mount<'static>>,
}

/// A file, and the mount that it lies on.
pub(crate) struct Found<'h> {
    pub(crate) path: String,
    pub(crate) mount: &'h Mount<'static>,
    /// In its file system.
    pub(crate) inside: String,
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

/// `path` without `top`, if it is that or lies below.
pub(crate) fn rest_of<'p>(path: &'p str, top: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(top.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

pub(crate) fn join(top: &str, rest: &str) -> String {
    let path = format!("{}{rest}", top.trim_end_matches('/'));
    if path.is_empty() {
        "/".to_owned()
    } else {
        path
    }
}

impl Host {
    pub(crate) fn new() -> Self {
        Self { mounts: mountinfo::parse(TABLE).unwrap() }
    }

    /// The path without links, as the kernel would follow it; `None`: it leads nowhere.
    fn follow(path: &str) -> Option<String> {
        let mut todo: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let (mut at, mut links) = (String::new(), 0);
        while let Some(part) = todo.pop() {
            match part.as_str() {
                "" | "." => {}
                ".." => at.truncate(at.rfind('/').unwrap_or(0)),
                name => {
                    let next = format!("{at}/{name}");
                    let Some((_, target)) = LINKS.iter().find(|(link, _)| *link == next) else {
                        at = next;
                        continue;
                    };
                    links += 1;
                    if links > 40 {
                        return None;
                    }
                    if target.starts_with('/') {
                        at.clear();
                    }
                    todo.extend(target.split('/').rev().map(str::to_owned));
                }
            }
        }
        Some(if at.is_empty() { "/".to_owned() } else { at })
    }

    /// Where a path leads. Relative ones count from the bundle.
    pub(crate) fn find(&self, path: &str) -> Option<Found<'_>> {
        if path == "/missing" {
            return None;
        }
        let absolute =
            if path.starts_with('/') { path.to_owned() } else { format!("/srv/bundle/{path}") };
        self.at(Self::follow(&absolute)?)
    }

    fn at(&self, path: String) -> Option<Found<'_>> {
        let on = self.mounts.iter().filter(|mount| rest_of(&path, &text(mount.point)).is_some());
        let mount = on.max_by_key(|mount| mount.point.len())?;
        let point = text(mount.point);
        let inside = join(&text(mount.root), rest_of(&path, &point)?);
        Some(Found { path, mount, inside })
    }

    fn kind(found: &Found<'_>) -> FileKind {
        // The same file by another mount has the same kind.
        let known =
            |name: &str| FILES.iter().find(|(path, _)| *path == name).map(|(_, kind)| *kind);
        known(&found.path)
            .or_else(|| (found.mount.fstype == "ext4").then(|| known(&found.inside)).flatten())
            .unwrap_or(FileKind::Directory)
    }

    fn magic(fstype: &str) -> u64 {
        use casemate_kernel::magic::{BTRFS, FUSE, NFS, OF_KERNEL, OVERLAY, TMPFS};
        match fstype {
            "tmpfs" | "devtmpfs" => TMPFS,
            "overlay" => OVERLAY,
            "btrfs" => BTRFS,
            "nfs4" => NFS,
            "fuse.sshfs" => FUSE,
            name => OF_KERNEL.iter().find(|(_, known)| *known == name).map_or(0xef53, |(m, _)| *m),
        }
    }

    /// What the runtime finds out about a file (crates/runtime/src/facts).
    pub(crate) fn file(&self, found: &Found<'_>) -> FileFact {
        let kind = Self::kind(found);
        let mut file = FileFact {
            path: found.path.clone(),
            kind,
            fs_type: Self::magic(found.mount.fstype),
            ..FileFact::default()
        };
        for other in self.mounts.iter().filter(|other| other.id != found.mount.id) {
            if other.superblock != found.mount.superblock {
                continue;
            }
            let (top, point) = (text(other.root), text(other.point));
            if let Some(rest) = rest_of(&found.inside, &top) {
                let name = join(&point, rest);
                if name != file.path {
                    file.names.push(name);
                }
            } else if kind == FileKind::Directory && rest_of(&top, &found.inside).is_some() {
                file.holds.push(point);
            }
        }
        let root = &self.mounts[0];
        file.outside_root = root.superblock == found.mount.superblock
            && rest_of(&found.inside, &text(root.root)).is_none();
        let engine = ENGINES.iter().find(|(top, _)| rest_of(&found.path, top).is_some());
        file.engine =
            engine.map(|(top, engine)| EngineFact { engine: *engine, root: (*top).to_owned() });
        file.package = match found.path.as_str() {
            "/opt/vendor" | "/var/lib/postgresql" => Package::Owned("vendor".to_owned()),
            _ => Package::Unowned,
        };
        if kind == FileKind::Directory {
            file.inside = inside(&found.path);
        }
        file
    }

    /// With what is mounted below.
    pub(crate) fn file_and_below(&self, found: &Found<'_>) -> FileFact {
        let mut file = self.file(found);
        for mount in self.below(&found.path) {
            let point = text(mount.point);
            let Some(inner) = self.at(point.clone()) else { continue };
            let at = rest_of(&point, &found.path).unwrap_or_default().to_owned();
            file.below.push(SubMount {
                at,
                fs_name: mount.fstype.to_owned(),
                file: self.file(&inner),
            });
        }
        file
    }

    /// The mounts below a path.
    pub(crate) fn below(&self, path: &str) -> impl Iterator<Item = &Mount<'static>> + '_ {
        let path = path.to_owned();
        let is_below = move |mount: &&Mount<'static>| {
            rest_of(&text(mount.point), &path).is_some_and(|rest| !rest.is_empty())
        };
        self.mounts.iter().filter(is_below)
    }

    pub(crate) fn source(&self, path: &str, recursive: bool) -> SourceFact {
        match self.find(path) {
            None => SourceFact::Missing("no such file".to_owned()),
            Some(found) if recursive => SourceFact::Found(Box::new(self.file_and_below(&found))),
            Some(found) => SourceFact::Found(Box::new(self.file(&found))),
        }
    }

    pub(crate) fn layer(&self, role: casemate_policy::LayerRole, path: &str) -> LayerFact {
        LayerFact { role, path: path.to_owned(), moved: false, source: self.source(path, false) }
    }
}

/// What a look into a directory shows: sockets and signs of engines.
fn inside(path: &str) -> Vec<String> {
    let names = SOCKETS.iter().map(|(name, _)| *name).chain(SIGNS.iter().map(|(name, _)| *name));
    let mut found: Vec<String> = names
        .map(|name| format!("{}/{name}", path.trim_end_matches('/')))
        .filter(|file| FILES.iter().any(|(known, _)| known == file))
        .collect();
    let holds = ENGINES.iter().filter(|(top, _)| rest_of(top, path).is_some_and(|r| !r.is_empty()));
    found.extend(holds.map(|(top, _)| format!("{top}/engine-id")));
    found
}

/// Written as mountinfo has it.
pub(crate) fn escaped(path: &str) -> String {
    String::from_utf8_lossy(&mountinfo::escape(path.as_bytes())).into_owned()
}
