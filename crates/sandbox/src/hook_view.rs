//! What a createContainer hook finds of the host as root of the container's user namespace, who is nobody there.
//!
//! It looks for two things by their paths: the bundle's configuration, and the root file system that this one names. (Toolkits
//! for GPUs read the one and leave links and the linker's cache in the other.) Engines keep both below directories that only
//! root may search. So such a directory is covered by an empty one with nothing in it but these two, in a mount namespace of
//! the hook's own. What else is in there it could not have reached anyway.

use crate::failure::Step;
use crate::StepResult;
use casemate_sys::mount::{self, attr, propagation, AttrChange, FsContext};
use casemate_sys::ns::{self, flag};
use casemate_sys::Context;
use rustix::fs::Mode;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Bounds of an empty directory: it holds a configuration, which may be some megabytes.
const EMPTY: [(&str, &str); 3] = [("mode", "755"), ("size", "32m"), ("nr_inodes", "1k")];

/// Others may search a directory.
const SEARCH: u32 = 0o1;

/// Opens the ways to the root file system and to the configuration of the bundle, where they are closed, for this process and
/// its program.
pub(crate) fn open_ways(rootfs: &Path, bundle: &Path) -> StepResult<()> {
    let config = bundle.join("config.json");
    if first_closed(rootfs)?.is_none() && first_closed(&config)?.is_none() {
        return Ok(());
    }
    let text = match std::fs::read(&config) {
        // Another file that the caller names; a hook finds it there as little as with any runtime.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        other => Some(other.call(|| format!("read({config:?})"))?),
    };
    let tree = mount::clone_tree(mount::open_path(rootfs, false)?, true)?;
    ns::unshare(flag::MNT).step("hook", || "mounts of its own")?;
    // What covers a directory here must cover it nowhere else.
    let private = AttrChange { propagation: propagation::PRIVATE, ..AttrChange::default() };
    mount::set_attr(mount::open_path(Path::new("/"), false)?, private, true)?;
    let umask = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    if let Some(closed) = first_closed(rootfs)? {
        cover(&closed)?;
        make_dirs(rootfs)?;
        mount::attach(&tree, mount::open_path(rootfs, false)?)?;
    }
    if let Some(text) = text {
        show(&config, &text)?;
    }
    rustix::process::umask(umask);
    Ok(())
}

/// The file again, if the way to it is closed, or was covered.
fn show(config: &Path, text: &[u8]) -> StepResult<()> {
    if let Some(closed) = first_closed(config)? {
        cover(&closed)?;
    }
    if let Some(bundle) = config.parent() {
        make_dirs(bundle)?;
    }
    let mut new = std::fs::OpenOptions::new();
    match new.write(true).create_new(true).mode(0o444).open(config) {
        // It lies where it was.
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        other => other
            .and_then(|mut file| file.write_all(text))
            .call(|| format!("write({config:?})"))
            .map_err(Into::into),
    }
}

/// The first directory on the way to `path` that others may not search.
fn first_closed(path: &Path) -> StepResult<Option<PathBuf>> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    for dir in above {
        match std::fs::metadata(dir) {
            Ok(found) if found.mode() & SEARCH == 0 => return Ok(Some(dir.to_owned())),
            Ok(_) => {}
            // Covered, and not made again yet.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).call(|| format!("stat({dir:?})")).map_err(Into::into),
        }
    }
    Ok(None)
}

fn cover(dir: &Path) -> StepResult<()> {
    let empty = FsContext::open("tmpfs")?;
    for (key, value) in EMPTY {
        empty.set(key, value)?;
    }
    let empty = empty.mount(attr::NOSUID | attr::NODEV | attr::NOEXEC)?;
    Ok(mount::attach(empty, mount::open_path(dir, false)?)?)
}

fn make_dirs(path: &Path) -> StepResult<()> {
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
    Ok(made.call(|| format!("mkdir({path:?})"))?)
}
