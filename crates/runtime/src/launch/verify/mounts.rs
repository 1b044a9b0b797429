//! The container's mounts, compared with the plan.

use anyhow::{bail, Result};
use casemate_kernel::mountinfo::{self, Mount};
use casemate_kernel::MountTree;
use casemate_policy::{Control, ControlId, HardenedSpec, Mode as ControlMode};
use casemate_sandbox::plan::{ContainerPlan, DetachedTree, MountPlan, MountSource};
use casemate_sys::mount::attr;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The restrictions that are compared, with their names in mountinfo.
const RESTRICTIONS: [(u64, &str); 4] = [
    (attr::RDONLY, "ro"),
    (attr::NOSUID, "nosuid"),
    (attr::NODEV, "nodev"),
    (attr::NOEXEC, "noexec"),
];

/// File systems through which the kernel shows or changes the host.
const KERNEL_FILE_SYSTEMS: [&str; 17] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "devpts",
    "mqueue",
    "debugfs",
    "tracefs",
    "bpf",
    "securityfs",
    "configfs",
    "selinuxfs",
    "pstore",
    "efivarfs",
    "binfmt_misc",
    "fusectl",
];

/// What the mounts must look like.
#[derive(Clone, Debug, Default)]
pub(super) struct MountClaims {
    pub(super) root_readonly: bool,
    pub(super) root_mapped: bool,
    /// By destination; what is mounted or covered there later counts.
    pub(super) planned: HashMap<PathBuf, Planned>,
    /// The container has a whole procfs of its own on /proc.
    pub(super) own_proc: bool,
    /// No mount may propagate to the host.
    pub(super) no_shared: bool,
    /// Recursive bind mounts below which no file system of the kernel may appear.
    pub(super) volumes: Vec<PathBuf>,
}

/// What one mount must look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Planned {
    /// Attributes that it must have.
    pub(super) set: u64,
    /// It must have an id mapping.
    pub(super) mapped: bool,
    /// Which of the mounts it is; masks come last.
    pub(super) order: usize,
}

/// What is kept of what was seen.
pub(super) struct Found {
    pub(super) root_readonly: bool,
    pub(super) checked: usize,
}

impl MountClaims {
    pub(super) fn of(plan: &ContainerPlan) -> Self {
        if !plan.root.own_mounts {
            // A tree that is attached nowhere is in no mountinfo.
            return Self::default();
        }
        let claim = |(order, m): (usize, &MountPlan)| {
            let (set, mapped) = (m.set | m.recursive_set, is_mapped(&m.source));
            (m.destination.clone(), Planned { set, mapped, order })
        };
        let covered = plan.root.readonly_paths.iter().chain(&plan.root.masked);
        let read_only = Planned { set: attr::RDONLY, mapped: false, order: usize::MAX };
        let all = &plan.root.mounts;
        // Below a later mount is what that one brings along.
        let seen = |(at, m): &(usize, &MountPlan)| is_mounted(m) && !is_buried(m, &all[at + 1..]);
        let mounts = all.iter().enumerate().filter(seen).map(claim);
        Self {
            root_readonly: plan.root.readonly,
            root_mapped: plan.root.idmap.is_some() && plan.root.overlay.is_none()
                || plan.root.prepared.as_ref().is_some_and(|tree| tree.mapped),
            planned: mounts.chain(covered.map(|path| (path.clone(), read_only))).collect(),
            own_proc: plan.root.mounts.iter().any(is_whole_procfs),
            no_shared: false,
            volumes: Vec::new(),
        }
    }

    /// What the container's controls demand of its mounts beyond the plan.
    pub(super) fn demand(&mut self, plan: &ContainerPlan, spec: &HardenedSpec) {
        let enforced = |rule| plan.root.own_mounts && spec.mode(rule) == ControlMode::Enforce;
        let granted = |name: &str| spec.overrides().allows(name).is_some();
        self.no_shared = enforced(ControlId::SharedPropagation) && !granted("mounts.shared");
        // Who was granted a place of the host was granted what is mounted in it.
        let places =
            Control::find(ControlId::MountSources.as_str()).map_or(&[][..], |row| row.allow);
        if enforced(ControlId::MountSources) && !places.iter().any(|name| granted(name)) {
            let recursive =
                |m: &&MountPlan| matches!(m.source, MountSource::Bind { recursive: true, .. });
            let bound = plan.root.mounts.iter().filter(recursive);
            self.volumes = bound.map(|m| m.destination.clone()).collect();
        }
    }

    /// True when there is something to be compared.
    pub(super) fn are_made(&self) -> bool {
        !self.planned.is_empty() || self.root_readonly || self.no_shared
    }

