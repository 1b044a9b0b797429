//! Whether a kubelet of this node makes its pods with docker, which does not say so of a container.

use anyhow::{anyhow, Result};
use casemate_sys::errno_text;
use rustix::io::Errno;

/// What cri-dockerd has where it runs, by itself and within k3s, and what the dockershim of old kubelets had. All of it is below directories
/// that only root writes.
const SIGNS: [&str; 5] = [
    "/run/cri-dockerd.sock",
    "/var/lib/cri-dockerd",
    "/run/k3s/cri-dockerd",
    "/run/dockershim.sock",
    "/var/lib/dockershim",
];

/// Whether there is anything of cri-dockerd's.
///
/// # Errors
/// It cannot be looked for.
pub(super) fn has_cri_dockerd() -> Result<bool> {
    for path in SIGNS {
        match rustix::fs::lstat(path) {
            Ok(_) => return Ok(true),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(anyhow!("stat {path}: {}", errno_text(error))),
        }
    }
    Ok(false)
}
