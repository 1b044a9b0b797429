//! `mounts.types`, `mounts.sources`: which file systems a container mounts, and what of the host is bound into it.
//!
//! The judgements are pure functions ([`types::judge`], [`judge::source`]); this file hands them the parts of the
//! configuration and does what they say.

mod bundles;
mod engines;
mod judge;
mod layered;
mod overlay;
mod places;
mod pod;
mod sources;
mod types;
mod users;

pub(crate) use judge::is_engines_socket;
pub use overlay::{is_layer, layers};
pub use places::{usual, Usual};
pub(crate) use pod::Pod;
pub(crate) use sources::{of_root, refused, remounts, sources};

use super::flags::{missing, NAMES};
use super::prelude::*;
use crate::check::clean;
use crate::facts::{is_below, Engine, FileFact, FileKind, HostFacts, MountFacts};
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::{Mount, NamespaceKind};

/// **What.** Which file systems a configuration may have mounted anew (not bound), and where, where
/// the caller is root of the host:
///
/// | Type | Place | What becomes of it |
/// |---|---|---|
/// | `proc` | `/proc` | let in, with nosuid, nodev and noexec |
/// | `sysfs` | `/sys` | let in, read-only (`mounts.host-sys` leaves it writable), with nosuid, nodev and noexec |
/// | `cgroup`, `cgroup2` | `/sys/fs/cgroup` and below | let in; whether it can be written decides `cgroup.readonly` |
/// | `tmpfs`, `ramfs`, `devpts`, `mqueue`, `hugetlbfs`, `overlay` | anywhere but over `/proc`, `/sys` and the nodes of `/dev` | let in; the layers of an overlay are judged by `mounts.sources`; elsewhere `mounts.covered` |
/// | `proc`, `sysfs` | elsewhere | `mounts.second-proc`, `mounts.second-sysfs` |
/// | `ext4`, `xfs`, `btrfs`, ... | anywhere | `mounts.block` |
/// | `nfs`, `cifs`, `ceph`, `9p`, ... | anywhere | `mounts.network` |
/// | `fuse`, `fuse.*`, `virtiofs` | anywhere | `mounts.fuse` |
/// | `debugfs`, `binfmt_misc`, `bpf`, `devtmpfs`, ... | anywhere | `mounts.kernel-fs` |
/// | any other | anywhere | `mounts.unknown-fs` |
///
/// A `remount` changes what an earlier mount of the configuration put on the same place, and takes
/// none of that one's restrictions away; any other is refused (`mounts.remount`). What an ordinary
/// caller may mount, the kernel decides.
///
/// **Why.** A procfs on `/mnt` has none of the masks, and `core_pattern` below it runs a program as
/// root of the host.
///
/// **What breaks.** Containers that mount disks or shares themselves, in place of their engine.
///
/// **Override.**
///
/// - `mounts.block`, `mounts.network`, `mounts.fuse`: mounting a file system of that kind
/// - `mounts.unknown-fs`: mounting a file system that this release does not know
/// - `mounts.second-proc`, `mounts.second-sysfs`: a procfs or sysfs in another place than its own
/// - `mounts.covered`: a mount over `/proc`, `/sys` or a node of `/dev`; files inside `/proc` but those
///   that lxcfs shows are covered under no profile, as with runc
/// - `mounts.remount`: changing a mount that the configuration has not made
///
/// One kind at a time.
///
/// **In the profiles.**
///
/// - privileged: Anything can be mounted anywhere.
/// - hardened: A second procfs shows what the first one hides, and a disk or a file system of the
///   kernel is the host itself: only what is known to be harmless is mounted, each at its place.
pub(crate) const TYPES: Control = Control {
    id: ControlId::MountTypes,
    name: "mounts.types",
    allow: &[
        "mounts.block",
        "mounts.network",
        "mounts.fuse",
        "mounts.unknown-fs",
        "mounts.second-proc",
        "mounts.second-sysfs",
        "mounts.covered",
        "mounts.remount",
    ],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "only file systems that are known to be harmless are mounted, each at its place",
};

