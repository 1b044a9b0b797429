//! `mounts.types`, `mounts.sources`: which file systems a container mounts, and what of the host is bound into it.
//!
//! The judgements are pure functions ([`types::judge`], [`judge::source`]); this file hands them the parts of the
//! configuration and does what they say.

mod bundles;
mod engines;
mod judge;
mod judgement;
mod layered;
mod overlay;
mod places;
mod restrict;
mod scope;
mod sources;
mod types;
mod users;

pub(crate) use judge::is_engines_socket;
pub use overlay::{is_layer, layers};
pub use places::{usual, Usual};
pub(crate) use sources::{of_root, refused, remounts, sources};

use super::prelude::*;
use crate::check::clean;
use crate::facts::is_below;
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::Mount;
use judgement::Judgement;
use restrict::restrict;
use scope::{covers, is_root};

/// **What.** This decides which file systems a configuration may mount (not bind), and where, if
/// the caller is root of the host:
///
/// | Type | Place | Result |
/// |---|---|---|
/// | `proc` | `/proc` | permitted, with nosuid, nodev and noexec |
/// | `sysfs` | `/sys` | permitted, read-only (`mounts.host-sys` leaves it writable), with nosuid, nodev and noexec |
/// | `cgroup`, `cgroup2` | `/sys/fs/cgroup` and below | permitted; `cgroup.readonly` decides whether it is writable |
/// | `tmpfs`, `ramfs`, `devpts`, `mqueue`, `hugetlbfs`, `overlay` | anywhere except over `/proc`, `/sys` and the nodes of `/dev` | permitted; `mounts.sources` judges the layers of an overlay; in the other places `mounts.covered` |
/// | `proc`, `sysfs` | elsewhere | `mounts.second-proc`, `mounts.second-sysfs` |
/// | `ext4`, `xfs`, `btrfs`, ... | anywhere | `mounts.block` |
/// | `nfs`, `cifs`, `ceph`, `9p`, ... | anywhere | `mounts.network` |
/// | `fuse`, `fuse.*`, `virtiofs` | anywhere | `mounts.fuse` |
/// | `debugfs`, `binfmt_misc`, `bpf`, `devtmpfs`, ... | anywhere | `mounts.kernel-fs` |
/// | any other | anywhere | `mounts.unknown-fs` |
///
/// A `remount` changes what an earlier mount of the configuration put in the same place, and cannot
/// remove that mount's restrictions. Any other remount is refused (`mounts.remount`). The kernel
/// decides what an ordinary caller may mount.
///
/// **Why.** A procfs on `/mnt` has none of the masks, and writing to `core_pattern` below it runs a
/// program as root of the host.
///
/// **What breaks.** Containers that mount disks or network shares themselves instead of leaving
/// that to their engine.
///
/// **Override.**
///
/// - `mounts.block`, `mounts.network`, `mounts.fuse`: mounting a file system of that kind
/// - `mounts.unknown-fs`: mounting a file system that this release does not know
/// - `mounts.second-proc`, `mounts.second-sysfs`: a procfs or sysfs outside its usual place
/// - `mounts.covered`: a mount over `/proc`, `/sys` or a node of `/dev`; as with runc, no profile
///   permits covering files inside `/proc`, except those that lxcfs provides
/// - `mounts.remount`: changing a mount that the configuration has not made
///
/// Each override permits one kind.
///
/// **In the profiles.**
///
/// - privileged: Anything can be mounted anywhere.
/// - hardened: A second procfs shows what the first one hides, and a disk or a file system of the
///   kernel exposes the host itself: only file systems known to be harmless are mounted, each in
///   its place.
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
    summary: "only file systems that are known to be harmless are mounted, each in its place",
};

