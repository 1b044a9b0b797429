//! Paths of the host that a container should not be shown, by name.
//!
//! The rule that refuses them when a container is made looks at inodes; this is for containers that exist, where only
//! the kernel's names are left.

use super::covers;

/// What a path of the host means in a container; `None` for one that means nothing special.
pub fn danger(path: &str) -> Option<&'static str> {
    const SOCKETS: [&str; 7] = [
        "docker.sock",
        "containerd.sock",
        "crio.sock",
        "podman.sock",
        "dockershim.sock",
        "buildkitd.sock",
        "cri-dockerd.sock",
    ];
    let name = path.rsplit('/').next().unwrap_or_default();
    if SOCKETS.contains(&name) {
        return Some("an engine's socket: whoever speaks to it is root on the host");
    }
    let exact = |place: &str| path == place || path.trim_end_matches('/') == place;
    if path == "/" {
        return Some("the host's whole file system");
    }
    for place in [
        "/proc", "/sys", "/dev", "/boot", "/etc", "/root", "/run", "/var/run", "/var", "/usr",
        "/home",
    ] {
        if exact(place) {
            return Some("a directory of the host's own system");
        }
    }
    if covers("/boot", path) || covers("/root", path) || covers("/sys/kernel", path) {
        return Some("below a directory of the host's own system");
    }
    for place in [
        "/var/lib/docker",
        "/var/lib/containers",
        "/var/lib/containerd",
        "/var/lib/kubelet",
        "/run/casemate",
        "/run/runc",
        "/run/crun",
    ] {
        if exact(place) {
            return Some("an engine's own data, all containers' among it");
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_engines_put_into_every_container_is_no_danger() {
        for path in [
            "/var/lib/docker/containers/x/hosts",
            "/var/lib/kubelet/pods/x/etc-hosts",
            "/etc/localtime",
            "/srv/data",
            "/run/containers/x/resolv.conf",
        ] {
            assert_eq!(danger(path), None, "{path}");
        }
        for path in
            ["/", "/etc", "/run/docker.sock", "/var/run/docker.sock", "/var/lib/kubelet", "/proc"]
        {
            assert!(danger(path).is_some(), "{path}");
        }
    }
}
