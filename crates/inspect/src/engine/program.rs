//! What is asked of every engine: where its programs are, and which runtime it is told to use.

use super::files;
use crate::host::{Check, Host, Status};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Where a snippet puts the binary when nobody said otherwise.
const INSTALLED: [&str; 2] = ["/usr/bin/casemate", "/usr/local/bin/casemate"];

const PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The binary to write into a snippet: of the running host the one that runs, else the installed one.
pub(super) fn binary_path(host: &Host) -> String {
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
pub(super) fn is_casemate(path: &str) -> bool {
    Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().starts_with("casemate"))
}

/// A program as an engine finds it: a path as it stands, a bare name in the usual directories.
pub(super) fn locate(host: &Host, program: &str) -> Option<String> {
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
pub(super) fn program(host: &Host, id: &str, configured: &str) -> Check {
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
pub(super) fn driver(host: &Host, id: &str, systemd: Option<bool>, fixes: [&str; 2]) -> Check {
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
pub(super) fn unreadable(id: &str, error: &files::FileError) -> Check {
    Check::new(id, Status::Missing, error.to_string())
        .fix("correct the file: the engine will not read it either")
}
