//! The root file system of a container that got its user namespace from us: shown with its ids.

use crate::resolve::overlay::{below, Below};
use crate::resolve::userns::idmap::{Mapper, Wanted};
use crate::unmappable::Unmappable;
use anyhow::{Context as _, Result};
use casemate_sandbox::plan::{DetachedTree, OverlayPlan};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use std::path::Path;

/// OVERLAYFS_SUPER_MAGIC (statfs(2)).
const OVERLAYFS: u64 = 0x794c_7630;

/// How the root is shown; all `None`: as it lies there.
#[derive(Debug, Default)]
pub(super) struct Shown {
    pub(super) idmap: Option<OwnedFd>,
    pub(super) overlay: Option<OverlayPlan>,
    pub(super) prepared: Option<DetachedTree>,
}

/// A plain directory is cloned; an overlay, which cannot be mapped, is put together again from its layers.
pub(super) fn shown(mapper: &Mapper<'_>, rootfs: &Path, writable: bool) -> Result<Shown> {
    let about = || format!("root.path {}", rootfs.display());
    let source = casemate_sys::mount::open_path(rootfs, false).with_context(about)?;
    let fs = rustix::fs::fstatfs(&source).call(|| "fstatfs()").with_context(about)?;
    if fs.f_type as u64 != OVERLAYFS {
        let tree = mapper
            .tree(&source, rootfs, Wanted { recursive: true, ..Wanted::default() })
            .with_context(about)?;
        return Ok(Shown { prepared: Some(tree), ..Shown::default() });
    }
    match below(mapper.proc, rootfs, writable)? {
        Below::Overlay(plan) => {
            let userns = mapper.userns()?;
            Ok(Shown { idmap: userns, overlay: Some(*plan), prepared: None })
        }
        Below::Unusable(why) => Err(Unmappable::new(format!("{}: {why}", rootfs.display())).into()),
        // It was replaced since we looked.
        Below::Other { fstype, .. } => {
            Err(Unmappable::new(format!("{} lies on {fstype}", rootfs.display())).into())
        }
    }
}