    /// `mounts`: the process's.
    pub(super) fn verify(&self, proc: &OwnedFd, mounts: &[Mount<'_>]) -> Result<Found> {
        self.verify_kinds(mounts)?;
        // What was mounted later at a place covers what was there before.
        let uppermost: BTreeMap<&[u8], &Mount<'_>> =
            mounts.iter().map(|mount| (mount.point, mount)).collect();
        let root = uppermost.get(&b"/"[..]).copied();
        let root_readonly = root.is_some_and(|root| root.has("ro"));
        if self.root_readonly && !root_readonly {
            bail!("the root file system is not read-only ({})", root.map_or("", |r| r.options));
        }
        if self.root_mapped && !root.is_some_and(|root| root.has("idmapped")) {
            bail!("the root file system has no id mapping");
        }
        let tree = MountTree::new(mounts);
        let mut checked = 0;
        // A destination that was reached through a link of the image stands under another name; masks of what the
        // kernel does not have are not there.
        let elsewhere = self.planned.iter().filter(|(path, planned)| {
            planned.order != usize::MAX && !uppermost.contains_key(&escaped(path)[..])
        });
        let last_elsewhere = elsewhere.map(|(_, planned)| planned.order).max();
        for (path, planned) in &self.planned {
            match uppermost.get(&escaped(path)[..]) {
                Some(top) => {
                    // A later mount that stands under another name may be the one on top.
                    let may_be_covered = last_elsewhere.is_some_and(|last| last > planned.order);
                    let mut here = mounts.iter().filter(|m| may_be_covered && m.point == top.point);
                    let meant = here.find(|mount| compare(path, *planned, mount).is_ok());
                    compare(path, *planned, meant.unwrap_or(top))?;
                    checked += 1;
                }
                None if self.own_proc && is_kernel_file(proc, path) => {
                    let seen = tree.visible(&path.to_string_lossy());
                    if seen.is_none_or(|mount| mount.fstype == "proc") {
                        bail!("{} is not covered", path.display());
                    }
                }
                None => {}
            }
        }
        Ok(Found { root_readonly, checked })
    }

    /// Nothing propagates to the host, and no volume brings a file system of the kernel along: a recursive bind mount shows
    /// what was mounted below its source, whatever the source itself is.
    fn verify_kinds(&self, mounts: &[Mount<'_>]) -> Result<()> {
        if let Some(mount) = mounts.iter().find(|mount| self.no_shared && mount.shared.is_some()) {
            let point = shown(mount);
            bail!("mount {point} propagates to the host (rule mounts.shared-propagation)");
        }
        let of_kernel = || mounts.iter().filter(|m| KERNEL_FILE_SYSTEMS.contains(&m.fstype));
        for volume in self.volumes.iter().map(|path| escaped(path)) {
            if of_kernel().any(|mount| *mount.point == *volume) {
                // Judged by the rules, as its own source is one.
                continue;
            }
            let below = |point: &[u8]| {
                point.strip_prefix(&volume[..]).is_some_and(|rest| rest.starts_with(b"/"))
            };
            let planned = |point: &[u8]| self.planned.keys().any(|path| *escaped(path) == *point);
            if let Some(mount) = of_kernel().find(|m| below(m.point) && !planned(m.point)) {
                bail!(
                    "the bind mount {} brings the host's {} along at {} (rule mounts.sources); \
                     bind it without what is mounted below (option bind), or allow mounts.kernel-fs",
                    String::from_utf8_lossy(&volume),
                    mount.fstype,
                    shown(mount)
                );
            }
        }
        Ok(())
    }
}

fn compare(path: &Path, planned: Planned, mount: &Mount<'_>) -> Result<()> {
    for (bit, name) in RESTRICTIONS {
        if planned.set & bit != 0 && !mount.has(name) {
            bail!("mount {} is not {name} ({})", path.display(), mount.options);
        }
    }
    if planned.mapped && !mount.has("idmapped") {
        bail!("mount {} has no id mapping ({})", path.display(), mount.options);
    }
    Ok(())
}

fn shown(mount: &Mount<'_>) -> String {
    String::from_utf8_lossy(mount.point).into_owned()
}

fn escaped(path: &Path) -> Cow<'_, [u8]> {
    mountinfo::escape(path.as_os_str().as_bytes())
}

fn is_mapped(source: &MountSource) -> bool {
    let MountSource::Bind { idmap, prepared, .. } = source else { return false };
    idmap.is_some() || matches!(prepared, Some(DetachedTree { mapped: true, .. }))
}

/// A link that is copied is no mount.
fn is_mounted(mount: &MountPlan) -> bool {
    !matches!(mount.source, MountSource::Bind { copy_symlink: true, .. })
}

/// Whether one of the later mounts lies above the destination and hides it, such as the host's /dev over /dev/pts.
fn is_buried(mount: &MountPlan, later: &[MountPlan]) -> bool {
    let place = &mount.destination;
    later
        .iter()
        .filter(|above| is_mounted(above))
        .any(|above| place != &above.destination && place.starts_with(&above.destination))
}

/// A procfs with everything in it, mounted on /proc.
fn is_whole_procfs(mount: &MountPlan) -> bool {
    let MountSource::Filesystem { fstype, options, .. } = &mount.source else { return false };
    let partial = options.iter().any(|(key, _)| key == "subset");
    mount.destination == Path::new("/proc") && fstype == "proc" && !partial
}

/// Whether every whole procfs of this kernel has this path: true for what lies directly in /proc and is no process and no
/// link. What is covered here, in our own /proc, cannot be told.
fn is_kernel_file(proc: &OwnedFd, path: &Path) -> bool {
    let Ok(name) = path.strip_prefix("/proc") else { return false };
    let text = name.to_string_lossy();
    if text.is_empty() || text.contains('/') || text.starts_with(|c: char| c.is_ascii_digit()) {
        return false;
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(proc, name, flags, Mode::empty(), resolve) {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => false,
        // One that cannot be looked for is taken to be there.
        Ok(_) | Err(_) => true,
    }
}
