//! What a path of the host means when root binds it: data, the host's system, or the host itself.
//!
//! One table of trees. The row with the longest path that fits decides; what no row names is data in a
//! directory of its own below `/`. A path that lies above a row which is not data is judged like that row.

use super::judgement::Place;
use crate::facts::{is_below, Engine};

/// What a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Bound as asked for.
    Data,
    /// May be read.
    System,
    /// The host itself; the override that permits it.
    Host(&'static str),
    /// The data of an engine.
    Engine(Engine),
    /// The runtime's own.
    Own,
}

use Kind::{Data, Engine as Of, Host, Own, System};

const ROOT: Kind = Host("mounts.host-root");
const RUN: Kind = Host("mounts.host-run");
const VAR: Kind = Host("mounts.host-var");
const BOOT: Kind = Host("mounts.host-boot");
const HOME: Kind = Host("mounts.host-home");
const ETC: Kind = Host("mounts.host-etc");
const DEV: Kind = Host("mounts.host-dev");
const SOCKET: Kind = Host("mounts.socket");
const ENGINES: Kind = Host(super::judgement::ENGINE_DATA);

/// Only this path itself; what lies in it is judged by other rows.
const ITSELF: [(&str, Kind); 8] = [
    ("/", ROOT),
    ("/var", VAR),
    ("/var/lib", VAR),
    ("/root", HOME),
    ("/var/roothome", HOME),
    ("/var/lib/containers", ENGINES),
    ("/var/lib/rancher", ENGINES),
    ("/var/snap", ENGINES),
];

