//! Parts of the host's tree, cloned and shown with the container's ids.
//!
//! Whether a file system can be shown so is only known by trying, and has to be known before the container is begun: a
//! container whose files cannot be mapped must not find them belonging to `nobody`. So the clones are made here, in the
//! runtime's own mount namespace but attached nowhere, and handed to the container's side as descriptors.
//!
//! Owners on disk stay what they are: what root of the container writes belongs to root on the volume, as it would without a
//! user namespace.

use crate::procfs;
use crate::resolve::overlay::{known, mount_id, real_path, unescape};
use crate::unmappable::Unmappable;
use anyhow::Result;
use casemate_kernel::mountinfo::{self, Mount};
use casemate_policy::Usual;
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
    /// The container's user namespace; `None`: the clones show ids as they are.
    pub(crate) userns: Option<&'a OwnedFd>,
    /// What the host's mounts become for the container, before anything is mounted there.
    pub(crate) propagation: u64,
}

/// The first Linux that maps tmpfs.
const TMPFS_SINCE: (u32, u32) = (6, 3);

/// How a source is to be shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wanted {
    /// With what is mounted below it.
    pub(crate) recursive: bool,
    /// It will be read-only.
    pub(crate) read_only: bool,
    /// What is mounted below it, too.
    pub(crate) all_read_only: bool,
    /// Pinned namespaces are mounted below it, which are left out.
    pub(crate) has_namespaces: bool,
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
    /// A second descriptor of the user namespace.
    pub(crate) fn userns(&self) -> Result<Option<OwnedFd>> {
        let copy = self.userns.map(|userns| userns.as_fd().try_clone_to_owned()).transpose();
        copy.map_err(|error| crate::files::io_error_text(&error))
    }

    /// Clone what lies at `source` (of path `shown`), with everything below it if that is wanted, but for pinned
    /// namespaces where there are some.
    ///
    /// # Errors
    /// [`Unmappable`] when a part cannot be shown with other ids; anything else is the clone itself.
    pub(crate) fn tree(
        &self,
        source: &OwnedFd,
        shown: &Path,
        Wanted { recursive, read_only, all_read_only, has_namespaces }: Wanted,
    ) -> Result<DetachedTree> {
        if !has_namespaces {
            let clone = mount::clone_tree(source, recursive)?;
            // In one call, or mount by mount, which tells what refuses.
            if self.map(&clone, recursive).is_ok() {
                return Ok(DetachedTree {
                    top: clone,
                    below: Vec::new(),
                    mapped: self.userns.is_some(),
                });
            }
        }
        let table = procfs::read_bytes(self.proc, "self/mountinfo")?;
        let id = mount_id(source)?;
        let line = known(&table, id)?;
        if !recursive {
            let (top, mapped) = self.single(source, shown, &line, read_only)?;
            return Ok(DetachedTree { top, below: Vec::new(), mapped });
        }
        let real = real_path(self.proc, source)?;
        let below = submounts(&table, id, &real)?;
        let (top, mapped) = self.single(source, shown, &line, read_only)?;
        let below = below.into_iter().filter(|line| line.fstype != "nsfs");
        let below = below.filter_map(|line| self.below(&line, &real, all_read_only).transpose());
        Ok(DetachedTree { top, below: below.collect::<Result<_>>()?, mapped })
    }

    fn map(&self, clone: &OwnedFd, recursive: bool) -> casemate_sys::Result<()> {
        let change = AttrChange {
            set: if self.userns.is_some() { attr::IDMAP } else { 0 },
            propagation: self.propagation,
            userns: self.userns.map(AsFd::as_fd),
            ..AttrChange::default()
        };
        mount::set_attr(clone, change, recursive)
    }

    /// One mount, without those below it, and whether it has the mapping.
    fn single(
        &self,
        source: &OwnedFd,
        shown: &Path,
        line: &Mount<'_>,
        read_only: bool,
    ) -> Result<(OwnedFd, bool)> {
        let clone = mount::clone_tree(source, false)?;
        let Err(error) = self.map(&clone, false) else { return Ok((clone, self.userns.is_some())) };
        if !matches!(error.errno(), Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) {
            return Err(error.into());
        }
        let exempt = KERNELS.contains(&line.fstype) || is_device(source)?;
        if exempt || (read_only && everybody_reads(source)?) {
            let change = AttrChange { propagation: self.propagation, ..AttrChange::default() };
            mount::set_attr(&clone, change, false)?;
            return Ok((clone, false));
        }
        if line.fstype == "tmpfs" && crate::decide::caller::kernel_release() < TMPFS_SINCE {
            let why = format!("{} lies on tmpfs, which Linux maps since 6.3", shown.display());
            let path = real_path(self.proc, source)?;
            let old_kernel = casemate_policy::usual(&path.to_string_lossy()) == Usual::Engine;
            return Err(Unmappable { why, old_kernel }.into());
        }
        let reason = if line.has("idmapped") {
            "is mounted with an id mapping already, and has it only once".to_owned()
        } else {
            format!("lies on {}, which cannot be shown with other ids", line.fstype)
        };
        Err(Unmappable::new(format!("{} {reason}", shown.display())).into())
    }

    /// A mount below the source; `None` when another one covers it.
    fn below(
        &self,
        line: &Mount<'_>,
        real: &Path,
        read_only: bool,
    ) -> Result<Option<(PathBuf, OwnedFd)>> {
        let point = unescape(line.point);
        let source = mount::open_path(&point, true)?;
        if mount_id(&source)? != line.id {
            return Ok(None);
        }
        let relative = point.strip_prefix(real)?.to_owned();
        Ok(Some((relative, self.single(&source, &point, line, read_only)?.0)))
    }
}

/// What everybody may read anyway, and the container cannot write, belongs to nobody there and takes nothing from anybody.
fn everybody_reads(fd: &OwnedFd) -> Result<bool> {
    const READ: u32 = 0o4;
    const SEARCH: u32 = 0o1;
    let mode = rustix::fs::fstat(fd).call(|| "fstat(source)")?.st_mode;
    let wanted = match FileType::from_raw_mode(mode) {
        FileType::Directory => READ | SEARCH,
        FileType::RegularFile => READ,
        _ => return Ok(false),
    };
    Ok(mode & wanted == wanted)
}

fn is_device(fd: &OwnedFd) -> Result<bool> {
    let mode = rustix::fs::fstat(fd).call(|| "fstat(source)")?.st_mode;
    Ok(matches!(FileType::from_raw_mode(mode), FileType::CharacterDevice | FileType::BlockDevice))
}

/// The mounts below directory `real` of mount `id`, outer ones first, which is the order of mountinfo.
fn submounts<'t>(table: &'t [u8], id: u64, real: &Path) -> Result<Vec<Mount<'t>>> {
    let mut inside = HashSet::from([id]);
    let mut found = Vec::new();
    for line in mountinfo::parse(table)? {
        let point = unescape(line.point);
        if inside.contains(&line.parent) && point != real && point.starts_with(real) {
            inside.insert(line.id);
            found.push(line);
        }
    }
    Ok(found)
}
