//! A look at what a source is beside its name: an engine's data, a package's directory, a directory with an engine's
//! socket in it, another link to a secret.

use casemate_kernel::magic;
use casemate_policy::{EngineFact, FileFact, FileKind, Package, Usual, SIGNS, SOCKETS};
use casemate_sys::{errno_text, Context as _};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, CWD};
use rustix::io::Errno;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How many entries of a directory, and of those in it, are looked at for sockets.
const ENTRIES: usize = 512;
/// How deep.
const DEPTH: usize = 2;

/// Engines by directory, as far as they were looked for.
#[derive(Default)]
pub(super) struct Engines {
    known: HashMap<PathBuf, Option<EngineFact>>,
}

impl Engines {
    /// The engine that keeps its data in this directory or nearest above it, where that is not its usual place.
    pub(super) fn of(&mut self, file: &FileFact) -> Option<EngineFact> {
        if is_elsewhere(file) {
            return None;
        }
        let directory = file.kind == FileKind::Directory;
        let unusual = |name: &&str| casemate_policy::usual(name) != Usual::Engine;
        file.all_names().filter(unusual).find_map(|name| self.above(Path::new(name), directory))
    }

    fn above(&mut self, path: &Path, directory: bool) -> Option<EngineFact> {
        let start = if directory { path } else { path.parent()? };
        let named = start.ancestors().filter(|dir| dir.parent().is_some());
        let mut found = None;
        for dir in named {
            found = self.known.entry(dir.to_owned()).or_insert_with(|| signed(dir)).clone();
            if found.is_some() {
                break;
            }
        }
        found
    }
}

/// An engine by what it keeps in `dir`. A name that cannot be looked up is none of ours: root can look up all but those of a
/// file system that is gone, and who cannot has nothing to bind there. In a directory that others write as well (`/tmp`) nobody
/// knows who has made a file, and an engine keeps nothing there; elsewhere it is an engine's where it is root's, or the caller's.
fn signed(dir: &Path) -> Option<EngineFact> {
    // All names are looked up in the open directory: of a long path that is the larger part of the work.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let top = rustix::fs::openat(CWD, dir, flags, Mode::empty()).ok()?;
    let (_, engine) = SIGNS.iter().find(|(name, _)| {
        rustix::fs::statat(&top, *name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|sign| {
            sign.st_uid == 0 || sign.st_uid == rustix::process::geteuid().as_raw()
        })
    })?;
    const OTHERS: u32 = 0o002;
    if rustix::fs::fstat(&top).is_ok_and(|top| top.st_mode & OTHERS != 0) {
        return None;
    }
    Some(EngineFact { engine: *engine, root: dir.to_string_lossy().into_owned() })
}

/// File systems that no engine of this host keeps anything on, and on which a look can take for ever.
fn is_elsewhere(file: &FileFact) -> bool {
    const CIFS: [u64; 2] = [0xff53_4d42, 0xfe53_4d42];
    const CEPH: u64 = 0x00c3_6400;
    let far = [magic::NFS, magic::FUSE, CEPH].contains(&file.fs_type);
    far || CIFS.contains(&file.fs_type) || magic::of_kernel(file.fs_type).is_some()
}

/// How many sockets of root's are named.
const NAMED: usize = 4;

/// What is in a directory may matter: it is judged neither by its place nor as an engine's.
pub(super) fn is_open(file: &FileFact) -> bool {
    let known = file.engine.is_some() || casemate_policy::usual(&file.path) != Usual::Other;
    file.kind == FileKind::Directory && !known && !is_elsewhere(file)
}

/// Sockets of engines in a directory and in those in it, and what their data is recognised by; and whether this is all
/// that is in it.
///
/// # Errors
/// A directory that cannot be read.
pub(super) fn inside(fd: &OwnedFd, file: &mut FileFact) -> Result<bool, String> {
    if !is_open(file) {
        return Ok(true);
    }
    let mut look = Look { left: ENTRIES, found: Vec::new(), sockets: Vec::new(), all: true };
    look.walk(fd, &file.path, DEPTH).map_err(|error| format!("look inside: {error}"))?;
    (file.inside, file.sockets) = (look.found, look.sockets);
    Ok(look.all)
}

struct Look {
    left: usize,
    found: Vec<String>,
    /// Other sockets of root's, the first few.
    sockets: Vec<String>,
    /// Nothing was passed over.
    all: bool,
}