/// This path and what lies in it.
const TREES: &[(&str, Kind)] = &[
    // The host's system.
    ("/usr", System),
    ("/lib", System),
    ("/lib32", System),
    ("/lib64", System),
    ("/libx32", System),
    ("/bin", System),
    ("/sbin", System),
    ("/snap", System),
    ("/nix", System),
    ("/gnu", System),
    ("/boot", BOOT),
    ("/efi", BOOT),
    ("/sysroot", ROOT),
    ("/ostree", ROOT),
    ("/proc", Host("mounts.host-proc")),
    ("/sys", Host("mounts.host-sys")),
    ("/dev", DEV),
    ("/lost+found", ROOT),
    // Settings: what tells nobody anything that he should not know may be read.
    ("/etc", ETC),
    ("/etc/casemate", Own),
    ("/etc/OpenCL", System),
    ("/etc/alternatives", System),
    ("/etc/bash.bashrc", System),
    ("/etc/ca-certificates", System),
    ("/etc/debian_version", System),
    ("/etc/ethertypes", System),
    ("/etc/fonts", System),
    ("/etc/group", System),
    ("/etc/host.conf", System),
    ("/etc/hostname", System),
    ("/etc/hosts", System),
    ("/etc/inputrc", System),
    ("/etc/issue", System),
    ("/etc/ld.so.cache", System),
    ("/etc/ld.so.conf", System),
    ("/etc/ld.so.conf.d", System),
    ("/etc/localtime", System),
    ("/etc/locale.conf", System),
    ("/etc/lsb-release", System),
    ("/etc/machine-id", System),
    ("/etc/mime.types", System),
    ("/etc/networks", System),
    ("/etc/nsswitch.conf", System),
    ("/etc/os-release", System),
    ("/etc/passwd", System),
    ("/etc/pki/ca-trust", System),
    ("/etc/pki/tls/certs", System),
    ("/etc/profile", System),
    ("/etc/profile.d", System),
    ("/etc/protocols", System),
    ("/etc/redhat-release", System),
    ("/etc/resolv.conf", System),
    ("/etc/rpc", System),
    ("/etc/services", System),
    ("/etc/shells", System),
    ("/etc/ssl/certs", System),
    ("/etc/ssl/openssl.cnf", System),
    ("/etc/subgid", System),
    ("/etc/subuid", System),
    ("/etc/system-release", System),
    ("/etc/terminfo", System),
    ("/etc/timezone", System),
    ("/etc/vulkan", System),
    ("/etc/xattr.conf", System),
    // State of what runs now.
    ("/run", RUN),
    ("/run/media", Data),
    ("/run/systemd/resolve/resolv.conf", System),
    ("/run/systemd/resolve/stub-resolv.conf", System),
    ("/run/NetworkManager/resolv.conf", System),
    ("/run/resolvconf/resolv.conf", System),
    ("/run/connman/resolv.conf", System),
    ("/run/systemd/notify", Data),
    ("/run/nvidia-persistenced/socket", Data),
    ("/run/nvidia-fabricmanager/socket", Data),
    ("/run/docker.sock", Host("mounts.docker-sock")),
    ("/run/cri-dockerd.sock", Host("mounts.docker-sock")),
    ("/run/buildkit/buildkitd.sock", Host("mounts.docker-sock")),
    ("/run/containerd/containerd.sock", Host("mounts.containerd-sock")),
    ("/run/k3s/containerd/containerd.sock", Host("mounts.containerd-sock")),
    ("/run/crio/crio.sock", Host("mounts.crio-sock")),
    ("/run/podman/podman.sock", Host("mounts.podman-sock")),
    ("/run/systemd/private", Host("mounts.systemd-sock")),
    ("/run/dbus/system_bus_socket", SOCKET),
    ("/run/systemd/journal/dev-log", SOCKET),
    ("/run/systemd/journal/socket", SOCKET),
    // What engines keep.
    ("/run/docker", Of(Engine::Docker)),
    ("/run/containerd", Of(Engine::Containerd)),
    ("/run/k3s/containerd", Of(Engine::Containerd)),
    ("/run/k0s/containerd", Of(Engine::Containerd)),
    ("/run/containers", ENGINES),
    ("/run/containers/storage", Of(Engine::Storage)),
    ("/run/crio", ENGINES),
    ("/run/libpod", ENGINES),
    ("/run/buildkit", Of(Engine::Buildkit)),
    ("/var/lib/docker", Of(Engine::Docker)),
    ("/var/lib/containerd", Of(Engine::Containerd)),
    ("/var/lib/containers/storage", Of(Engine::Storage)),
    ("/var/lib/crio", ENGINES),
    ("/var/lib/nerdctl", Of(Engine::Nerdctl)),
    ("/var/lib/buildkit", Of(Engine::Buildkit)),
    ("/var/lib/kubelet", Of(Engine::Kubelet)),
    ("/var/lib/cni", ENGINES),
    ("/var/lib/etcd", ENGINES),
    ("/var/lib/rancher/k3s/agent/containerd", Of(Engine::Containerd)),
    ("/var/lib/rancher/k3s", ENGINES),
    ("/var/lib/rancher/rke2", ENGINES),
    ("/var/lib/rancher/rke2/agent/containerd", Of(Engine::Containerd)),
    ("/var/lib/rancher/k3s/storage", Data),
    ("/var/lib/k0s", ENGINES),
    ("/var/lib/k0s/containerd", Of(Engine::Containerd)),
    ("/var/lib/k0s/kubelet", Of(Engine::Kubelet)),
    ("/var/snap/docker", ENGINES),
    ("/var/snap/microk8s", ENGINES),
    ("/var/snap/microk8s/common/default-storage", Data),
    ("/var/snap/microk8s/common/var/lib/containerd", Of(Engine::Containerd)),
    ("/var/snap/microk8s/common/var/lib/kubelet", Of(Engine::Kubelet)),
    // What services of the host keep.
    ("/var/account", VAR),
    ("/var/cache/akmods", VAR),
    ("/var/cache/apt", VAR),
    ("/var/cache/debconf", VAR),
    ("/var/cache/dnf", VAR),
    ("/var/cache/ldconfig", VAR),
    ("/var/cache/libdnf5", VAR),
    ("/var/cfengine", VAR),
    ("/var/kerberos", VAR),
    ("/var/named", VAR),
    ("/var/ossec", VAR),
    ("/var/qmail", VAR),
    ("/var/spool/incron", VAR),
    ("/var/yp", VAR),
    ("/var/crash", VAR),
    ("/var/db", VAR),
    ("/var/spool/anacron", VAR),
    ("/var/spool/at", VAR),
    ("/var/spool/atjobs", VAR),
    ("/var/spool/cron", VAR),
    ("/var/lib/AccountsService", VAR),
    ("/var/lib/NetworkManager", VAR),
    ("/var/lib/apt", VAR),
    ("/var/lib/bluetooth", VAR),
    ("/var/lib/cloud", VAR),
    ("/var/lib/confexts", VAR),
    ("/var/lib/dbus", VAR),
    ("/var/lib/dnf", VAR),
    ("/var/lib/dpkg", VAR),
    ("/var/lib/extensions", VAR),
    ("/var/lib/extensions.mutable", VAR),
    ("/var/lib/initramfs-tools", VAR),
    ("/var/lib/libvirt", VAR),
    ("/var/lib/lxc", VAR),
    ("/var/lib/machines", VAR),
    ("/var/lib/lxd", VAR),
    ("/var/lib/incus", VAR),
    ("/var/lib/pacman", VAR),
    ("/var/lib/pam", VAR),
    ("/var/lib/polkit-1", VAR),
    ("/var/lib/portables", VAR),
    ("/var/lib/private", VAR),
    ("/var/lib/rpm", VAR),
    ("/var/lib/rpm-state", VAR),
    ("/var/lib/selinux", VAR),
    ("/var/lib/shim-signed", VAR),
    ("/var/lib/snapd", VAR),
    ("/var/lib/sss", VAR),
    ("/var/lib/sudo", VAR),
    ("/var/lib/systemd", VAR),
    ("/var/lib/tpm2-tss", VAR),
    ("/var/lib/ucf", VAR),
    ("/var/lib/update-manager", VAR),
    // Programs of engines, which no package need own.
    ("/opt/bin", System),
    ("/opt/cni", System),
    ("/opt/containerd", System),
    ("/opt/k3s", System),
    ("/opt/kata", System),
    ("/opt/nri", System),
    ("/opt/rke2", System),
    // Data that the rules behind would take for something else.
    ("/opt/local-path-provisioner", Data),
];

