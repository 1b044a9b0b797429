//! Bind mounts of merged overlays.

use crate::resolve::overlay::{below, Below};
use crate::resolve::userns::idmap::{Mapper, Wanted};
use crate::unmappable::Unmappable;
use anyhow::{Context as _, Result};
use casemate_kernel::magic;
use casemate_policy::mount_options::attr;
use casemate_policy::{FileFact, FileKind};
use casemate_sandbox::plan::MountSource;
use std::path::Path;

/// A merged overlay that is bound, as engines do with images: put together again from its layers, as a root is. `None`: it
/// is none, or one with other mounts below it.
pub(super) fn image(
    mapper: &Mapper<'_>,
    path: &Path,
    file: Option<&FileFact>,
    wanted: Wanted,
) -> Result<Option<MountSource>> {
    let is_overlay = file.is_some_and(|file| {
        let alone = !wanted.recursive || file.below.is_empty();
        file.fs_type == magic::OVERLAY && file.kind == FileKind::Directory && alone
    });
    if !is_overlay || mapper.userns.is_none() {
        return Ok(None);
    }
    let about = || format!("source {}", path.display());
    let found = match below(mapper.proc, path, !wanted.read_only).with_context(about)? {
        // One without an upper directory cannot be written, whatever the mount says.
        Below::Unusable(_) if !wanted.read_only => {
            let mut found = below(mapper.proc, path, false).with_context(about)?;
            if let Below::Overlay(plan) = &mut found {
                plan.attrs |= attr::RDONLY;
            }
            found
        }
        found => found,
    };
    match found {
        Below::Overlay(plan) => Ok(Some(MountSource::Overlay { plan, userns: mapper.userns()? })),
        Below::Unusable(why) => Err(Unmappable::new(format!("{}: {why}", path.display())).into()),
        Below::Other { .. } => Ok(None),
    }
}
