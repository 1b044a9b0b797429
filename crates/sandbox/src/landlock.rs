//! The Landlock layer: nothing is written but where the container is meant to write.
//!
//! What that is, is read from the container's own mount table once its tree stands: mounts that are writable, the device
//! nodes in /dev, the process's own files in /proc. Rules name files and not paths, so the layer says the same as the
//! read-only flags without depending on them: it also holds for what is reached by a descriptor from elsewhere. Reading
//! and executing are not its business. Files that lie on no mount (pipes, sockets) are not either.
//!
//! Two halves, because looking at the tree takes root's view of it and restricting oneself comes after the identity is
//! given up: [`Layer::prepare`], [`Layer::enforce`].

use crate::failure::Step;
use crate::plan::LandlockPlan;
use crate::{Failure, StepResult};
use casemate_kernel::mountinfo::{self, Mount};
use casemate_sys::landlock::{self, access, net, scope, Ruleset};
use casemate_sys::path::{find_in_root, Links};
use casemate_sys::{mount, Context};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, StatxFlags};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Writing a file that exists.
const WRITE: u64 = access::WRITE_FILE | access::TRUNCATE;
/// Using a device.
const DEVICE: u64 = WRITE | access::IOCTL_DEV;
/// The ABI that can deny signals and abstract sockets.
const SCOPES_SINCE: u32 = 6;
/// How deep below /dev device nodes are looked for (`/dev/dri/by-path`).
const DEV_DEPTH: usize = 2;

/// Rules that are not in force yet.
#[derive(Debug)]
pub(crate) struct Layer {
    rules: Ruleset,
    handled: u64,
}

impl Layer {
    /// Look at the tree and write the rules down. Opens mount points with root's rights.
    pub(crate) fn prepare(plan: &LandlockPlan, host_proc: impl AsFd) -> StepResult<Self> {
        let about = || "the Landlock layer";
        let abi = landlock::abi();
        if abi == 0 {
            return Err(Failure::new("landlock", "the kernel has no Landlock (LSM \"landlock\")"));
        }
        let handled = access::known(abi);
        let scoped = if abi >= SCOPES_SINCE { scoped(plan) } else { 0 };
        let lists = ports(plan);
        let net = lists.iter().fold(0, |all, (right, _)| all | right);
        let rules = Ruleset::new(abi, handled, net, scoped).step("landlock", about)?;
        for (right, port) in
            lists.iter().flat_map(|(right, list)| list.iter().map(|p| (*right, *p)))
        {
            rules.allow_port(port, right).step("landlock", || format!("TCP port {port}"))?;
        }
        let layer = Self { rules, handled };
        let root = mount::open_path(Path::new("/"), false).step("landlock", about)?;
        let table = read_mounts(host_proc).step("landlock", about)?;
        let mounts = mountinfo::parse(&table)
            .map_err(|error| Failure::new("landlock", error.to_string()))?;
        for line in mounts.iter().map(Mounted::of).filter(|line| line.writable) {
            layer
                .allow_mount(&root, &line)
                .step("landlock", || line.point.display().to_string())?;
        }
        if let Some(dev) =
            find_in_root(&root, Path::new("dev"), Links::Refused).step("landlock", || "/dev")?
        {
            layer.allow_devices(&dev, DEV_DEPTH).step("landlock", || "/dev")?;
        }
        layer.allow_streams().step("landlock", || "standard streams")?;
        Ok(layer)
    }

    /// From here on. Nothing that is mounted or opened later changes it.
    pub(crate) fn enforce(self) -> StepResult<()> {
        self.rules.restrict().step("landlock", || "the Landlock layer")
    }

    /// What may be written on a mount, if it is still what the table said: a directory above it may have been
    /// renamed by a process of the container.
    fn allow_mount(&self, root: &OwnedFd, line: &Mounted<'_>) -> casemate_sys::Result<()> {
        let path = line.point.strip_prefix("/").unwrap_or(&line.point);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        // What cannot be found is not allowed.
        let Ok(Some(place)) = find_in_root(root, path, Links::Refused) else { return Ok(()) };
        let stat = rustix::fs::statx(
            &place,
            "",
            AtFlags::EMPTY_PATH,
            StatxFlags::TYPE | StatxFlags::MNT_ID,
        )
        .call(|| format!("statx({})", line.point.display()))?;
        if stat.stx_mnt_id != line.id {
            return Ok(());
        }
        let kind = FileType::from_raw_mode(u32::from(stat.stx_mode));
        self.allow(&place, self.on_mount(line, kind))
    }

    fn on_mount(&self, line: &Mounted<'_>, kind: FileType) -> u64 {
        match (kind, line.fstype) {
            (FileType::CharacterDevice | FileType::BlockDevice, _) => DEVICE,
            (FileType::Directory, "devpts") => DEVICE,
            // Files of processes. What is the kernel's lies on read-only mounts or belongs to the host's root.
            (FileType::Directory, "proc") => WRITE,
            // Only the nodes in it, one by one.
            (FileType::Directory, _) if line.point == Path::new("/dev") => 0,
            (FileType::Directory, _) => {
                self.handled & !(access::MAKE_CHAR | access::MAKE_BLOCK | access::IOCTL_DEV)
            }
            _ => WRITE,
        }
    }

