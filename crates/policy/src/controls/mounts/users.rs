//! What a path of the host means when an ordinary caller binds it: that caller can do nothing to most of the
//! host, so only places are named that give away the caller's own engines, or that no container is to see.

use super::judgement::{Judgement, ENGINE_DATA, SYSTEM};
use crate::facts::is_below;

/// How far a place reaches. What contains a place is taken for the place itself: who has `/run` has its sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The place itself.
    Itself,
    /// And what lies directly in it. What engines make for one container lies deeper.
    Children,
    /// And everything below.
    Below,
    /// And everything below, which may be shown but not written.
    ReadOnly,
}

/// The places, the most telling name first: the first that fits is named.
const PLACES: [(&str, &str, Reach); 63] = [
    ("/", "mounts.host-root", Reach::Itself),
    ("/run", "mounts.host-run", Reach::Itself),
    ("/var", "mounts.host-var", Reach::Itself),
    ("/var/lib", "mounts.host-var", Reach::Itself),
    ("/boot", "mounts.host-boot", Reach::Below),
    ("/efi", "mounts.host-boot", Reach::Below),
    ("/root", "mounts.host-home", Reach::Itself),
    ("/dev", "mounts.host-dev", Reach::Below),
    ("/dev/shm", "mounts.host-dev", Reach::Itself),
    ("/dev/mqueue", "mounts.host-dev", Reach::Itself),
    ("/etc", "mounts.host-etc", Reach::Itself),
    ("/etc/shadow", "mounts.host-etc", Reach::Below),
    ("/etc/gshadow", "mounts.host-etc", Reach::Below),
    ("/etc/sudoers", "mounts.host-etc", Reach::Below),
    ("/etc/sudoers.d", "mounts.host-etc", Reach::Below),
    ("/etc/ssh", "mounts.host-etc", Reach::Below),
    ("/etc/kubernetes", "mounts.host-etc", Reach::Below),
    ("/run/docker.sock", "mounts.docker-sock", Reach::Below),
    ("/run/containerd/containerd.sock", "mounts.containerd-sock", Reach::Below),
    ("/run/k3s/containerd/containerd.sock", "mounts.containerd-sock", Reach::Below),
    ("/run/crio/crio.sock", "mounts.crio-sock", Reach::Below),
    ("/run/podman/podman.sock", "mounts.podman-sock", Reach::Below),
    ("/run/buildkit/buildkitd.sock", "mounts.docker-sock", Reach::Below),
    ("/run/cri-dockerd.sock", "mounts.docker-sock", Reach::Below),
    ("/run/systemd/private", "mounts.systemd-sock", Reach::Below),
    ("/var/lib/docker", ENGINE_DATA, Reach::Children),
    ("/var/lib/containerd", ENGINE_DATA, Reach::Children),
    ("/var/lib/containers", ENGINE_DATA, Reach::Children),
    ("/var/lib/containers/storage", ENGINE_DATA, Reach::Children),
    ("/var/lib/kubelet", ENGINE_DATA, Reach::Children),
    ("/run/docker", ENGINE_DATA, Reach::Itself),
    ("/run/containerd", ENGINE_DATA, Reach::Itself),
    ("/run/containers", ENGINE_DATA, Reach::Itself),
    ("/run/crio", ENGINE_DATA, Reach::Itself),
    ("/run/libpod", ENGINE_DATA, Reach::Itself),
    ("/usr/bin", SYSTEM, Reach::ReadOnly),
    ("/usr/sbin", SYSTEM, Reach::ReadOnly),
    ("/usr/lib", SYSTEM, Reach::ReadOnly),
    ("/usr/lib64", SYSTEM, Reach::ReadOnly),
    ("/usr/libexec", SYSTEM, Reach::ReadOnly),
    ("/bin", SYSTEM, Reach::ReadOnly),
    ("/sbin", SYSTEM, Reach::ReadOnly),
    ("/lib", SYSTEM, Reach::ReadOnly),
    ("/lib64", SYSTEM, Reach::ReadOnly),
    ("/etc/passwd", SYSTEM, Reach::ReadOnly),
    ("/etc/group", SYSTEM, Reach::ReadOnly),
    ("/etc/pam.d", SYSTEM, Reach::ReadOnly),
    ("/etc/security", SYSTEM, Reach::ReadOnly),
    ("/etc/systemd", SYSTEM, Reach::ReadOnly),
    ("/etc/cron.d", SYSTEM, Reach::ReadOnly),
    ("/etc/crontab", SYSTEM, Reach::ReadOnly),
    ("/etc/ld.so.preload", SYSTEM, Reach::ReadOnly),
    ("/etc/ld.so.conf.d", SYSTEM, Reach::ReadOnly),
    ("/etc/profile.d", SYSTEM, Reach::ReadOnly),
    ("/etc/modprobe.d", SYSTEM, Reach::ReadOnly),
    ("/etc/sysctl.d", SYSTEM, Reach::ReadOnly),
    ("/etc/udev", SYSTEM, Reach::ReadOnly),
    ("/etc/apparmor.d", SYSTEM, Reach::ReadOnly),
    ("/etc/selinux", SYSTEM, Reach::ReadOnly),
    ("/etc/docker", SYSTEM, Reach::ReadOnly),
    ("/etc/containers", SYSTEM, Reach::ReadOnly),
    ("/etc/containerd", SYSTEM, Reach::ReadOnly),
    ("/etc/crio", SYSTEM, Reach::ReadOnly),
];

/// What `path`, without links, means.
pub(super) fn judge(path: &str) -> Judgement {
    let mut shown = None;
    // A place itself before what is said of a part of it.
    let exact = PLACES.iter().filter(|(place, ..)| *place == path);
    for (place, class, reach) in exact.chain(PLACES.iter()).copied() {
        let above = is_below(place, path);
        let reached = match reach {
            Reach::Itself => false,
            Reach::Children => path.rsplit_once('/').is_some_and(|(parent, _)| parent == place),
            Reach::Below | Reach::ReadOnly => is_below(path, place),
        };
        if !above && !reached && path != place {
            continue;
        }
        let note = if above { format!(" (contains {place})") } else { String::new() };
        if reach != Reach::ReadOnly {
            return Judgement::refused(class, note);
        }
        shown.get_or_insert(Judgement::read_only(class, note));
    }
    shown.unwrap_or(Judgement::LetIn)
}
