//! Parts of the host's tree, cloned and shown with the container's ids.
//!
//! Whether a file system can be shown so is only known by trying, and has to be known before the container is begun: a
//! container whose files cannot be mapped must not find them belonging to `nobody`. So the clones are made here, in the
//! runtime's own mount namespace but attached nowhere, and handed to the container's side as descriptors.
//!
//! Owners on disk stay what they are: what root of the container writes belongs to root on the volume, as it would without a
//! user namespace.

use super::Unmappable;
use crate::overlay::{find, mount_id, real_path, unescape, Line};
use crate::procfs;
use anyhow::{Context as _, Result};
use casemate_sandbox::plan::DetachedTree;
use casemate_sys::mount::{self, attr, AttrChange};
use casemate_sys::Context as _;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::FileType;
use rustix::io::Errno;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Makes the clones of one container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapper<'a> {
    /// The runtime's /proc.
    pub(crate) proc: &'a OwnedFd,
    /// The container's user namespace.
    pub(crate) userns: &'a OwnedFd,
    /// What the host's mounts become for the container, before anything is mounted there.
    pub(crate) propagation: u64,
}

/// File systems whose files belong to the kernel or to who made them in it: an owner that the container does not know takes
/// nothing from anybody, and none of them can be mapped.
const KERNELS: [&str; 20] = [
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "securityfs",
    "sysfs",
    "tracefs",
];

impl Mapper<'_> {
    /// Clone what lies at `source` (of path `shown`), with everything below it if `recursive`.
    ///
    /// # Errors
    /// [`Unmappable`] when a part cannot be shown with other ids; anything else is the clone itself.
    pub(crate) fn tree(
        &self,
        source: &OwnedFd,
        shown: &Path,
        recursive: bool,
    ) -> Result<DetachedTree> {
        let clone = mount::clone_tree(source, recursive)?;
        if self.map(&clone, recursive).is_ok() {
            return Ok(DetachedTree { top: clone, below: Vec::new(), mapped: true });
        }
        drop(clone);
        let table = procfs::read(self.proc, "self/mountinfo")?;
        let id = mount_id(source)?;
        let line = find(&table, id).with_context(|| format!("mount {id} is unknown"))?;
        if !recursive {
            let (top, mapped) = self.single(source, shown, &line)?;
            return Ok(DetachedTree { top, below: Vec::new(), mapped });
        }
        let real = real_path(self.proc, source)?;
        let below = submounts(&table, id, &real);
        let (top, mapped) = self.single(source, shown, &line)?;
        let below = below.into_iter().filter_map(|line| self.below(&line, &real).transpose());
        Ok(DetachedTree { top, below: below.collect::<Result<_>>()?, mapped })
    }

    fn map(&self, clone: &OwnedFd, recursive: bool) -> casemate_sys::Result<()> {
        let change = AttrChange {
            set: attr::IDMAP,
            propagation: self.propagation,
            userns: Some(self.userns.as_fd()),
            ..AttrChange::default()
        };
        mount::set_attr(clone, change, recursive)
    }

    /// One mount, without those below it, and whether it has the mapping.
    fn single(&self, source: &OwnedFd, shown: &Path, line: &Line<'_>) -> Result<(OwnedFd, bool)> {
        let clone = mount::clone_tree(source, false)?;
        let Err(error) = self.map(&clone, false) else { return Ok((clone, true)) };
        if !matches!(error.errno(), Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) {
            return Err(error.into());
        }
        if KERNELS.contains(&line.fstype) || is_device(source)? {
            let change = AttrChange { propagation: self.propagation, ..AttrChange::default() };
            mount::set_attr(&clone, change, false)?;
            return Ok((clone, false));
        }
        let reason = if line.has("idmapped") {
            "is mounted with an id mapping already, and has it only once".to_owned()
        } else {
            format!("lies on {}, which cannot be shown with other ids", line.fstype)
        };
        Err(Unmappable(format!("{} {reason}", shown.display())).into())
    }

    /// A mount below the source; `None` when another one covers it.
    fn below(&self, line: &Line<'_>, real: &Path) -> Result<Option<(PathBuf, OwnedFd)>> {
        let point = line.mount_point();
        let source = mount::open_path(&point, true)?;
        if mount_id(&source)? != line.id {
            return Ok(None);
        }
        let relative = point.strip_prefix(real)?.to_owned();
        Ok(Some((relative, self.single(&source, &point, line)?.0)))
    }
}

fn is_device(fd: &OwnedFd) -> Result<bool> {
    let mode = rustix::fs::fstat(fd).call(|| "fstat(source)")?.st_mode;
    Ok(matches!(FileType::from_raw_mode(mode), FileType::CharacterDevice | FileType::BlockDevice))
}

/// The mounts below directory `real` of mount `id`, outer ones first, which is the order of mountinfo.
fn submounts<'t>(table: &'t str, id: u64, real: &Path) -> Vec<Line<'t>> {
    let mut inside = HashSet::from([id]);
    let mut found = Vec::new();
    for line in table.lines().filter_map(Line::parse) {
        let point = unescape(line.point);
        if inside.contains(&line.parent) && point != real && point.starts_with(real) {
            inside.insert(line.id);
            found.push(line);
        }
    }
    found
}
