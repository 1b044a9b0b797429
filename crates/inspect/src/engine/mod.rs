//! Whether a container engine is set up to use casemate: its configuration files are read as the engine reads
//! them, and nothing of it is run or asked.

mod containerd;
mod crio;
mod docker;
mod files;
mod kubernetes;
mod podman;
mod program;

use crate::host::{Check, Host, Status};
use program::locate;

/// The engines that can be asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// podman, as root or not.
    Podman,
    /// containerd, by its CRI plug-in and `ctr`.
    Containerd,
    /// dockerd.
    Docker,
    /// CRI-O.
    Crio,
    /// The kubelet, and whichever of containerd and CRI-O it uses.
    Kubernetes,
}

impl Engine {
    /// All, with their names on the command line.
    pub const ALL: [(&'static str, Self); 5] = [
        ("podman", Self::Podman),
        ("containerd", Self::Containerd),
        ("docker", Self::Docker),
        ("crio", Self::Crio),
        ("kubernetes", Self::Kubernetes),
    ];

    /// The engine called `name`.
    pub fn named(name: &str) -> Option<Self> {
        let name = if name == "cri-o" { "crio" } else { name };
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, engine)| *engine)
    }

    /// The program that reads the configuration.
    fn program(self) -> &'static str {
        match self {
            Self::Podman => "podman",
            Self::Containerd => "containerd",
            Self::Docker => "dockerd",
            Self::Crio => "crio",
            Self::Kubernetes => "kubelet",
        }
    }

    /// Reads its configuration.
    pub fn check(self, host: &Host) -> Vec<Check> {
        let checks = match self {
            Self::Podman => podman::checks(host),
            Self::Containerd => containerd::checks(host),
            Self::Docker => docker::checks(host),
            Self::Crio => crio::checks(host),
            Self::Kubernetes => kubernetes::checks(host),
        };
        let checks = absent(host, self.program()).into_iter().chain(checks);
        let mut checks: Vec<Check> = checks.collect();
        checks.extend(host.unread());
        checks
    }
}

/// An engine can be configured before it is installed, and be installed in a place of its own.
fn absent(host: &Host, program: &str) -> Option<Check> {
    if locate(host, program).is_some() {
        return None;
    }
    let id = match program {
        "dockerd" => "docker",
        "kubelet" => "kubernetes",
        other => other,
    };
    let found = format!("no {program} in the usual directories: is it installed on this host?");
    Some(Check::new(format!("{id}.program"), Status::Info, found))
}