/// What `path`, without links, means.
pub(super) fn judge(path: &str) -> Place {
    let path = canonical(path);
    if is_own(&path) {
        return Place::Own;
    }
    if is_pinned(&path) {
        return Place::Data;
    }
    let (around, inside) = trees(&path);
    let row = ITSELF.iter().find(|(own, _)| *own == path);
    let (top, kind) = row.or(around).copied().unwrap_or(("", Data));
    match (kind, inside) {
        (Data | System, Some((inner, kind))) => place(*kind, inner, Some(inner)),
        (Data, None) => by_rule(&path),
        _ => place(kind, top, None),
    }
}

type Row = (&'static str, Kind);

/// The row of the longest tree that `path` is or lies in, and the first one that lies in `path` and is not everybody's.
fn trees(path: &str) -> (Option<&'static Row>, Option<&'static Row>) {
    let (mut around, mut inside) = (None::<&Row>, None);
    for row @ (top, kind) in TREES.iter().filter(|(top, _)| may_share(path, top)) {
        if *top == path || is_below(path, top) {
            if around.is_none_or(|(longest, _)| longest.len() <= top.len()) {
                around = Some(row);
            }
        } else if inside.is_none() && !matches!(kind, Data | System) && is_below(top, path) {
            inside = Some(row);
        }
    }
    (around, inside)
}

/// False where neither lies in the other. Each source is held against each row, and two bytes tell nearly all apart.
fn may_share(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let Some(last) = a.len().min(b.len()).checked_sub(1) else { return true };
    let alike = |at: usize| a[at] == b[at] || a[at] == b'/' || b[at] == b'/';
    alike(last.min(1)) && alike(last)
}

fn place(kind: Kind, top: &'static str, holds: Option<&'static str>) -> Place {
    match kind {
        Data => Place::Data,
        System => Place::System,
        Host(class) => Place::Host { class, holds },
        Of(_) if holds.is_some() => Place::Host { class: super::judgement::ENGINE_DATA, holds },
        Of(engine) => Place::Engine { engine, root: top },
        Own => Place::Own,
    }
}

/// Where no row says anything: names that follow a rule.
fn by_rule(path: &str) -> Place {
    let hidden = path.strip_prefix("/root/").or_else(|| path.strip_prefix("/var/roothome/"));
    if hidden.is_some_and(|rest| rest.starts_with('.')) {
        return Place::Host { class: "mounts.host-home", holds: None };
    }
    if path == "/opt" {
        return Place::System;
    }
    if is_below(path, "/opt") {
        return Place::Packaged { class: super::judgement::SYSTEM };
    }
    let is_in = |top: &&str| path == *top || is_below(path, top);
    match is_below(path, "/var") && !DATA_OF_VAR.iter().any(is_in) {
        true => Place::Packaged { class: VAR_CLASS },
        false => Place::Data,
    }
}

const VAR_CLASS: &str = "mounts.host-var";

/// Directories of /var that no package owns for itself alone (hier(7)). `/var/lib` has rules of its own.
const DATA_OF_VAR: [&str; 15] = [
    "/var/backups",
    "/var/cache",
    "/var/data",
    "/var/home",
    "/var/local",
    "/var/log",
    "/var/mail",
    "/var/mnt",
    "/var/opt",
    "/var/roothome",
    "/var/spool",
    "/var/srv",
    "/var/tmp",
    "/var/vol",
    "/var/www",
];

/// A namespace that an engine or iproute2 keeps by a mount.
fn is_pinned(path: &str) -> bool {
    let places = ["/run/netns/", "/run/ipcns/", "/run/utsns/", "/run/userns/"];
    places.iter().any(|dir| path.strip_prefix(dir).is_some_and(|name| !name.contains('/')))
}

/// Directories of the runtime's own that are not in the table. A name that only begins so is an engine's.
fn is_own(path: &str) -> bool {
    ["/run/casemate", "/run/casemate-ids", "/run/casemate-mcs"]
        .iter()
        .any(|own| path == *own || is_below(path, own))
}

/// `/var/run` and `/var/lock` where they are no links.
fn canonical(path: &str) -> String {
    for (from, to) in [("/var/run", "/run"), ("/var/lock", "/run/lock")] {
        if let Some(rest) = path.strip_prefix(from) {
            if rest.is_empty() || rest.starts_with('/') {
                return format!("{to}{rest}");
            }
        }
    }
    path.to_owned()
}

/// What the runtime finds out about a path by its name alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usual {
    /// The usual place of an engine's data.
    Engine,
    /// The host's system or a place of the host: refused or read-only whatever lies there.
    Host,
    /// Data unless a package of the host's owns this directory.
    Packaged(String),
    /// None of these.
    Other,
}

/// What is usual for `path`: it saves looking there.
#[must_use]
pub fn usual(path: &str) -> Usual {
    match judge(path) {
        Place::Engine { .. } => Usual::Engine,
        // Rootless engines keep theirs there.
        Place::Host { class: "mounts.host-run", .. } if is_below(path, "/run/user") => Usual::Other,
        Place::Host { .. } | Place::System | Place::Own => Usual::Host,
        Place::Packaged { .. } => {
            let depth = if is_below(path, "/var/lib") { 3 } else { 2 };
            let top = path.match_indices('/').nth(depth).map_or(path, |(at, _)| &path[..at]);
            Usual::Packaged(top.to_owned())
        }
        Place::Data => Usual::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_bytes_tell_apart_has_nothing_to_do_with_each_other() {
        let names = TREES.iter().map(|(top, _)| *top).chain(["/", "/var", "/var/", "/x", "//", ""]);
        for name in names {
            for path in
                [name.to_owned(), format!("{name}/a"), format!("{name}2"), format!("{name}/")]
            {
                for (top, _) in TREES {
                    let share = *top == path || is_below(&path, top) || is_below(top, &path);
                    assert!(may_share(&path, top) || !share, "{path} {top}");
                }
            }
        }
    }
}