/// **What.** What a bind mount, or a layer of an overlay, may show of the host. The source is
/// opened once, and judged by every name that the host has for it: other mounts of the same file
/// system (by superblock and by the path on it, so that a second mount and a bind of a bind are the
/// place that they show), other subvolumes and snapshots of the file system that holds `/`, a
/// second link to a secret. What is mounted later must be the same file. The strictest judgement
/// counts. For root of the host:
///
/// | Source | What becomes of it |
/// |---|---|
/// | `/srv`, `/home`, `/mnt`, `/media`, `/tmp`, other directories in `/`; children of `/root` without a dot; `/var/{tmp,www,log,cache,mail,spool,backups,opt,local}`, and directories of `/var/lib` and `/opt` that no package owns | bound as asked for |
/// | what an engine made for this container (userdata, volumes, image volumes, sandboxes, the pod's own directories of the kubelet), wherever the engine keeps its data; namespaces in `/run/{netns,ipcns,utsns,userns}`; sockets of sd_notify, CDI, BuildKit | bound as asked for |
/// | `/usr`, `/lib*`, `/bin`, `/sbin`, `/opt`, `/snap`, `/nix`; files of `/etc` that hold no secret (`hosts`, `resolv.conf`, `passwd`, `localtime`, `ssl/certs`, ...); podman's artifacts | read-only: `mounts.host-system` |
/// | what is or holds the runtime's own program, or that of the engine which has started it, even where it is data; `/opt/{bin,cni,containerd,k3s,kata,nri,rke2}` | read-only: `mounts.host-system` |
/// | `/`; the rest of `/etc`, `/run`; `/var`, `/var/lib`, package databases, cron and at; `/boot`; `/root` and its dot entries | refused: `mounts.host-root`, `-etc`, `-run`, `-var`, `-boot`, `-home` |
/// | the bundle, what holds it, its `config.json` or what `--config` names; bundle and root file system of another container, where no engine keeps them | read-only: `mounts.engine-data` |
/// | what is or holds the program of a hook on the host's side, its interpreter, or a link that leads there, of this container or another one of the state root | read-only: `mounts.host-system` |
/// | what is or holds the audit log that the node's policy names, or a link that leads there | read-only: `mounts.host-system` |
/// | what is or holds an active swap file | refused: `mounts.host-root` |
/// | a single file of root's that only root may read and that has another name elsewhere (a hard link) | refused: `mounts.host-root` |
/// | what is or holds the image of a mounted loop device | read-only: `mounts.host-system` |
/// | procfs; sysfs; a cgroup file system; `/dev` (single devices: `devices.nodes`); other file systems of the kernel | refused: `mounts.host-proc`, `-sys`, `-cgroup`, `-dev`, `mounts.kernel-fs` |
/// | engines' sockets, by place and by name, also inside of a directory (of two levels and 512 entries, and wherever one listens in the network namespace of the runtime); systemd's private socket; another socket of root | refused: `mounts.docker-sock`, `-containerd-sock`, `-crio-sock`, `-podman-sock`, `-systemd-sock`, `mounts.socket` |
/// | a directory of data in which that look finds another socket of root | bound as asked for, with a finding (`warned`): containers share such sockets by volumes |
/// | data of engines: their directories, known by their usual place or by what engines keep there, and what they made for others | refused: `mounts.engine-data` |
/// | the state of casemate, `/run/casemate`, `/run/casemate-ids`, `/run/casemate-mcs`, `/etc/casemate` | refused, without an override |
///
/// What lies above a refused place is refused like it. `"paths.data" = ["/etc/myapp"]` in
/// `[values]` of the node's policy adds places for data. Where the database of packages cannot be
/// read (rpm), directories of `/opt` are read-only and those of `/var/lib` are data.
///
/// Which pod a container belongs to is what containerd's CRI service or CRI-O says, [as far as it is known that they made
/// it](user/OVERRIDE.md#which-annotations-are-trusted); a container of which nobody says so has none of what was made for pods. On a node
/// with cri-dockerd, docker's containers belong to the pod in whose cgroup they are (`kubepods-podUID.slice`,
/// `/kubepods/podUID/ID`), and a user of docker may choose that (`--cgroup-parent`).
///
/// What lies on an overlay that is mounted already is judged with each of its layers, as the kernel
/// names them (one that podman or containerd mounted with other ids for as long as it took, where
/// it lies among their data): a layer that cannot be looked at is refused (`mounts.engine-data`), and data of
/// engines is let in where the overlay is mounted by an engine, but for its volumes. An overlay that
/// is the root file system is judged by its layers alone.
///
/// A stacked file system that says which directory it shows (ecryptfs; FUSE with a path as its
/// source, as bindfs has) is judged by that directory too.
///
/// What containers of engines share is let in where the namespace that goes with it is joined
/// (`hosts`, `hostname`, `resolv.conf`: network, as that of a process, `/proc/PID/ns/net`; `shm`:
/// ipc, as that of a process that has this very memory), and that of the sandbox in its pod; without that the files are read-only
/// and the memory is refused (`mounts.engine-data`). So is the mounted root file system of another
/// container: with containers/storage; Docker's is read-only, as an image is mounted there likewise.
///
/// A recursive bind mount is judged with every mount below it; pinned namespaces are left out.
/// `/sys` and `/sys/fs/cgroup` on themselves, read-only, where the network namespace is none of the
/// container's own, and `/proc`, `/dev/shm` and `/dev/mqueue` on themselves where the namespace is
/// the host's by override, are what engines do themselves and pass. Where a source's file system is mounted from a part of it and nobody here sees the rest
/// (in a container, or a single subvolume), the record says so. The root file system is judged in
/// the same way; it may lie beside system directories, and among engines' data two levels deep,
/// where it is not another container's: by the id in the path, or by what containers/storage and
/// Docker write down of their layers. `/home`, `/tmp`, `/srv`, `/var/tmp` and the like are none
/// (`mounts.host-root`), and what would be read-only as a bind mount because of what it holds is
/// refused: a hook's program and the audit log (`mounts.host-system`), and the own `config.json`, where the
/// root can be written, and the bundle of another container (`mounts.engine-data`), read-only or not. One that can
/// be written is no part of the host's system either, nor another container's root file system but at
/// `baseline` (`a_root_file_system_that_is_written_is_nobody_elses`). For an
/// ordinary caller, who can do to the host no more than that caller's files allow, only the
/// places that give away engines or the host's secrets are refused or read-only, as in release
/// 0.1.0, and bundles, as far as no engine keeps them, and hooks, as far as that caller may write them.
///
/// **Why.** Who has `/etc` or `docker.sock` has the host.
///
/// **What breaks.** Containers that manage engines or the host; node agents.
///
/// **Override.**
///
/// - `mounts.host-root`, `mounts.host-run`, `mounts.host-var`, `mounts.host-boot`,
///   `mounts.host-home`, `mounts.host-etc`: binding that place of the host, or stacking an overlay
///   on it
/// - `mounts.host-system`: the host's programs and settings, writable
/// - `mounts.host-dev`, `mounts.host-proc`, `mounts.host-sys`, `mounts.host-cgroup`,
///   `mounts.kernel-fs`: binding from that file system of the host's kernel; the last one also to
///   mount one (`mounts.types`)
/// - `mounts.docker-sock`, `mounts.containerd-sock`, `mounts.crio-sock`, `mounts.podman-sock`,
///   `mounts.systemd-sock`: binding that socket
/// - `mounts.socket`: binding another socket of root
/// - `mounts.engine-data`: binding data of engines
///
/// One override opens one place, with all that lies in it: with `mounts.host-run` the sockets of
/// engines and the state of casemate are in the container too.
///
/// **In the profiles.**
///
/// - privileged: Any path of the host can be bound.
/// - baseline: A bound /etc or docker.sock is the host itself.
/// - hardened: Somebody who binds /, /etc or docker.sock has the host, whatever else confines the
///   container. Told by device and inode and by the type of the file system, not by name; what lies
///   above such a place counts too. Programs and settings of the host's system may be read. What
///   engines make for one container lies deeper and passes.
pub(crate) const SOURCES: Control = Control {
    id: ControlId::MountSources,
    name: "mounts.sources",
    allow: &[
        "mounts.host-root",
        "mounts.host-run",
        "mounts.host-var",
        "mounts.host-boot",
        "mounts.host-home",
        "mounts.host-etc",
        "mounts.host-dev",
        "mounts.host-proc",
        "mounts.host-sys",
        "mounts.host-cgroup",
        "mounts.host-system",
        "mounts.kernel-fs",
        "mounts.docker-sock",
        "mounts.containerd-sock",
        "mounts.crio-sock",
        "mounts.podman-sock",
        "mounts.systemd-sock",
        "mounts.socket",
        "mounts.engine-data",
    ],
    modes: [OFF, ON, ON, ON],
    severity: HIGH,
    summary: "no sensitive place of the host is bound: its root, system directories, engine sockets, kernel file systems",
};

