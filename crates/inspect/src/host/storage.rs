//! What the file systems under the engines' storage can do: overlays, and mounts with shifted ids.

use super::{Check, Host, Status};
use casemate_kernel::mountinfo;
use casemate_policy::spec::IdMapping;
use casemate_runtime::ids::{mapping_namespace, IdMaps};
use casemate_sys::mount::{self, attr, AttrChange, FsContext};
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
    if !host.is_live() {
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
        let Ok(device) = rustix::fs::stat(path).map(|stat| stat.st_dev) else { continue };
        if !seen.contains(&device) {
            seen.push(device);
            checks.push(idmap(name, Path::new(path)));
        }
    }
    checks
}

fn is_privileged() -> bool {
    const CAP_SYS_ADMIN: u64 = 1 << 21;
    casemate_sys::caps::get().is_ok_and(|sets| sets.effective & CAP_SYS_ADMIN != 0)
}

fn overlay(host: &Host) -> Check {
    let listed = host.read("/proc/filesystems").is_some_and(|text| {
        text.lines().any(|line| line.split_whitespace().next_back() == Some("overlay"))
    });
    // Asking for it loads the module, which the first container would do too.
    let found = listed || (host.is_live() && FsContext::open("overlay").is_ok());
    let check = match found {
        true => Check::new("storage.overlay", Status::Ok, "available"),
        false => Check::new("storage.overlay", Status::Warning, "the kernel has no overlay"),
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
    let range = IdMapping { container_id: 0, host_id: 1_000_000_000, size: 65536 };
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
    let tree = casemate_policy::floor::Tree::new(&mounts);
    let holder = tree.visible(&path.to_string_lossy());
    let holder = holder.ok_or_else(|| anyhow::anyhow!("no mount at /"))?;
    Ok(holder.fstype.to_owned())
}
