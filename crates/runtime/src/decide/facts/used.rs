//! Files that the host has in use wherever they lie, found from who uses them: a container that could write them would have the
//! host, or a part of it, although they lie among data.

use super::fd::{mount_id, name};
use super::names::{Mounts, Spot};
use super::scene::Scene;
use casemate_kernel::mountinfo;
use casemate_policy::{is_below, FileFact, FileKind, Use, Used, SOCKETS};
use casemate_sandbox::trust;
use casemate_sys::errno_text;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Engines and their helpers that start a runtime, by the beginning of their program's name.
const ENGINES: [&str; 9] =
    ["buildah", "buildkitd", "conmon", "containerd", "crio", "docker", "k3s", "podman", "rke2"];

/// All of them.
pub(super) struct InUse(Vec<Thing>);

struct Thing {
    used: Used,
    device: u64,
    inode: u64,
    /// `None`: it lies on a mount that nobody sees here.
    spot: Option<Spot>,
}

impl InUse {
    /// Look for them.
    ///
    /// # Errors
    /// One cannot be looked at, for another reason than that it does not exist.
    pub(super) fn look(scene: &Scene<'_>) -> Result<Self, String> {
        let mut found = Self(Vec::new());
        for hook in &scene.hooks {
            found.add_path(scene, Use::Hook, hook)?;
        }
        for log in &scene.log {
            found.add_path(scene, Use::Log, log)?;
        }
        let others = scene.others.iter().flatten().flat_map(|other| &other.hooks);
        found.add_others(scene, others);
        if !scene.root {
            return Ok(found);
        }
        let own = casemate_boot::image::on_host().map_err(|error| error.to_string())?;
        found.add(scene, Use::Program, &own)?;
        for called in casemate_boot::image::called_as().into_iter().filter(|called| *called != own)
        {
            for place in trust::places(&called, |_| true) {
                found.add_link(scene, Use::Program, &place)?;
            }
        }
        if let Some(engine) = starter(scene)? {
            found.add(scene, Use::Program, &engine)?;
        }
        for swap in swaps(scene)? {
            found.add(scene, Use::Swap, &swap)?;
        }
        for number in scene.mounts.loops() {
            if let Some(image) = image(number)? {
                found.add(scene, Use::Loop, &image)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, scene: &Scene<'_>, by: Use, path: &Path) -> Result<(), String> {
        let shown = path.to_string_lossy();
        let fd = match casemate_sys::mount::open_path(path, false) {
            Ok(fd) => fd,
            // Replaced while it runs, or not in sight: a path that nobody has here leads nowhere.
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            // Images and swap files lie among the files of others, who may keep root from them (FUSE, NFS).
            Err(_) if matches!(by, Use::Loop | Use::Swap) => {
                if let Some((path, spot)) = by_text(scene, path) {
                    let used = Used { by, path };
                    self.0.push(Thing { used, device: 0, inode: 0, spot: Some(spot) });
                }
                return Ok(());
            }
            Err(error) => return Err(format!("open {shown}: {}", errno_text(error.errno()))),
        };
        let about = |why: Errno| format!("stat {shown}: {}", errno_text(why));
        let stat = rustix::fs::fstat(&fd).map_err(about)?;
        let path = name(&fd, scene.proc)?;
        let spot = scene.mounts.spot(&path, mount_id(&fd)?);
        let (device, inode) = (stat.st_dev, stat.st_ino);
        self.0.push(Thing { used: Used { by, path }, device, inode, spot });
        Ok(())
    }

    /// One of the names on a way to a program, a link that is not followed.
    fn add_link(&mut self, scene: &Scene<'_>, by: Use, path: &Path) -> Result<(), String> {
        let about = |why: Errno| format!("stat {}: {}", path.display(), errno_text(why));
        let fd = match casemate_sys::mount::open_path(path, true) {
            Ok(fd) => fd,
            // Called by a descriptor, or gone since.
            Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        let stat = rustix::fs::fstat(&fd).map_err(about)?;
        let path = path.to_string_lossy().into_owned();
        let spot = scene.mounts.spot(&path, mount_id(&fd)?);
        let (device, inode) = (stat.st_dev, stat.st_ino);
        self.0.push(Thing { used: Used { by, path }, device, inode, spot });
        Ok(())
    }

    /// A path that a hook or the audit log depends on. Who makes what is missing on it makes the hook: then it lies in what there is
    /// of the way.
    fn add_path(&mut self, scene: &Scene<'_>, by: Use, path: &str) -> Result<(), String> {
        let mut there = Path::new(path);
        let fd = loop {
            match casemate_sys::mount::open_path(there, true) {
                Ok(fd) => break fd,
                Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => {
                    there = there.parent().ok_or_else(|| error.to_string())?;
                }
                Err(error) => return Err(error.to_string()),
            }
        };
        let about = |why: Errno| format!("stat {}: {}", there.display(), errno_text(why));
        let stat = rustix::fs::fstat(&fd).map_err(about)?;
        let is_it = there == Path::new(path);
        let (device, inode) = if is_it { (stat.st_dev, stat.st_ino) } else { (0, 0) };
        let spot = scene.mounts.spot(path, mount_id(&fd)?);
        let used = Used { by, path: path.to_owned() };
        self.0.push(Thing { used, device, inode, spot });
        Ok(())
    }

    /// What hooks of other containers depend on, by its text alone: a file system among these that is broken, or that waits for
    /// its server, is nothing to this container.
    fn add_others<'p>(&mut self, scene: &Scene<'_>, paths: impl Iterator<Item = &'p String>) {
        for path in paths {
            let mount = scene.mounts.seen_at(path);
            let spot = mount.and_then(|mount| Mounts::spot_on(mount, path));
            let used = Used { by: Use::Hook, path: path.clone() };
            self.0.push(Thing { used, device: 0, inode: 0, spot });
        }
    }

    /// Those that `file` is or holds; `spot`: where it lies.
    pub(super) fn of(&self, file: &FileFact, spot: Option<&Spot>) -> Vec<Used> {
        let is_it = |thing: &&Thing| match file.kind {
            FileKind::Directory => {
                spot.zip(thing.spot.as_ref()).is_some_and(|(dir, thing)| dir.holds(thing))
                    || (is_found_by_path(&thing.used) && is_above(file, &thing.used.path))
            }
            _ => {
                (thing.device, thing.inode) == (file.device, file.inode)
                    || spot.is_some_and(|spot| thing.spot.as_ref() == Some(spot))
            }
        };
        self.0.iter().filter(is_it).map(|thing| thing.used.clone()).collect()
    }
}

/// What is run goes by its path, what is mounted or swapped to stays as it is.
fn is_found_by_path(used: &Used) -> bool {
    matches!(used.by, Use::Program | Use::Hook | Use::Log)
}

/// Whether a directory is on the way to `path`, even where a mount in between shows another file system: who renames that mount's
/// place in another mount namespace takes the mount away from the path (detach_mounts() of the kernel).
fn is_above(file: &FileFact, path: &str) -> bool {
    file.all_names().any(|name| is_below(path, name))
        || file.holds.iter().any(|point| path == point || is_below(path, point))
}

/// The sockets that engines listen on: path, and where that lies.
pub(super) struct Sockets(Vec<(String, Spot)>);

impl Sockets {
    /// Look for them. To list them takes the kernel a microsecond for each socket of the host.
    ///
    /// # Errors
    /// They cannot be listed.
    pub(super) fn look(scene: &Scene<'_>) -> Result<Self, String> {
        let spot = |path: PathBuf| {
            let fd = match casemate_sys::mount::open_path(&path, false) {
                Ok(fd) => fd,
                // Bound in another mount namespace, or gone.
                Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => {
                    return Ok(None);
                }
                // What its owner has made of the way to it keeps nobody else's container from being made.
                Err(_) => return Ok(by_text(scene, &path)),
            };
            let path = name(&fd, scene.proc)?;
            let spot = scene.mounts.spot(&path, mount_id(&fd)?);
            Ok::<_, String>(spot.map(|spot| (path, spot)))
        };
        let each = sockets(scene)?.into_iter().map(spot);
        Ok(Self(each.filter_map(Result::transpose).collect::<Result<_, _>>()?))
    }

    /// Adds to directory `file`, which lies at `spot`, those in it.
    pub(super) fn mark(&self, file: &mut FileFact, spot: &Spot) {
        for (path, at) in &self.0 {
            if spot.holds(at) && !file.inside.contains(path) {
                file.inside.push(path.clone());
            }
        }
    }
}

/// Where a path that cannot be opened lies, by the mounts that are seen.
fn by_text(scene: &Scene<'_>, path: &Path) -> Option<(String, Spot)> {
    let path = path.to_string_lossy().into_owned();
    let spot = scene.mounts.seen_at(&path).and_then(|mount| Mounts::spot_on(mount, &path))?;
    Some((path, spot))
}

/// The program of the engine that has started this process; `None` for anybody else, whose programs may lie among that
/// one's own data.
///
/// # Errors
/// It cannot be told who that is.
fn starter(scene: &Scene<'_>) -> Result<Option<PathBuf>, String> {
    let Some(parent) = rustix::process::getppid() else { return Ok(None) };
    let link = format!("{}/exe", parent.as_raw_nonzero());
    let target = match rustix::fs::readlinkat(scene.proc, &link, Vec::new()) {
        Ok(target) => path(target.as_bytes()),
        // It has ended, or is out of sight (ENOENT for a thread of the kernel, too).
        Err(Errno::NOENT | Errno::SRCH) => return Ok(None),
        Err(error) => return Err(format!("readlink /proc/{link}: {}", errno_text(error))),
    };
    let file = target.file_name().map(OsStr::as_bytes).unwrap_or_default();
    let is_engine = ENGINES.iter().any(|engine| file.starts_with(engine.as_bytes()));
    Ok(is_engine.then_some(target))
}

/// The sockets that engines listen on, wherever they lie, by the names that they have. A network namespace lists those that
/// were made in it: an engine's in another one is found by the look into a directory only.
fn sockets(scene: &Scene<'_>) -> Result<Vec<PathBuf>, String> {
    match crate::procfs::read_bytes(scene.proc, "self/net/unix") {
        Ok(table) => Ok(engine_sockets(&table)),
        // A kernel, or a procfs, that shows none.
        Err(error) if error.errno() == Errno::NOENT => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// The names of engines' listening sockets in the text of /proc/net/unix: Num RefCount Protocol Flags Type St Inode Path.
fn engine_sockets(table: &[u8]) -> Vec<PathBuf> {
    /// __SO_ACCEPTCON of the kernel.
    const LISTENS: &[u8] = b"00010000";
    let lines = table.split(|byte| *byte == b'\n');
    let found = lines.filter_map(|line| {
        let name = &line[line.iter().position(|byte| matches!(byte, b'/' | b'@'))?..];
        let name = name.starts_with(b"/").then_some(name)?;
        let file = name.rsplit(|byte| *byte == b'/').next()?;
        SOCKETS.iter().find(|(known, _)| known.as_bytes() == file)?;
        (line.split(|byte| *byte == b' ').nth(3)? == LISTENS).then(|| path(name))
    });
    found.collect()
}

/// Active swap files.
fn swaps(scene: &Scene<'_>) -> Result<Vec<PathBuf>, String> {
    match crate::procfs::read_bytes(scene.proc, "swaps") {
        Ok(table) => Ok(swap_files(&table)),
        // A kernel without swap, or a procfs that shows processes only.
        Err(error) if error.errno() == Errno::NOENT => Ok(Vec::new()),
        Err(error) => Err(error.to_string()),
    }
}

/// The names of files, not of devices, in the text of /proc/swaps (proc(5)); escaped as in mountinfo.
fn swap_files(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n').skip(1);
    let files = lines.filter_map(|line| {
        let mut fields = line.split(|byte| byte.is_ascii_whitespace()).filter(|f| !f.is_empty());
        let (name, kind) = (fields.next()?, fields.next()?);
        (kind == b"file").then(|| name.strip_suffix(b"\\040(deleted)").unwrap_or(name))
    });
    files.map(|name| path(&mountinfo::unescape(name))).collect()
}

/// The file that a loop device shows.
fn image(number: u32) -> Result<Option<PathBuf>, String> {
    let about = format!("/sys/block/loop{number}/loop/backing_file");
    match std::fs::read(&about) {
        Ok(name) => Ok(Some(path(name.trim_ascii_end()))),
        // Detached since, or another name for something else.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{about}: {}", crate::files::io_error_text(&error))),
    }
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_engines_listen_on_are_told_from_others() {
        let table = b"Num       RefCount Protocol Flags    Type St Inode Path\n\
0000000000000000: 00000002 00000000 00010000 0001 01 16281 /srv/a b/run/docker.sock\n\
0000000000000000: 00000003 00000000 00000000 0001 03 16282 /run/docker.sock\n\
0000000000000000: 00000002 00000000 00010000 0001 01 16283 /run/my-docker.sock\n\
0000000000000000: 00000002 00000000 00010000 0001 01 16284 @/x/docker.sock\n\
0000000000000000: 00000003 00000000 00000000 0001 03 16285\n";
        assert_eq!(engine_sockets(table), [Path::new("/srv/a b/run/docker.sock")]);
    }

    #[test]
    fn swap_files_are_told_from_swap_devices() {
        let table = b"Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
/dev/vda2                               partition\t1048572\t\t0\t\t-2\n\
/mnt/a\\040swap                          file\t\t65532\t\t0\t\t-3\n";
        assert_eq!(swap_files(table), [Path::new("/mnt/a swap")]);
        assert!(swap_files(b"").is_empty());
    }
}
