//! Places of the host that are not a container's to see or to change.
//!
//! They are compared by file system and path in it, as the host's own mountinfo has them, so that a second mount of a file
//! system is no other place. A place that is out of the host's sight (in a chroot, say) is not compared.

use super::observed::Host;
use super::path::{self, is_read_only, is_within, without_slash};
use casemate_kernel::mountinfo::{Mount, Superblock};
use casemate_kernel::MountTree;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

/// How far a place reaches. What contains a place has it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The place itself.
    Top,
    /// And everything below.
    Below,
    /// And everything below whose name begins with a dot.
    Dotted,
    /// And everything below, but all of it may be read.
    Write,
    /// And everything below, but the directory of one container that holds its sd_notify socket, which is shown read-only.
    Own,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It is shown.
    Read,
    /// It can be changed too.
    Write,
}

type Row = (&'static str, Reach, Option<&'static str>);

const ENGINE: Option<&str> = Some("mounts.engine-data");
const ETC: Option<&str> = Some("mounts.host-etc");
const SYSTEM: Option<&str> = Some("mounts.host-system");
const VAR: Option<&str> = Some("mounts.host-var");
const RUN: Option<&str> = Some("mounts.host-run");

/// The most telling first. For the runtime's own directories there is no override.
const PLACES: &[Row] = &[
    ("/", Reach::Top, Some("mounts.host-root")),
    ("/run/casemate", Reach::Own, None),
    ("/run/casemate-ids", Reach::Below, None),
    ("/run/casemate-mcs", Reach::Below, None),
    ("/run", Reach::Top, RUN),
    ("/var/run", Reach::Top, RUN),
    ("/var", Reach::Top, VAR),
    ("/var/lib", Reach::Top, VAR),
    ("/boot", Reach::Below, Some("mounts.host-boot")),
    ("/efi", Reach::Below, Some("mounts.host-boot")),
    ("/root", Reach::Dotted, Some("mounts.host-home")),
    ("/dev", Reach::Top, Some("mounts.host-dev")),
    ("/dev/shm", Reach::Top, Some("mounts.host-dev")),
    ("/etc", Reach::Top, ETC),
    ("/etc/shadow", Reach::Below, ETC),
    ("/etc/shadow-", Reach::Below, ETC),
    ("/etc/gshadow", Reach::Below, ETC),
    ("/etc/gshadow-", Reach::Below, ETC),
    ("/etc/sudoers", Reach::Below, ETC),
    ("/etc/sudoers.d", Reach::Below, ETC),
    ("/etc/ssh", Reach::Below, ETC),
    ("/etc/ssl/private", Reach::Below, ETC),
    ("/etc/kubernetes", Reach::Below, ETC),
    ("/run/systemd/private", Reach::Below, Some("mounts.systemd-sock")),
    ("/run/dbus/system_bus_socket", Reach::Below, Some("mounts.socket")),
    ("/run/user", Reach::Top, RUN),
    ("/var/lib/docker", Reach::Top, ENGINE),
    ("/var/lib/containerd", Reach::Top, ENGINE),
    ("/var/lib/containers", Reach::Top, ENGINE),
    ("/var/lib/containers/storage", Reach::Top, ENGINE),
    ("/var/lib/kubelet", Reach::Top, ENGINE),
    ("/var/lib/rancher", Reach::Top, ENGINE),
    ("/run/docker", Reach::Top, ENGINE),
    ("/run/containerd", Reach::Top, ENGINE),
    ("/run/containers", Reach::Top, ENGINE),
    ("/run/crio", Reach::Top, ENGINE),
    ("/run/libpod", Reach::Top, ENGINE),
    ("/var/lib/dpkg", Reach::Write, VAR),
    ("/var/lib/rpm", Reach::Write, VAR),
    ("/var/lib/apt", Reach::Write, VAR),
    ("/var/lib/systemd", Reach::Write, VAR),
    ("/var/spool/cron", Reach::Below, VAR),
    ("/var/spool/at", Reach::Below, VAR),
    ("/usr", Reach::Write, SYSTEM),
    ("/bin", Reach::Write, SYSTEM),
    ("/sbin", Reach::Write, SYSTEM),
    ("/lib", Reach::Write, SYSTEM),
    ("/lib32", Reach::Write, SYSTEM),
    ("/lib64", Reach::Write, SYSTEM),
    ("/etc", Reach::Write, SYSTEM),
];

