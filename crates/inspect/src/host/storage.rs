//! What the file systems under the engines' storage can do: overlays, and mounts with shifted ids.

use super::check::{Check, Status};
use super::files::Host;
use casemate_kernel::mountinfo;
use casemate_kernel::{HostId, InnerId};
use casemate_policy::spec::IdMapping;
use casemate_runtime::ids::{mapping_namespace, IdMaps};
use casemate_sys::errno_text;
use casemate_sys::mount::{self, attr, AttrChange, FsContext};
use rustix::io::Errno;
use std::path::Path;

/// Where engines keep images and volumes.
const STORES: [(&str, &str); 5] = [
    ("podman", "/var/lib/containers"),
    ("docker", "/var/lib/docker"),
    ("containerd", "/var/lib/containerd"),
    ("kubelet", "/var/lib/kubelet"),
    ("host", "/var/lib"),
];

const IDMAP: &str = "images and volumes keep their owners while root of the container is nobody";

pub(super) fn checks(host: &Host) -> Vec<Check> {
    let mut checks = vec![overlay(host)];
    if !host.is_running() {
        return checks;
    }
    if !is_privileged() {
        checks.push(
            Check::new("storage.idmap", Status::Info, "only root can tell")
                .hint("run this as root"),
        );
        return checks;
    }
    let mut seen = Vec::new();
    for (name, path) in STORES {
        let device = match rustix::fs::stat(path) {
            Ok(stat) => stat.st_dev,
            Err(Errno::NOENT | Errno::NOTDIR) => continue,
            Err(error) => {
                let found = format!("{path} cannot be looked at: {}", errno_text(error));
                checks.push(Check::new(format!("storage.idmap.{name}"), Status::Warning, found));
                continue;
            }
        };
        if !seen.contains(&device) {
            seen.push(device);
            checks.push(idmap(name, Path::new(path)));
        }
    }
    checks
}

fn is_privileged() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    // capget(2) of the own process does not fail; without an answer less is tried.
    casemate_sys::caps::get().is_ok_and(|sets| sets.effective & CAP_SYS_ADMIN != 0)
}

fn overlay(host: &Host) -> Check {
    let listed = host.read("/proc/filesystems").is_some_and(|text| {
        text.lines().any(|line| line.split_whitespace().next_back() == Some("overlay"))
    });
    // Asking for it loads the module, which the first container would do too.
    let asked = (!listed && host.is_running()).then(|| FsContext::open("overlay"));
    let check = match asked {
        _ if listed => Check::new("storage.overlay", Status::Ok, "available"),
        Some(Ok(_)) => Check::new("storage.overlay", Status::Ok, "available"),
        Some(Err(error)) if error.errno() != Errno::NODEV => {
            let found = format!("not listed, and the check failed: {error}");
            Check::new("storage.overlay", Status::Warning, found)
        }
        _ => Check::new("storage.overlay", Status::Warning, "the kernel has no overlay"),
    };
    check.needed_for("images under podman, docker and containerd").fix("modprobe overlay")
}

/// Tries it on a detached copy of the mount, which nobody sees and which vanishes with its descriptor.
fn idmap(name: &str, path: &Path) -> Check {
    let id = format!("storage.idmap.{name}");
    let kind = file_system(path);
    let check = match try_idmap(path) {
        Ok(()) => Check::new(id, Status::Ok, format!("{} ({kind})", path.display())),
        Err(error) => {
            let found = format!("{} ({kind}) cannot: {error:#}", path.display());
            Check::new(id, Status::Warning, found)
        }
    };
    check.needed_for(IDMAP).fix("ext4, xfs, btrfs, or a newer kernel for overlay, tmpfs and others")
}

fn try_idmap(path: &Path) -> anyhow::Result<()> {
    let proc = casemate_runtime::procfs::open()?;
    let range = IdMapping { container_id: InnerId(0), host_id: HostId(1_000_000_000), size: 65536 };
    let userns = mapping_namespace(&proc, &IdMaps { uid: vec![range], gid: vec![range] })?;
    let tree = mount::clone_tree(mount::open_path(path, true)?, false)?;
    let change = AttrChange {
        set: attr::IDMAP,
        userns: Some(rustix::fd::AsFd::as_fd(&userns)),
        ..AttrChange::default()
    };
    Ok(mount::set_attr(&tree, change, false)?)
}

/// The type as /proc/self/mountinfo has it, of the mount that holds `path`; or why it is not known.
fn file_system(path: &Path) -> String {
    holder(path).unwrap_or_else(|error| format!("unknown: {error:#}"))
}

fn holder(path: &Path) -> anyhow::Result<String> {
    let proc = casemate_runtime::procfs::open()?;
    let table = casemate_runtime::procfs::read_bytes(&proc, "self/mountinfo")?;
    let mounts = mountinfo::parse(&table)?;
    let tree = casemate_kernel::MountTree::new(&mounts);
    let holder = tree.visible(&path.to_string_lossy());
    let holder = holder.ok_or_else(|| anyhow::anyhow!("no mount at /"))?;
    Ok(holder.fstype.to_owned())
}
