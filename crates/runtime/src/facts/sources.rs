//! Where bind mounts lead: each source is opened once, by the same rules as for mounting, and described by device, inode
//! and file system, so that no other name of a file gets past the rules. What is mounted later is compared with this.

use crate::bundle::Bundle;
use casemate_policy::mount_options::MountPlanFlags;
use casemate_policy::spec::{Mount, Spec};
use casemate_policy::{
    FileFact, FileKind, HostFacts, Place, PlaceFact, Reach, SourceFact, ENGINE_DATA, PLACES,
};
use casemate_sys::{errno_text, mount};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Stat};
use std::collections::BTreeMap;
use std::path::Path;

/// The sources of all bind mounts, by the number of the mount.
pub(super) fn of(spec: &Spec, bundle: &Bundle, proc: &OwnedFd) -> BTreeMap<usize, SourceFact> {
    let bound = spec.mounts.iter().enumerate().filter(|(_, mount)| mount.is_bind());
    bound.filter_map(|(index, mount)| Some((index, one(mount, bundle, proc)?))).collect()
}

/// The root file system, where it can be a place of the host under another name: an overlay that is not the host's own root
/// is somebody's work. What is missing is told when it is mounted.
pub(super) fn of_root(spec: &Spec, bundle: &Bundle, proc: &OwnedFd) -> Option<FileFact> {
    const OVERLAY: u64 = 0x794c_7630;
    let fd = mount::open_path(&bundle.resolve(&spec.root.path), false).ok()?;
    let file = describe(&fd, proc).ok()?;
    let own = || rustix::fs::stat("/").is_ok_and(|host| host.st_dev != file.device);
    (file.fs_type != OVERLAY || !own()).then_some(file)
}

fn one(mount: &Mount, bundle: &Bundle, proc: &OwnedFd) -> Option<SourceFact> {
    let path = bundle.resolve(mount.source.as_deref()?);
    let flags = MountPlanFlags::parse(&mount.options).ok()?;
    let opened = mount::open_path(&path, flags.source_nofollow || flags.copy_symlink);
    Some(match opened.map_err(|e| errno_text(e.errno())).and_then(|fd| describe(&fd, proc)) {
        Ok(file) => SourceFact::Found(file),
        Err(reason) => SourceFact::Missing(reason),
    })
}

/// What an open file is.
fn describe(fd: &OwnedFd, proc: &OwnedFd) -> Result<FileFact, String> {
    let stat = rustix::fs::fstat(fd).map_err(errno_text)?;
    let fs = rustix::fs::fstatfs(fd).map_err(errno_text)?;
    Ok(FileFact { path: name(fd, proc)?, fs_type: fs.f_type as u64, ..from_stat(&stat) })
}

/// The path that the kernel knows an open file by.
fn name(fd: &OwnedFd, proc: &OwnedFd) -> Result<String, String> {
    let link = format!("self/fd/{}", fd.as_raw_fd());
    let path = rustix::fs::readlinkat(proc, link, Vec::new()).map_err(errno_text)?;
    Ok(path.to_string_lossy().into_owned())
}

fn from_stat(stat: &Stat) -> FileFact {
    let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    FileFact {
        path: String::new(),
        kind: match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Link,
            FileType::Socket => FileKind::Socket,
            FileType::Fifo => FileKind::Fifo,
            FileType::CharacterDevice => FileKind::Char(major, minor),
            FileType::BlockDevice => FileKind::Block(major, minor),
            _ => FileKind::Regular,
        },
        device: stat.st_dev,
        inode: stat.st_ino,
        fs_type: 0,
    }
}

/// The places of the policy that this host has, and the state directory. Engines keep root file systems among their data: where
/// nothing is bound, such places are not asked for.
pub(super) fn places(facts: &HostFacts, proc: &OwnedFd, state_root: &Path) -> Vec<PlaceFact> {
    let fact = |path: &Path, class: &str, reach: Reach| {
        Some(PlaceFact { class: class.to_owned(), reach, file: place(path, proc)? })
    };
    let root_only = facts.sources.is_empty();
    let wanted = PLACES.iter().filter(|place| !root_only || place.class != ENGINE_DATA);
    let known =
        wanted.filter_map(|Place { path, class, reach }| fact(Path::new(path), class, *reach));
    let own = || fact(state_root, ENGINE_DATA, Reach::Below);
    known.chain(if root_only { None } else { own() }).collect()
}

/// Most places are no links: one call each.
fn place(path: &Path, proc: &OwnedFd) -> Option<FileFact> {
    let stat = rustix::fs::statat(rustix::fs::CWD, path, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink {
        return describe(&mount::open_path(path, false).ok()?, proc).ok();
    }
    Some(FileFact { path: path.to_string_lossy().into_owned(), ..from_stat(&stat) })
}
