//! Device nodes: made with mknod where we may, else bound from the host.

use crate::failure::Step;
use crate::plan::{DeviceKind, DeviceNode};
use crate::{Failure, StepResult};
use casemate_sys::mount::{self, attr, AttrChange};
use casemate_sys::path::{ensure_dir, ensure_file, split, Links};
use casemate_sys::Context;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Gid, Mode, Stat, Uid};
use rustix::io::Errno;

/// Make all nodes below `root`. `owner`: who new files belong to.
pub(super) fn make_all(
    root: &OwnedFd,
    devices: &[DeviceNode],
    owner: (u32, u32),
) -> StepResult<()> {
    let mut last: Option<(&std::path::Path, OwnedFd)> = None;
    for device in devices {
        let about = || format!("linux.devices {}", device.path.display());
        let (parent, name) = split(&device.path)
            .ok_or_else(|| Failure::new("devices", format!("{}: is the root", about())))?;
        // Most nodes share one directory: /dev.
        if last.as_ref().is_none_or(|(path, _)| *path != parent) {
            // No links on the way: an image whose /dev is a link must not have nodes made elsewhere (CVE-2026-41579).
            let dir = ensure_dir(root, parent, Mode::from_raw_mode(0o755), Links::Refused)
                .step("devices", about)?;
            last = Some((parent, dir));
        }
        if let Some((_, dir)) = &last {
            make(root, dir, name, device, owner).step("devices", about)?;
        }
    }
    Ok(())
}

fn file_type(kind: DeviceKind) -> FileType {
    match kind {
        DeviceKind::Char => FileType::CharacterDevice,
        DeviceKind::Block => FileType::BlockDevice,
        DeviceKind::Fifo => FileType::Fifo,
    }
}

fn make(
    root: &OwnedFd,
    dir: &OwnedFd,
    name: &std::ffi::OsStr,
    device: &DeviceNode,
    owner: (u32, u32),
) -> StepResult<()> {
    let number = rustix::fs::makedev(device.major, device.minor);
    let mode = Mode::from_raw_mode(device.mode);
    match rustix::fs::mknodat(dir, name, file_type(device.kind), mode, number) {
        Ok(()) => {}
        Err(Errno::EXIST) => return verify_existing(dir, name, device),
        // In a user namespace nobody may make device nodes: show the host's.
        Err(Errno::PERM) if device.kind != DeviceKind::Fifo => return bind_from_host(root, device),
        Err(e) => {
            return Ok(
                Err(e).call(|| format!("mknodat({name:?}, {}:{})", device.major, device.minor))?
            )
        }
    }
    // The mode is exact, because no umask is in force while the tree is built; the owner is whose tree it is.
    if (device.uid, device.gid) != owner {
        let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
        rustix::fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
            .call(|| format!("fchownat({name:?}, {}, {})", device.uid, device.gid))?;
        // A change of owner takes the set-id bits away.
        rustix::fs::chmodat(dir, name, mode, AtFlags::empty())
            .call(|| format!("fchmodat({name:?}, {:o})", device.mode))?;
    }
    Ok(())
}

fn is_device(st: &Stat, device: &DeviceNode) -> bool {
    FileType::from_raw_mode(st.st_mode) == file_type(device.kind)
        && (device.kind == DeviceKind::Fifo
            || st.st_rdev == rustix::fs::makedev(device.major, device.minor))
}

/// Something is there already: fine if it is the same device, an error if it only has its name (CVE-2025-31133).
fn verify_existing(dir: impl AsFd, name: &std::ffi::OsStr, device: &DeviceNode) -> StepResult<()> {
    let st = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)
        .call(|| format!("fstatat({name:?})"))?;
    if is_device(&st, device) {
        Ok(())
    } else {
        Err(Failure::new(
            "devices",
            format!("another file is in the place of device {}:{}", device.major, device.minor),
        ))
    }
}

fn bind_from_host(root: &OwnedFd, device: &DeviceNode) -> StepResult<()> {
    let source = mount::open_path(&device.path, true)?;
    let st = rustix::fs::fstat(&source).call(|| "fstat(host device)")?;
    if !is_device(&st, device) {
        let message = format!(
            "the host's {} is not device {}:{}",
            device.path.display(),
            device.major,
            device.minor
        );
        return Err(Failure::new("devices", message));
    }
    let clone = mount::clone_tree(&source, false)?;
    // A device is neither program nor anybody's: nothing that appears at its place is to be one.
    let change = AttrChange { set: attr::NOSUID | attr::NOEXEC, ..AttrChange::default() };
    mount::set_attr(&clone, change, false)?;
    let place = ensure_file(root, &device.path, Mode::from_raw_mode(0o666), Links::Refused)?;
    mount::attach(&clone, &place)?;
    Ok(())
}