/// The class of engines' data.
const ENGINE_DATA: &str = "mounts.engine-data";
/// The class of the host's system.
const SYSTEM: &str = "mounts.host-system";

/// What a path of the host means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Bound as asked for.
    Data,
    /// May be read.
    System,
    /// The host itself: the override that permits it, and the place below that makes it so.
    Host { class: &'static str, holds: Option<&'static str> },
    /// In the directory of an engine.
    Engine { engine: Engine, root: &'static str },
    /// The runtime's own.
    Own,
    /// Data, unless a package of the host's owns it.
    Packaged { class: &'static str },
}

/// What becomes of a mount, the mildest first.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judgement {
    /// It is as asked for.
    LetIn,
    /// It may be read; the override that leaves it writable.
    ReadOnly { class: &'static str, note: String },
    /// It is of no use in a container, and is not there.
    LeftOut,
    /// It is refused, unless by this override; `None`: by none.
    Refused { class: Option<&'static str>, note: String },
}

impl Judgement {
    fn read_only(class: &'static str, note: impl Into<String>) -> Self {
        Self::ReadOnly { class, note: note.into() }
    }

    fn refused(class: &'static str, note: impl Into<String>) -> Self {
        Self::Refused { class: Some(class), note: note.into() }
    }

    fn never() -> Self {
        Self::Refused { class: None, note: " (the runtime's own)".to_owned() }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::LetIn => 0,
            Self::ReadOnly { .. } => 1,
            Self::LeftOut => 2,
            Self::Refused { class: Some(_), .. } => 3,
            Self::Refused { class: None, .. } => 4,
        }
    }

    /// The stricter of the two; of two alike, the first.
    fn stricter(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    /// With a reason, where it has none yet.
    fn with_note(mut self, text: impl FnOnce() -> String) -> Self {
        if let Self::ReadOnly { note, .. } | Self::Refused { note, .. } = &mut self {
            if note.is_empty() {
                *note = text();
            }
        }
        self
    }
}

/// Whose container it is that something is judged for.
struct Scope<'a> {
    facts: &'a MountFacts,
    pod: &'a Pod,
    /// Places that the node's policy calls data.
    data: &'a [String],
    /// Namespaces of others that it joins.
    joined: Vec<NamespaceKind>,
}

impl<'a> Scope<'a> {
    fn new(draft: &'a Draft<'_>) -> Self {
        Self {
            facts: &draft.facts.mounts,
            pod: &draft.asked.pod,
            data: draft.choice.overrides.values.paths_data.as_deref().unwrap_or_default(),
            joined: [
                (NamespaceKind::Network, draft.joins_process(NamespaceKind::Network)),
                (NamespaceKind::Ipc, draft.joins(NamespaceKind::Ipc)),
            ]
            .into_iter()
            .filter_map(|(kind, joins)| joins.then_some(kind))
            .collect(),
        }
    }

    fn is_data(&self, path: &str) -> bool {
        self.data.iter().any(|top| path == top.trim_end_matches('/') || is_below(path, top))
    }
}

/// True for a root that is root of the host; others can do to the host only what they could do anyway.
fn is_root(facts: &HostFacts) -> bool {
    facts.euid == 0 && facts.in_initial_userns
}

/// True when `path` is `top` or lies in it.
fn covers(top: &str, path: &str) -> bool {
    path == top || is_below(path, top)
}

/// True for the runtime's own directories, which no override opens.
fn is_casemates(file: &FileFact, scope: &Scope<'_>) -> bool {
    let own = scope.facts.state_root.as_str();
    file.all_names()
        .any(|name| (!own.is_empty() && covers(own, name)) || places::judge(name) == Place::Own)
}

/// The state directory, if this is a directory above it: that goes by engines' data.
fn holds_state<'a>(file: &FileFact, scope: &Scope<'a>) -> Option<&'a str> {
    let own = scope.facts.state_root.as_str();
    let above =
        file.all_names().any(|name| is_below(own, name)) || file.holds.iter().any(|at| at == own);
    (above && !own.is_empty() && file.kind == FileKind::Directory).then_some(own)
}