    /// The device nodes in a directory, and in those below that are on the same mount.
    fn allow_devices(&self, dir: &OwnedFd, depth: usize) -> casemate_sys::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let readable = match rustix::fs::openat(dir, ".", flags, Mode::empty()) {
            Ok(fd) => fd,
            // As above, and for what is in it.
            Err(_) => return Ok(()),
        };
        let entries = Dir::new(readable).call(|| "getdents64(/dev)")?;
        for entry in entries {
            let entry = entry.call(|| "getdents64(/dev)")?;
            let name = entry.file_name();
            if name.to_bytes() == b"." || name.to_bytes() == b".." {
                continue;
            }
            let kind = entry.file_type();
            let device = matches!(kind, FileType::CharacterDevice | FileType::BlockDevice);
            if !device && (kind != FileType::Directory || depth == 0) {
                continue;
            }
            // Another mount has a line of its own in the table.
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            let opened = rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve);
            // As above: no rule, no access.
            let Ok(place) = opened else { continue };
            match device {
                true => self.allow(&place, DEVICE)?,
                false => self.allow_devices(&place, depth - 1)?,
            }
        }
        Ok(())
    }

    /// Standard streams that are files or terminals may be opened again through /proc/self/fd, as far as they were
    /// opened for writing.
    fn allow_streams(&self) -> casemate_sys::Result<()> {
        for stream in (0..3).filter_map(casemate_sys::fd::borrow) {
            let mode = rustix::fs::fcntl_getfl(stream).call(|| "fcntl(stdio, F_GETFL)")?;
            let kind =
                FileType::from_raw_mode(rustix::fs::fstat(stream).call(|| "fstat(stdio)")?.st_mode);
            let writable = mode & OFlags::ACCMODE != OFlags::RDONLY;
            match kind {
                FileType::CharacterDevice if writable => self.allow(stream, DEVICE)?,
                FileType::RegularFile if writable => self.allow(stream, WRITE)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn allow(&self, file: impl AsFd, rights: u64) -> casemate_sys::Result<()> {
        let rights = rights & self.handled;
        if rights == 0 {
            return Ok(());
        }
        match self.rules.allow_beneath(file, rights) {
            Err(error) if landlock::is_unmounted(&error) => Ok(()),
            other => other,
        }
    }
}

/// The rights on TCP ports that are limited, and the ports that have them.
fn ports(plan: &LandlockPlan) -> Vec<(u64, &[u16])> {
    [(net::BIND_TCP, &plan.tcp_bind), (net::CONNECT_TCP, &plan.tcp_connect)]
        .into_iter()
        .filter_map(|(right, list)| list.as_deref().map(|list| (right, list)))
        .collect()
}

fn scoped(plan: &LandlockPlan) -> u64 {
    let bits =
        [(plan.signals, scope::SIGNAL), (plan.abstract_sockets, scope::ABSTRACT_UNIX_SOCKET)];
    bits.iter().filter(|(wanted, _)| *wanted).fold(0, |all, (_, bit)| all | bit)
}

/// What matters here of a mount.
struct Mounted<'t> {
    id: u64,
    point: PathBuf,
    /// Neither the mount nor its file system is read-only.
    writable: bool,
    fstype: &'t str,
}

impl<'t> Mounted<'t> {
    fn of(mount: &Mount<'t>) -> Self {
        let read_only = |option: &[u8]| option == b"ro";
        let below = mount.super_options.split(|byte| *byte == b',').any(read_only);
        let point = mountinfo::unescape(mount.point).into_owned();
        Self {
            id: mount.id,
            point: PathBuf::from(OsString::from_vec(point)),
            writable: !mount.has("ro") && !below,
            fstype: mount.fstype,
        }
    }
}

/// The mount table of this process, which is the container's by now.
fn read_mounts(host_proc: impl AsFd) -> casemate_sys::Result<Vec<u8>> {
    let path = "thread-self/mountinfo";
    let file =
        rustix::fs::openat(&host_proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .call(|| format!("openat(/proc, \"{path}\")"))?;
    let mut table = Vec::new();
    std::io::Read::read_to_end(&mut std::fs::File::from(file), &mut table)
        .call(|| format!("read(/proc/{path})"))?;
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_writable_when_neither_it_nor_its_file_system_is_read_only() {
        let line = |options: &str, below: &str| {
            format!(
                "36 35 98:0 /mnt1 /a\\040b {options} master:1 shared:2 - ext4 /dev/root {below}"
            )
        };
        for (options, below, writable) in [
            ("rw,noatime", "rw,errors=continue", true),
            ("ro,noatime", "rw", false),
            ("rw", "ro,errors=continue", false),
            ("rw,nosuid", "rw,rootcontext=x", true),
        ] {
            let text = line(options, below);
            let mounts = mountinfo::parse(text.as_bytes()).unwrap();
            let mounted = Mounted::of(&mounts[0]);
            assert_eq!(mounted.writable, writable, "{text}");
            assert_eq!((mounted.id, mounted.fstype), (36, "ext4"));
            assert_eq!(mounted.point, Path::new("/a b"));
        }
    }
}
