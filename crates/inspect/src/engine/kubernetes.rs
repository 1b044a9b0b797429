//! The kubelet's own configuration, and the engine below it.

use super::{containerd, crio};
use crate::host::{Check, Host, Status};

const FILE: &str = "/var/lib/kubelet/config.yaml";

const CLASS: &str = "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata:\n  name: casemate\nhandler: casemate\n";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = Vec::new();
    let text = host.read(FILE);
    let engine_driver = match engine(host, text.as_deref()) {
        Some(Engine::Containerd) => {
            checks.extend(containerd::checks(host));
            containerd::systemd_driver(host)
        }
        Some(Engine::Crio) => {
            checks.extend(crio::checks(host));
            Some(crio::systemd_driver(host))
        }
        None => {
            let found = "neither /etc/containerd/config.toml nor /etc/crio exists";
            let fix =
            "install containerd or CRI-O, then casemate host-check --engine containerd (or crio)";
            checks.push(Check::new("kubernetes.engine", Status::Missing, found).fix(fix));
            None
        }
    };
    checks.extend(kubelet(text.as_deref(), engine_driver));
    checks.push(ids(host));
    checks.push(propagation());
    let class = Check::new(
        "kubernetes.runtime-class",
        Status::Info,
        "pods choose casemate by a RuntimeClass whose handler has the runtime's name",
    );
    checks.push(Check { snippet: Some(CLASS.to_owned()), ..class });
    checks
}

/// What makes the kubelet's containers.
enum Engine {
    Containerd,
    Crio,
}

/// The one that the kubelet is told to ask; a node can have another one for docker. Without a word of it, the one that is there.
fn engine(host: &Host, kubelet: Option<&str>) -> Option<Engine> {
    let endpoint = kubelet.and_then(|text| top_level(text, "containerRuntimeEndpoint"));
    // No word of it leads nowhere.
    match endpoint.unwrap_or_default() {
        path if path.contains("crio") => Some(Engine::Crio),
        path if path.contains("containerd") => Some(Engine::Containerd),
        _ if containerd::is_present(host) => Some(Engine::Containerd),
        _ => crio::is_present(host).then_some(Engine::Crio),
    }
}

/// Where the ids of pods with `hostUsers: false` come from. The kubelet looks at its entry only where it finds the user and the
/// program that reads it (kubernetes.io, "Use a User Namespace With a Pod"); else it takes any, casemate's too.
fn ids(host: &Host) -> Check {
    let id = "kubernetes.ids";
    let has = |file: &str| {
        // One that cannot be read has no entry for the kubelet either; `host-check` names it (`Host::unread`).
        let text = host.read(file).unwrap_or_default();
        text.lines().any(|line| line.starts_with("kubelet:"))
    };
    let program = ["/usr/bin/getsubids", "/bin/getsubids", "/usr/local/bin/getsubids"];
    let user = "useradd --system --no-create-home --shell /usr/sbin/nologin kubelet";
    let lacks = [
        (!has("/etc/passwd"), "a user kubelet", user),
        (!program.iter().any(|path| host.exists(path)), "getsubids", "apt-get install uidmap"),
    ];
    let lacks: Vec<_> = lacks.iter().filter(|(lacks, _, _)| *lacks).collect();
    if !(has("/etc/subuid") && has("/etc/subgid")) {
        let found = "the kubelet has no entry in /etc/subuid and /etc/subgid: pods with hostUsers: false get any ids, casemate's too";
        return Check::new(id, Status::Info, found)
            .hint("docs/user/engines/kubernetes.md has the commands that make one");
    }
    if lacks.is_empty() {
        return Check::new(id, Status::Ok, "the kubelet has an entry of its own");
    }
    let names: Vec<&str> = lacks.iter().map(|(_, name, _)| *name).collect();
    let fixes: Vec<&str> = lacks.iter().map(|(_, _, fix)| *fix).collect();
    let found = format!("the kubelet's entry does not count without {}", names.join(" and "));
    Check::new(id, Status::Warning, found).fix(fixes.join(" && "))
}

/// Nobody sees it in a manifest: the pod starts, and misses what is mounted later.
fn propagation() -> Check {
    let found = "pods with mountPropagation: HostToContainer see what is mounted later as nobody's";
    Check::new("kubernetes.propagation", Status::Info, found)
        .hint("for those that rely on it, such as storage drivers: userns.host, or the profile of a [[rule]]")
}

fn kubelet(text: Option<&str>, engine: Option<bool>) -> Vec<Check> {
    let Some(text) = text else {
        return vec![Check::new(
            "kubernetes.kubelet",
            Status::Info,
            format!("{FILE} does not exist"),
        )];
    };
    let kubelet = top_level(text, "cgroupDriver").unwrap_or("cgroupfs");
    let driver = match engine {
        Some(systemd) if systemd != (kubelet == "systemd") => {
            let other = if systemd { "systemd" } else { "cgroupfs" };
            let found = format!("the kubelet uses {kubelet}, the runtime handler {other}");
            Check::new("kubernetes.cgroup-driver", Status::Missing, found)
                .fix("the same on both sides: cgroupDriver: systemd, and SystemdCgroup = true")
        }
        _ => Check::new("kubernetes.cgroup-driver", Status::Ok, kubelet),
    };
    let seccomp = match top_level(text, "seccompDefault") {
        Some("true") => Check::new("kubernetes.seccomp-default", Status::Ok, "on"),
        _ => Check::new(
            "kubernetes.seccomp-default",
            Status::Info,
            "off: pods come without a filter, casemate's default one is loaded",
        ),
    };
    vec![driver, seccomp]
}

/// A scalar at the top level of a YAML document; kubelet's file has these keys nowhere else.
fn top_level<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix(key)?.strip_prefix(':')?;
        Some(value.split('#').next()?.trim().trim_matches(['"', '\'']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_found_at_the_top_level_only() {
        let text = "a:\n  cgroupDriver: x\ncgroupDriver: \"systemd\" # yes\n";
        assert_eq!(top_level(text, "cgroupDriver"), Some("systemd"));
        assert_eq!(top_level(text, "seccompDefault"), None);
    }
}