pub(crate) fn types(draft: &mut Draft<'_>, mut asked: Vec<Mount>) -> Result<Vec<Mount>, Refusal> {
    let control = ControlId::MountTypes;
    let mut quiet = true;
    if !is_root(draft.facts) {
        let reason = "what else an ordinary caller may mount, the kernel decides";
        draft.log.note(control, "/mounts", Verdict::Kept, reason);
        let misplaced = |mount: &Mount| is_misplaced(mount) && !mount.is_bind();
        for index in (0..asked.len()).filter(|index| misplaced(&asked[*index])).collect::<Vec<_>>()
        {
            one_type(draft, &mut asked, index)?;
        }
        return Ok(asked);
    }
    for index in 0..asked.len() {
        quiet &= one_type(draft, &mut asked, index)?;
    }
    if quiet {
        let reason = "only file systems that are known to be harmless, each at its place";
        draft.log.note(control, "/mounts", Verdict::Kept, reason);
    }
    Ok(asked)
}

/// A file system of the kernel's where nothing of it is hidden: anybody may mount these in namespaces of their own.
fn is_misplaced(mount: &Mount) -> bool {
    let place = clean(&mount.destination);
    match mount.kind.as_deref() {
        Some("tmpfs" | "ramfs" | "mqueue" | "devpts") => {
            let kernels = covers("/proc", &place) || covers("/sys", &place);
            kernels && !covers("/sys/fs/cgroup", &place) && !mount.options.iter().any(|o| o == "ro")
        }
        Some("proc") => place != "/proc",
        Some("sysfs") => place != "/sys",
        Some("cgroup" | "cgroup2") => !covers("/sys/fs/cgroup", &place),
        _ => false,
    }
}