/// **What.** This decides what a bind mount, or a layer of an overlay, may show of the host.
/// casemate opens the source once and judges it by every name that the host has for it: other
/// mounts of the same file system (compared by superblock and path on it, so that a second mount
/// and a bind of a bind count as the place that they show), other subvolumes and snapshots of the
/// file system that holds `/`, and a second link to a secret. The file that is mounted later must
/// be the same. The strictest judgement counts. For root of the host:
///
/// | Source | Result |
/// |---|---|
/// | `/srv`, `/home`, `/mnt`, `/media`, `/tmp`, other directories in `/`; children of `/root` without a dot; `/var/{tmp,www,log,cache,mail,spool,backups,opt,local}`, and directories of `/var/lib` and `/opt` that no package owns | bound as asked for |
/// | what an engine made for this container (userdata, volumes, image volumes, sandboxes, the pod's own directories of the kubelet), wherever the engine keeps its data; namespaces in `/run/{netns,ipcns,utsns,userns}`; sockets of sd_notify, CDI, BuildKit | bound as asked for |
/// | `/usr`, `/lib*`, `/bin`, `/sbin`, `/opt`, `/snap`, `/nix`; files of `/etc` without secrets (`hosts`, `resolv.conf`, `passwd`, `localtime`, `ssl/certs`, ...); podman's artifacts | read-only: `mounts.host-system` |
/// | what is or contains the runtime's own program, or that of the engine that started it, even among data; `/opt/{bin,cni,containerd,k3s,kata,nri,rke2}` | read-only: `mounts.host-system` |
/// | `/`; the rest of `/etc`, `/run`; `/var`, `/var/lib`, package databases, cron and at; `/boot`; `/root` and its dot entries | refused: `mounts.host-root`, `-etc`, `-run`, `-var`, `-boot`, `-home` |
/// | the bundle, what contains it, its `config.json` or what `--config` names; bundle and root file system of another container, if no engine keeps them | read-only: `mounts.engine-data` |
/// | what is or contains the program of a hook on the host's side, its interpreter, or a link that leads there, of this container or another one of the state root | read-only: `mounts.host-system` |
/// | what is or contains the audit log that the node's policy names, or a link that leads there | read-only: `mounts.host-system` |
/// | what is or contains an active swap file | refused: `mounts.host-root` |
/// | a single file of root that only root may read and that has another name elsewhere (a hard link) | refused: `mounts.host-root` |
/// | what is or contains the image of a mounted loop device | read-only: `mounts.host-system` |
/// | procfs; sysfs; a cgroup file system; `/dev` (single devices: `devices.nodes`); other file systems of the kernel | refused: `mounts.host-proc`, `-sys`, `-cgroup`, `-dev`, `mounts.kernel-fs` |
/// | engines' sockets, by place and by name, also inside a directory (down to two levels and 512 entries, and wherever one listens in the runtime's network namespace); systemd's private socket; another socket of root | refused: `mounts.docker-sock`, `-containerd-sock`, `-crio-sock`, `-podman-sock`, `-systemd-sock`, `mounts.socket` |
/// | a directory of data in which this search finds another socket of root | bound as asked for, with a finding (`warned`): containers share such sockets by volumes |
/// | data of engines: their directories, known by their usual place or by their contents, and what they made for others | refused: `mounts.engine-data` |
/// | the state of casemate, `/run/casemate`, `/run/casemate-ids`, `/run/casemate-mcs`, `/etc/casemate` | refused, without an override |
///
/// What is above a refused place is refused in the same way. `"paths.data" = ["/etc/myapp"]` in
/// `[values]` of the node's policy adds places for data. If the package database cannot be read
/// (rpm), directories of `/opt` are read-only and those of `/var/lib` are data.
///
/// **Pods.** containerd's CRI service or CRI-O says which pod a container belongs to, [if they are
/// known to have made it](user/OVERRIDE.md#which-annotations-are-trusted). A container without this
/// information gets nothing that was made for pods. On a node with cri-dockerd, a docker container
/// belongs to the pod whose cgroup it is in (`kubepods-podUID.slice`, `/kubepods/podUID/ID`); a
/// user of docker can choose that (`--cgroup-parent`).
///
/// **Overlays and stacked file systems.** A source on an overlay that is already mounted is judged
/// with each of its layers, as the kernel names them. (If podman or containerd mounted a layer with
/// other ids only temporarily, it is judged by where it is among their data.) A layer that cannot
/// be inspected is refused (`mounts.engine-data`). Data of engines is permitted if an engine
/// mounted the overlay, except for its volumes. An overlay that is the root file system is judged
/// only by its layers. A stacked file system that reports which directory it shows (ecryptfs; FUSE
/// with a path as its source, like bindfs) is also judged by that directory.
///
/// **Shared by containers.** Files and memory that containers of engines share are permitted if the
/// container joins the namespace that belongs to them: `hosts`, `hostname` and `resolv.conf` with
/// the network namespace, also as that of a process (`/proc/PID/ns/net`); `shm` with the ipc
/// namespace, also as that of a process that has this very memory; and those of the sandbox in its
/// pod. Otherwise the files are read-only and the memory is refused (`mounts.engine-data`). The
/// mounted root file system of another container is refused too with containers/storage. With
/// Docker it is read-only, because Docker mounts images in the same way.
///
/// **Recursive binds.** A recursive bind mount is judged together with every mount below it; pinned
/// namespaces are left out. Some binds of a place on itself are permitted, because engines use
/// them: `/sys` and `/sys/fs/cgroup`, read-only, if the network namespace is not the container's
/// own; and `/proc`, `/dev/shm` and `/dev/mqueue`, if the namespace is the host's by override. If
/// only a part of a source's file system is mounted and the rest cannot be seen (in a container, or
/// a single subvolume), the record says so.
///
/// **The root file system** is judged in the same way. It may be next to system directories, and
/// two levels deep among engines' data if it does not belong to another container. The id in the
/// path shows this, or the layer metadata of containers/storage and Docker. `/home`, `/tmp`,
/// `/srv`, `/var/tmp` and similar directories are refused as root (`mounts.host-root`). A root is
/// also refused if its contents would make it read-only as a bind mount: a hook's program and the
/// audit log (`mounts.host-system`), the container's own `config.json` if the root is writable, and
/// the bundle of another container (`mounts.engine-data`), read-only or not. A writable root must
/// not be part of the host's system, nor, except at `baseline`, another container's root file
/// system (`a_root_file_system_that_is_written_is_nobody_elses`).
///
/// **Ordinary callers** cannot do more to the host than their own files allow. For them, only those
/// places are refused or read-only that expose engines or the host's secrets, as in release 0.1.0;
/// and bundles that no engine keeps, and hooks, if that caller may write them.
///
/// **Why.** A container that has `/etc` or `docker.sock` has the host.
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
///   `mounts.kernel-fs`: binding from that file system of the host's kernel; the last one also
///   permits mounting one (`mounts.types`)
/// - `mounts.docker-sock`, `mounts.containerd-sock`, `mounts.crio-sock`, `mounts.podman-sock`,
///   `mounts.systemd-sock`: binding that socket
/// - `mounts.socket`: binding another socket of root
/// - `mounts.engine-data`: binding data of engines
///
/// One override opens one place with everything in it: `mounts.host-run` also exposes the sockets
/// of engines and the state of casemate to the container.
///
/// **In the profiles.**
///
/// - privileged: Any path of the host can be bound.
/// - baseline: A bound /etc or docker.sock gives control of the host.
/// - hardened: A container that binds /, /etc or docker.sock controls the host, whatever else
///   confines it. Places are recognised by device and inode and by the type of the file system, not
///   by name; what is above such a place counts too. Programs and settings of the host's system may
///   be read. What engines make for a single container is deeper and is permitted.
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