/// Who has no privilege on the host can change there only what is theirs, and see what everybody sees: of these places the
/// kernel keeps them away itself.
const KEPT_BY_KERNEL: [&str; 9] = [
    "/root",
    "/etc/shadow-",
    "/etc/gshadow-",
    "/etc/ssl/private",
    "/run/dbus/system_bus_socket",
    "/run/user",
    "/var/spool/cron",
    "/var/spool/at",
    "/var/lib/rancher",
];

/// Sockets of engines, by the name that they have wherever they are.
const SOCKETS: [(&str, &str); 7] = [
    ("docker.sock", "mounts.docker-sock"),
    ("dockershim.sock", "mounts.docker-sock"),
    ("cri-dockerd.sock", "mounts.docker-sock"),
    ("buildkitd.sock", "mounts.docker-sock"),
    ("containerd.sock", "mounts.containerd-sock"),
    ("crio.sock", "mounts.crio-sock"),
    ("podman.sock", "mounts.podman-sock"),
];

/// What is wrong with a mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) what: String,
    pub(super) allow: Option<&'static str>,
}

impl Hit {
    /// The host's shared memory goes with its IPC namespace, and who may have a secret of /etc may have the rest.
    pub(super) fn is_excused(&self, granted: impl Fn(&str) -> bool) -> bool {
        let shared = self.what.ends_with(" /dev/shm") && granted("namespaces.host-ipc");
        shared || (self.what.ends_with(" /etc") && granted("mounts.host-etc"))
    }
}

/// A place, where it is in its file system.
struct Located {
    path: String,
    name: Cow<'static, str>,
    reach: Reach,
    allow: Option<&'static str>,
    /// Whatever the node's policy says.
    always: bool,
}

/// The places of one host.
pub(super) struct Places {
    superblocks: BTreeSet<Superblock>,
    /// The host's root is out of sight, so that a file system that is not seen may still be the host's.
    blind: bool,
    /// The file system on which the host's root lies.
    root: Option<Superblock>,
    located: BTreeMap<Superblock, Vec<Located>>,
    /// Where the places for data are that the node's policy names.
    data: Vec<(Superblock, String)>,
}

impl Places {
    pub(super) fn locate(host: &Host<'_>, privileged: bool) -> Self {
        let tree = MountTree::new(&host.mounts);
        let mut places = Self {
            superblocks: host.mounts.iter().map(|mount| mount.superblock).collect(),
            blind: tree.visible("/").is_none(),
            root: tree.visible("/").map(|mount| mount.superblock),
            located: BTreeMap::new(),
            data: host.data.iter().filter_map(|path| located(&tree, path)).collect(),
        };
        let mut put = |name: Cow<'static, str>, (reach, allow): (Reach, _), always: bool| {
            let Some((superblock, at)) = located(&tree, &name) else { return };
            let row = Located { path: at, name, reach, allow, always };
            places.located.entry(superblock).or_default().push(row);
        };
        for path in &host.own_places {
            put(path.clone().into(), (Reach::Own, None), true);
        }
        if let Some(path) = host.program.as_ref().filter(|_| privileged) {
            put(path.clone().into(), (Reach::Write, SYSTEM), true);
        }
        for (path, reach, allow) in PLACES.iter().filter(|row| privileged || counts_for_all(row)) {
            put((*path).into(), (*reach, *allow), allow.is_none());
            if matches!(reach, Reach::Below | Reach::Write | Reach::Own) {
                for point in mounted_below(host, path) {
                    put(point.to_owned().into(), (*reach, *allow), allow.is_none());
                }
            }
        }
        places
    }

    /// The host has this file system too.
    pub(super) fn has(&self, superblock: Superblock) -> bool {
        self.superblocks.contains(&superblock) || (self.blind && superblock.major != 0)
    }

    /// The host's root lies on it: where that is an overlay, its layers were named when this host was not there yet.
    pub(super) fn is_roots(&self, superblock: Superblock) -> bool {
        self.root == Some(superblock)
    }

    /// What a mount of one of the host's file systems shows that it should not.
    pub(super) fn judge(&self, mount: &Mount<'_>, granted: impl Fn(&str) -> bool) -> Option<Hit> {
        let shown = path::root(mount);
        let access = if is_read_only(mount) { Access::Read } else { Access::Write };
        if let Some(hit) = socket(&shown) {
            return Some(hit);
        }
        let located = self.located.get(&mount.superblock)?;
        let is_data = |(superblock, at): &(Superblock, String)| {
            *superblock == mount.superblock && is_within(&shown, at)
        };
        let data = self.data.iter().any(is_data);
        let rows = || {
            located
                .iter()
                .filter(|row| row.always || !data)
                .map(|row| (row.path.as_str(), &*row.name, row.reach, row.allow))
        };
        let hit = find(rows, &shown, access)?;
        (!hit.is_excused(granted)).then_some(hit)
    }
}