/// False if there is something on record about the mount.
fn one_type(draft: &mut Draft<'_>, asked: &mut [Mount], index: usize) -> Result<bool, Refusal> {
    let control = ControlId::MountTypes;
    let mount = &asked[index];
    let pointer = format!("/mounts/{index}");
    let flags = match MountPlanFlags::parse(&mount.options) {
        Ok(flags) => flags,
        Err(error) => return Err(draft.refuse(control, pointer, error.to_string(), None)),
    };
    let destination = clean(&mount.destination).into_owned();
    let kind = mount.kind.clone().unwrap_or_default();
    let found = match (flags.bind, flags.remount) {
        (Some(_), _) => return Ok(true),
        (None, true) => types::remount(&destination, &asked[..index]),
        (None, false) if kind.is_empty() => return Ok(true),
        (None, false) => types::judge(&kind, &destination, &flags),
    };
    let what = if flags.remount { "a remount".to_owned() } else { format!("a mount of {kind}") };
    let mut quiet = true;
    if let Judgement::Refused { class, note } = found.judgement {
        let Some(source) = class.and_then(|class| draft.allows(class)) else {
            let reason = format!("{what} on {destination}{note}");
            return Err(draft.refuse(control, pointer, reason, class));
        };
        draft.log.waive(control, pointer, source, format!("{what} on {destination} as asked for"));
        quiet = false;
    }
    let mut wanted = found.restrict;
    if kind == "sysfs" && draft.allows("mounts.host-sys").is_some() {
        wanted &= !attr::RDONLY;
    }
    let reason = format!("{what} shows the kernel, not data");
    Ok(!restrict(draft, (control, index), &mut asked[index], wanted, reason) && quiet)
}

/// Adds the options for these bits of [`attr`]; false if there is nothing to add.
fn restrict(
    draft: &mut Draft<'_>,
    (control, index): (ControlId, usize),
    mount: &mut Mount,
    bits: u64,
    reason: String,
) -> bool {
    // What cannot be read was refused when the configuration was checked.
    let flags = MountPlanFlags::parse(&mount.options).unwrap_or_default();
    let names = NAMES.iter().copied().chain([(attr::RDONLY, "ro")]);
    let wanted = names.filter(|(bit, _)| bits & bit != 0);
    let options: Vec<String> = wanted.flat_map(|(bit, name)| missing(&flags, bit, name)).collect();
    if options.is_empty() {
        return false;
    }
    mount.options.extend(options.iter().cloned());
    let pointer = format!("/mounts/{index}/options/-");
    draft.log.change(control, pointer, Verdict::Tightened, values(&(), &options), reason);
    true
}
