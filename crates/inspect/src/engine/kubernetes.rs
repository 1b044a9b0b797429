//! The kubelet's own configuration, and the engine below it.

use super::{containerd, crio};
use crate::host::{Check, Host, Status};

const FILE: &str = "/var/lib/kubelet/config.yaml";

const CLASS: &str = "apiVersion: node.k8s.io/v1\nkind: RuntimeClass\nmetadata:\n  name: casemate\nhandler: casemate\n";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = Vec::new();
    let engine_driver = if containerd::is_present(host) {
        checks.extend(containerd::checks(host));
        containerd::systemd_driver(host)
    } else if crio::is_present(host) {
        checks.extend(crio::checks(host));
        Some(crio::systemd_driver(host))
    } else {
        let found = "neither /etc/containerd/config.toml nor /etc/crio exists";
        let fix =
            "install containerd or CRI-O, then casemate host-check --engine containerd (or crio)";
        checks.push(Check::new("kubernetes.engine", Status::Missing, found).fix(fix));
        None
    };
    checks.extend(kubelet(host, engine_driver));
    let class = Check::new(
        "kubernetes.runtime-class",
        Status::Info,
        "pods choose casemate by a RuntimeClass whose handler has the runtime's name",
    );
    checks.push(Check { snippet: Some(CLASS.to_owned()), ..class });
    checks
}

fn kubelet(host: &Host, engine: Option<bool>) -> Vec<Check> {
    let Some(text) = host.read(FILE) else {
        return vec![Check::new(
            "kubernetes.kubelet",
            Status::Info,
            format!("{FILE} does not exist"),
        )];
    };
    let kubelet = top_level(&text, "cgroupDriver").unwrap_or("cgroupfs");
    let driver = match engine {
        Some(systemd) if systemd != (kubelet == "systemd") => {
            let other = if systemd { "systemd" } else { "cgroupfs" };
            let found = format!("the kubelet uses {kubelet}, the runtime handler {other}");
            Check::new("kubernetes.cgroup-driver", Status::Missing, found)
                .fix("the same on both sides: cgroupDriver: systemd, and SystemdCgroup = true")
        }
        _ => Check::new("kubernetes.cgroup-driver", Status::Ok, kubelet),
    };
    let seccomp = match top_level(&text, "seccompDefault") {
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