/// What is mounted in a place belongs to it.
fn mounted_below<'h>(host: &'h Host<'_>, place: &'h str) -> impl Iterator<Item = &'h str> {
    let inside = move |mount: &Mount<'h>| {
        casemate_kernel::path::inside(mount.point, place.as_bytes())
            .is_some_and(|rest| !rest.is_empty())
    };
    let points = host.mounts.iter().filter(move |mount| inside(mount));
    // Escaped: no place that is looked for has what is.
    points.filter_map(|mount| std::str::from_utf8(mount.point).ok())
}

/// The file system on which a path of the host lies, and where on that.
fn located(tree: &MountTree<'_, '_>, path: &str) -> Option<(Superblock, String)> {
    let mount = tree.visible(path)?;
    let rest = path.strip_prefix(without_slash(&path::point(mount)))?;
    let mut at = without_slash(&path::root(mount)).to_owned();
    at.push_str(without_slash(rest));
    Some((mount.superblock, at))
}

fn counts_for_all((path, reach, _): &Row) -> bool {
    *reach != Reach::Write && !KEPT_BY_KERNEL.contains(path)
}

/// A path of the host by its name alone, where a mount tells no more.
pub(super) fn by_name(path: &str, access: Access, privileged: bool) -> Option<Hit> {
    let path = without_slash(path);
    let rows = || {
        PLACES
            .iter()
            .filter(|row| privileged || counts_for_all(row))
            .map(|(name, reach, allow)| (without_slash(name), *name, *reach, *allow))
    };
    socket(path).or_else(|| find(rows, path, access))
}

fn socket(path: &str) -> Option<Hit> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, allow) = SOCKETS.iter().find(|(known, _)| *known == name)?;
    Some(Hit { what: format!("an engine's socket {name}"), allow: Some(allow) })
}

/// `ID/notify`.
fn is_notify(rest: &str) -> bool {
    rest.split_once('/').is_some_and(|(_, directory)| directory == "notify")
}

/// The place itself before what contains one or lies in one.
fn find<'p, I>(rows: impl Fn() -> I, shown: &str, access: Access) -> Option<Hit>
where
    I: Iterator<Item = (&'p str, &'p str, Reach, Option<&'static str>)>,
{
    let shown = without_slash(shown);
    let counts = |reach: Reach| reach != Reach::Write || access == Access::Write;
    let hit = |what: &str, name: &str, allow| Hit { what: format!("{what} {name}"), allow };
    for (path, name, reach, allow) in rows() {
        if path == shown && counts(reach) {
            return Some(hit("the host's", name, allow));
        }
    }
    rows().find_map(|(path, name, reach, allow)| {
        if !counts(reach) || path == shown {
            return None;
        }
        if is_within(path, shown) {
            return Some(hit("what contains the host's", name, allow));
        }
        let rest = shown.strip_prefix(path).and_then(|rest| rest.strip_prefix('/'))?;
        let inside = match reach {
            Reach::Top => false,
            Reach::Below | Reach::Write => true,
            Reach::Dotted => rest.starts_with('.'),
            Reach::Own => access == Access::Write || !is_notify(rest),
        };
        inside.then(|| hit("a part of the host's", name, allow))
    })
}
