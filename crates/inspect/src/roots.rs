//! Where the runtimes of a host keep the state of their containers: casemate, runc, crun and youki by themselves, and each
//! engine that names a place of its own as `--root`. Only names are known here; `census` looks at what is in them.

use anyhow::{Context as _, Result};
use casemate_runtime::request::Global;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where other runtimes keep their containers when nobody says otherwise, and where engines have them keep theirs.
pub(crate) fn of_others() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> =
        ["/run/runc", "/run/crun", "/run/youki"].map(PathBuf::from).into();
    roots.extend(below("/run/containerd/runc"));
    roots.extend(of_docker(Path::new("/run/docker")));
    if let Some(user) = of_caller() {
        roots.extend(["runc", "crun"].map(|name| user.join(name)));
        roots.extend(of_docker(&user.join("docker")));
    }
    roots
}

/// An ordinary caller's own directory below /run/user. In those of others anybody writes what a record says, and root that looks for
/// a name there would find what they want to be found: whoever wants to know of them asks as that user.
fn of_caller() -> Option<PathBuf> {
    let own = rustix::process::geteuid();
    (!own.is_root()).then(|| Path::new("/run/user").join(own.as_raw().to_string()))
}

/// All of these, and casemate's own: podman and CRI-O name none, so theirs are the default's, root's or a user's.
#[must_use]
pub fn everywhere(global: &Global) -> Vec<PathBuf> {
    let mut roots = vec![global.root.clone(), PathBuf::from("/run/casemate")];
    roots.extend(of_caller().map(|user| user.join("casemate")));
    roots.extend(of_others());
    each_once(roots)
}

/// Two names of one directory, as /var/run, are one root.
pub(crate) fn each_once(roots: Vec<PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    // Of one that does not exist, or cannot be reached, the name is all there is: whoever looks there is told.
    let real = |root: &PathBuf| root.canonicalize().unwrap_or_else(|_| root.clone());
    roots.into_iter().filter(|root| seen.insert(real(root))).collect()
}

/// dockerd keeps a directory for each runtime that it knows by a name of its own, `runtime-NAME`, and containerd one for each
/// namespace in that.
fn of_docker(state: &Path) -> Vec<PathBuf> {
    let is_of_runtime = |dir: &PathBuf| {
        let name = dir.file_name().and_then(|name| name.to_str());
        dir == state || name.is_some_and(|name| name.starts_with("runtime-"))
    };
    below(state).into_iter().filter(is_of_runtime).flat_map(below).collect()
}

/// What is in a directory of state roots. One that cannot be read stands for what is in it: whoever looks there is told.
fn below(dir: impl AsRef<Path>) -> Vec<PathBuf> {
    let dir = dir.as_ref();
    children(dir).unwrap_or_else(|_| vec![dir.to_owned()])
}

/// What is in a directory; nothing is in one that does not exist.
pub(crate) fn children(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        other => other.with_context(|| dir.display().to_string())?,
    };
    let path = |entry: std::io::Result<std::fs::DirEntry>| Ok(entry?.path());
    let mut paths: Vec<PathBuf> =
        entries.map(path).collect::<Result<_>>().with_context(|| dir.display().to_string())?;
    paths.sort();
    Ok(paths)
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