impl Look {
    fn walk(&mut self, dir: impl AsFd, path: &str, depth: usize) -> casemate_sys::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let call = || format!("openat(\"{path}\")");
        let dir = rustix::fs::openat(dir, ".", flags, Mode::empty()).call(call)?;
        let mut below = Vec::new();
        for entry in Dir::read_from(&dir).call(|| format!("getdents(\"{path}\")"))? {
            let entry = entry.call(|| format!("getdents(\"{path}\")"))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            if self.left == 0 {
                self.all = false;
                return Ok(());
            }
            self.left -= 1;
            let kind = entry.file_type();
            let socket = SOCKETS.iter().any(|(known, _)| *known == name);
            let sign = SIGNS.iter().any(|(sign, _)| *sign == name);
            if (socket && matches!(kind, FileType::Socket | FileType::Unknown))
                || (sign && is_roots(&dir, &name))
            {
                self.found.push(format!("{path}/{name}"));
            } else if kind == FileType::Socket
                && self.sockets.len() < NAMED
                && is_roots(&dir, &name)
            {
                self.sockets.push(format!("{path}/{name}"));
            }
            match kind {
                FileType::Directory if depth > 1 => below.push(name),
                FileType::Directory | FileType::Unknown => self.all = false,
                _ => {}
            }
        }
        below.iter().try_for_each(|name| self.subdirectory(&dir, path, name, depth))
    }

    /// What goes while it is looked at is not there, and what is another mount is judged as one.
    fn subdirectory(
        &mut self,
        dir: &OwnedFd,
        path: &str,
        name: &str,
        depth: usize,
    ) -> casemate_sys::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = rustix::fs::ResolveFlags::NO_XDEV | rustix::fs::ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(dir, name, flags, Mode::empty(), resolve) {
            Ok(below) => self.walk(&below, &format!("{path}/{name}"), depth - 1),
            Err(Errno::NOENT | Errno::XDEV | Errno::LOOP | Errno::NOTDIR) => Ok(()),
            Err(error) => Err(error).call(|| format!("openat2(\"{path}/{name}\")")),
        }
    }
}

/// Others than root can name a file as engines do, and keep nobody from a directory by that. One whose owner cannot be told
/// may be root's.
fn is_roots(dir: &OwnedFd, name: &str) -> bool {
    match rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat.st_uid == 0,
        Err(error) => error != Errno::NOENT,
    }
}

/// A second link to a file that no container is to see has that file's name too. Of other files of root's that have several
/// names, and that only root may read, nobody can tell what else they are.
///
/// # Errors
/// A file that cannot be looked at, for another reason than that it does not exist.
pub(super) fn links(stat: &Stat, file: &mut FileFact) -> Result<(), String> {
    const SECRETS: [&str; 6] = [
        "/etc/shadow",
        "/etc/shadow-",
        "/etc/gshadow",
        "/etc/gshadow-",
        "/etc/sudoers",
        "/etc/machine-id",
    ];
    if file.kind != FileKind::Regular || stat.st_nlink < 2 {
        return Ok(());
    }
    file.shared_secret = stat.st_uid == 0 && stat.st_mode & 0o007 == 0;
    for path in SECRETS.iter().filter(|path| **path != file.path) {
        match rustix::fs::lstat(*path) {
            Ok(secret) if (secret.st_dev, secret.st_ino) == (file.device, file.inode) => {
                file.names.push((*path).to_owned());
            }
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => return Err(format!("lstat({path}): {}", errno_text(error))),
        }
    }
    Ok(())
}

/// Whether a package of the host's owns the directory below /opt, /var or /var/lib in which the file lies, by one of its names.
pub(super) fn package(file: &FileFact) -> Package {
    let asked = file.all_names().filter_map(|name| match casemate_policy::usual(name) {
        Usual::Packaged(top) => Some(owner(&top)),
        _ => None,
    });
    let strictness = |package: &Package| match package {
        Package::NotAsked => 0,
        Package::Unowned => 1,
        Package::Unknown(_) => 2,
        Package::Owned(_) => 3,
    };
    asked.max_by_key(strictness).unwrap_or_default()
}

fn owner(top: &str) -> Package {
    match search(Path::new("/var/lib/dpkg/info"), top) {
        Ok(Some(name)) => Package::Owned(name),
        Ok(None) => Package::Unowned,
        // Of what lies directly in /var the policy's table has those of such hosts.
        Err(Errno::NOENT) if Path::new(top).parent() == Some(Path::new("/var")) => Package::Unowned,
        Err(Errno::NOENT) => without_dpkg(),
        Err(error) => Package::Unknown(format!("/var/lib/dpkg/info: {}", errno_text(error))),
    }
}

/// The database of rpm is no text, and to ask rpm would be another process.
fn without_dpkg() -> Package {
    let rpm = ["/usr/lib/sysimage/rpm", "/var/lib/rpm"];
    match rpm.iter().any(|place| Path::new(place).is_dir()) {
        true => Package::Unknown("the database of rpm is not read".to_owned()),
        false => Package::Unowned,
    }
}

/// The package whose list of files has the directory `top`.
fn search(info: &Path, top: &str) -> Result<Option<String>, Errno> {
    // An error without a number is none of the kernel's.
    let errno = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let line = format!("\n{top}\n");
    for entry in std::fs::read_dir(info).map_err(errno)? {
        let path = entry.map_err(errno)?.path();
        if path.extension().is_none_or(|ending| ending != "list") {
            continue;
        }
        let list = std::fs::read(&path).map_err(errno)?;
        if String::from_utf8_lossy(&list).contains(&line) {
            return Ok(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}
