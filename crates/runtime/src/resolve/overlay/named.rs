//! An overlay whose layers a configuration names.

use super::{below, open_dir, Below, Layers};
use crate::procfs;
use anyhow::{Context as _, Result};
use casemate_policy::LayerRole;
use casemate_sandbox::plan::{Layer, OverlayPlan, Upper};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// A layer that a configuration names: what it is for, where it is, and the device and inode that were judged.
pub(crate) type Named = (LayerRole, PathBuf, Option<(u64, u64)>);

/// An overlay that a configuration mounts.
///
/// # Errors
/// A layer that is not what was judged, or that cannot be shown with other ids if it has to be.
pub(crate) fn from_layers(
    proc: &OwnedFd,
    named: &[Named],
    mut options: Vec<(String, Option<String>)>,
    mapped: bool,
) -> Result<OverlayPlan> {
    let table = procfs::read_bytes(proc, "self/mountinfo")?;
    let mut layers = Layers { proc, table: &table, bases: Vec::new(), mapped };
    let mut opened = Vec::new();
    for (role, path, judged) in named {
        if mapped && *role == LayerRole::Lower {
            if let Some((parts, keep)) = parts(proc, path, *judged)? {
                let new = |(key, _): &(String, _)| !options.iter().any(|(known, _)| known == key);
                let keep: Vec<_> = keep.into_iter().filter(new).collect();
                options.extend(keep);
                for part in parts {
                    opened.push((LayerRole::Lower, layers.open(&part)?));
                }
                continue;
            }
        }
        let layer = layers.open(path)?;
        if judged.is_some_and(|judged| judged != layer.identity) {
            anyhow::bail!("layer {}: changed while it was looked at", path.display());
        }
        opened.push((*role, layer));
    }
    let of = |role: LayerRole| {
        let found = opened.iter().filter(move |(own, _)| *own == role);
        found.map(|(_, layer)| layers.layer(layer)).collect::<Result<Vec<Layer>>>()
    };
    let upper = match (of(LayerRole::Upper)?.pop(), of(LayerRole::Work)?.pop()) {
        (Some(upper), Some(work)) => Upper::Given { upper, work },
        (None, None) => Upper::Nothing,
        _ => anyhow::bail!("upperdir and workdir go together"),
    };
    Ok(OverlayPlan {
        lowers: of(LayerRole::Lower)?,
        data: of(LayerRole::Data)?,
        upper,
        bases: layers.bases.iter().map(|base| base.path.clone()).collect(),
        options,
        attrs: 0,
        inside: PathBuf::new(),
    })
}

/// Directories, uppermost first, and options.
type Parts = (Vec<PathBuf>, Vec<(String, Option<String>)>);

/// The layers of a layer that is an overlay itself, as podman mounts images with, and the options by which they are to be
/// read. `None`: it is none.
fn parts(proc: &OwnedFd, path: &Path, judged: Option<(u64, u64)>) -> Result<Option<Parts>> {
    let fd = open_dir(path)?;
    let st = rustix::fs::fstat(&fd).call(|| "fstat(layer)")?;
    if judged.is_some_and(|judged| judged != (st.st_dev, st.st_ino)) {
        anyhow::bail!("layer {}: changed while it was looked at", path.display());
    }
    let plan = match below(proc, path, false)? {
        Below::Other { .. } => return Ok(None),
        Below::Unusable(why) => anyhow::bail!("layer {}: {why}", path.display()),
        Below::Overlay(plan) => plan,
    };
    let mut found = Vec::new();
    for layer in &plan.lowers {
        let base = plan.bases.get(layer.base).context("a layer without a base")?;
        let top = base.join(&layer.path);
        let end = part(&top, &plan.inside, &mut found)?;
        if end {
            break;
        }
    }
    Ok(Some((found, plan.options)))
}

/// Adds `inside` of one layer, if it is there; true when this layer hides those below it: by a file in the place of a
/// directory (a whiteout is one), or by an opaque directory (Documentation/filesystems/overlayfs.rst).
fn part(top: &Path, inside: &Path, found: &mut Vec<PathBuf>) -> Result<bool> {
    let mut path = top.to_owned();
    let mut opaque = false;
    for name in inside.components() {
        path.push(name);
        let st = match rustix::fs::lstat(&path) {
            Ok(st) => st,
            Err(Errno::NOENT) => return Ok(opaque),
            Err(error) => return Err(error).call(|| format!("lstat(\"{}\")", path.display()))?,
        };
        if FileType::from_raw_mode(st.st_mode) != FileType::Directory {
            return Ok(true);
        }
        opaque |= is_opaque(&path)?;
    }
    found.push(path);
    Ok(opaque)
}

fn is_opaque(dir: &Path) -> Result<bool> {
    for name in ["trusted.overlay.opaque", "user.overlay.opaque"] {
        let mut value = [0_u8; 1];
        match rustix::fs::lgetxattr(dir, name, &mut value[..]) {
            Ok(_) if value == *b"y" => return Ok(true),
            Ok(_) | Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => {}
            Err(error) => {
                return Err(error).call(|| format!("lgetxattr(\"{}\")", dir.display()))?
            }
        }
    }
    Ok(false)
}
