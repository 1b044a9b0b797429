//! Whether a container engine is set up to use casemate: its configuration files are read as the engine reads
//! them, and nothing of it is run or asked.

mod containerd;
mod crio;
mod docker;
mod files;
mod kubernetes;
mod podman;

use crate::host::{Check, Host, Status};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

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

/// Where a snippet puts the binary when nobody said otherwise.
const INSTALLED: [&str; 2] = ["/usr/bin/casemate", "/usr/local/bin/casemate"];
const PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The binary to write into a snippet: of the running host the one that runs, else the installed one.
fn binary_path(host: &Host) -> String {
    if host.is_running() {
        // What cannot be told is as if nobody had asked.
        if let Ok(path) = casemate_boot::image::on_host() {
            return path.display().to_string();
        }
    }
    let installed = INSTALLED.into_iter().find(|path| host.exists(path));
    installed.unwrap_or(INSTALLED[0]).to_owned()
}

/// Whether a configured program is casemate, or a script that stands for it.
fn is_casemate(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().starts_with("casemate"))
}

/// A program as an engine finds it: a path as it stands, a bare name in the usual directories.
fn locate(host: &Host, program: &str) -> Option<String> {
    if program.contains('/') {
        return host.exists(program).then(|| program.to_owned());
    }
    let usual = PATH.iter().map(|dir| (*dir).to_owned());
    let mut dirs = usual.chain(own_path(host)).map(|dir| format!("{dir}/{program}"));
    dirs.find(|path| host.exists(path))
}

/// The caller's directories of programs, on the running host.
fn own_path(host: &Host) -> Vec<String> {
    // Not set, or no text: there is none to look in.
    let path = std::env::var("PATH").ok().filter(|_| host.is_running()).unwrap_or_default();
    path.split(':').filter(|dir| dir.starts_with('/')).map(str::to_owned).collect()
}

/// A configured program: it is there, may be executed, and nobody but root can replace it.
fn program(host: &Host, id: &str, configured: &str) -> Check {
    let Some(path) = locate(host, configured) else {
        return Check::new(id, Status::Missing, format!("{configured} does not exist")).fix(
            format!("install casemate, or name the place where it is ({})", binary_path(host)),
        );
    };
    let metadata = match host.path(&path).metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Check::new(id, Status::Missing, format!("{path} cannot be looked at: {error}"));
        }
        Err(_) => {
            return Check::new(id, Status::Missing, format!("{path} leads nowhere")).fix(format!(
                "make it the link to an installed casemate, or name {}",
                binary_path(host)
            ));
        }
    };
    let mode = metadata.permissions().mode();
    if mode & 0o111 == 0 || !metadata.is_file() {
        return Check::new(id, Status::Missing, format!("{path} cannot be executed"))
            .fix(format!("chmod 0755 {path}"));
    }
    if mode & 0o002 != 0 {
        return Check::new(id, Status::Missing, format!("{path} can be written by everybody"))
            .fix(format!("chmod 0755 {path}"));
    }
    Check::new(id, Status::Ok, path)
}

/// The cgroup driver that an engine asks for, against what runs the host. `fixes`: the lines for systemd, and for none.
fn driver(host: &Host, id: &str, systemd: Option<bool>, fixes: [&str; 2]) -> Check {
    let booted = host.exists("/run/systemd/system");
    let name = |systemd: bool| if systemd { "systemd" } else { "cgroupfs" };
    match systemd {
        None => Check::new(id, Status::Info, "the engine's default"),
        Some(asked) if asked == booted => Check::new(id, Status::Ok, name(asked)),
        Some(asked) => {
            let runs = if booted { "systemd runs this host" } else { "there is no systemd" };
            let found = format!("{}, but {runs}", name(asked));
            let status = if booted { Status::Warning } else { Status::Missing };
            Check::new(id, status, found).fix(fixes[usize::from(!booted)])
        }
    }
}

/// A file that could not be read as what it should be.
fn unreadable(id: &str, error: &files::FileError) -> Check {
    Check::new(id, Status::Missing, error.to_string())
        .fix("correct the file: the engine will not read it either")
}
