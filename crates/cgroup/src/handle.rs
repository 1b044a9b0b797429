//! A cgroup directory: made, opened, listed, removed.
//!
//! The file system driver. The directory's descriptor is what clone3 takes for CLONE_INTO_CGROUP, so that a container's
//! first process is born in its final cgroup and is never moved. (The kernel asks for the right to move a process: an
//! ordinary user needs write access to cgroup.procs of the common ancestor, else clone3 answers EACCES.) What can be done *in* the cgroup (limits,
//! devices, freezing, killing, statistics, events) is in the sibling modules.

use crate::controllers::{enable, Controllers, Wish};
use crate::error::{Error, Result};
use crate::files::{keyed, open_directory, Dir};
use crate::hierarchy::Hierarchy;
use crate::wait;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{Access, AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Pauses between attempts to remove a directory that is still busy, in milliseconds: 0.6 s in all. A killed
/// process leaves its cgroup a little after its death is visible.
const REMOVE_PAUSES: [u64; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 200];
/// How often creation starts over when somebody removes an ancestor under our feet.
const CREATE_ATTEMPTS: usize = 4;

/// An open cgroup directory.
#[derive(Debug)]
pub struct Cgroup {
    dir: OwnedFd,
    path: PathBuf,
    existed: bool,
}

impl Cgroup {
    /// Make the cgroup `inner` (absolute from the hierarchy's root) with its ancestors, and enable the `needed`
    /// controllers in all of them. Without needs and with existing ancestors this is one mkdir and one open.
    ///
    /// An existing directory is taken over when it is not frozen and has no process, in itself or below, no child and no
    /// controller enabled for children: what an interrupted run has left, or somebody has prepared. Anything else is
    /// refused before a file in it is written. On failure, what was made is removed again.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::HasChildren`], [`Error::Frozen`],
    /// [`Error::ControllerUnavailable`], [`Error::WrongType`]; [`Error::BadPath`] for a path with
    /// `..`; [`Error::is_permission`] tells a caller without rights.
    pub fn create(hierarchy: &Hierarchy, inner: &Path, needed: &Controllers) -> Result<Self> {
        Self::create_with(hierarchy, inner, needed, &[])
    }

    /// The same, and the `wanted` controllers are enabled where that is possible, for statistics; their absence is no
    /// error.
    ///
    /// # Errors
    /// As [`Cgroup::create`].
    pub fn create_with(
        hierarchy: &Hierarchy,
        inner: &Path,
        needed: &Controllers,
        wanted: &[&str],
    ) -> Result<Self> {
        let path = hierarchy.locate(inner)?;
        let made = make_directories(hierarchy.mount_point(), &path)?;
        let result =
            Self::enter_new(hierarchy, inner, &path, made.leaf_is_new, Wish { needed, wanted });
        if result.is_err() {
            made.undo();
        }
        result
    }

    fn enter_new(
        hierarchy: &Hierarchy,
        inner: &Path,
        path: &Path,
        new: bool,
        wish: Wish<'_>,
    ) -> Result<Self> {
        let cgroup = Self { existed: !new, ..Self::open(path)? };
        if cgroup.existed {
            cgroup.refuse_in_use()?;
        }
        cgroup.enable(hierarchy, inner, wish)?;
        cgroup.settle_type(wish.needed)?;
        Ok(cgroup)
    }

    /// A cgroup beside processes of its parent's takes none as it is ("domain invalid", cgroups(7), "Creating a threaded
    /// subtree"). That is how it looks in a container whose own processes are at the root of its cgroup namespace. As a
    /// threaded cgroup it takes them, unless a limit needs a controller that such a one cannot have; runc does the same.
    fn settle_type(&self, needed: &Controllers) -> Result<()> {
        // What cannot be read now cannot be read below either, and is told there.
        if self.check_type(needed).is_ok() {
            return Ok(());
        }
        if !needed.has_domain_controller() {
            // The reason of a refusal is the type, which is reported below.
            self.dir().write("cgroup.type", "threaded").ok();
        }
        self.check_type(needed)
    }

    fn enable(&self, hierarchy: &Hierarchy, inner: &Path, wish: Wish<'_>) -> Result<()> {
        let inner = inner.strip_prefix("/").unwrap_or(inner);
        let result = enable(hierarchy.mount_point(), inner, self.dir(), wish);
        match result {
            // A threaded ancestor makes these writes fail in ways that say nothing: name the cause.
            // Where the type is fine, the first error is the one to tell.
            Err(error) => Err(self.check_type(wish.needed).err().unwrap_or(error)),
            Ok(()) => Ok(()),
        }
    }

    /// Enable controllers for a cgroup that somebody else made (systemd); like [`Cgroup::create_with`].
    ///
    /// # Errors
    /// [`Error::ControllerUnavailable`] for a needed one, [`Error::WrongType`] where a threaded
    /// ancestor is the cause, or a cgroup on the way cannot be opened.
    pub fn enable_controllers(
        &self,
        hierarchy: &Hierarchy,
        needed: &Controllers,
        wanted: &[&str],
    ) -> Result<()> {
        let inner = self.path.strip_prefix(hierarchy.mount_point()).unwrap_or(&self.path);
        self.enable(hierarchy, inner, Wish { needed, wanted })
    }

    /// Open an existing cgroup by its file system path, as [`Cgroup::path`] gave it.
    ///
    /// # Errors
    /// [`Error::Io`]: it is gone ([`Error::is_gone`]), no directory, or not the caller's to read.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { dir: open_directory(path)?, path: path.to_owned(), existed: false })
    }

    /// Open a cgroup at `relative` below this one, which it cannot leave: neither `..` nor a symbolic link is
    /// followed (openat2 with RESOLVE_BENEATH, Linux 5.6).
    ///
    /// # Errors
    /// [`Error::Io`]: there is none (ENOENT), or the path climbs or crosses a mount (EXDEV) or
    /// passes a symbolic link (ELOOP).
    pub fn open_below(&self, relative: &Path) -> Result<Self> {
        let path = self.path.join(relative);
        let relative = relative.strip_prefix("/").unwrap_or(relative);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let name = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        let dir = rustix::fs::openat2(&self.dir, name, flags, Mode::empty(), resolve)
            .map_err(|errno| Error::io("open", &path, errno))?;
        Ok(Self { dir, path: self.path.join(relative), existed: false })
    }

    /// The directory's path in the file system: what to keep in the container's state.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether [`Cgroup::create`] has taken over a directory that was there: it is not the caller's to remove.
    pub const fn existed(&self) -> bool {
        self.existed
    }

    pub(crate) fn dir(&self) -> Dir<'_> {
        Dir { fd: self.dir.as_fd(), path: &self.path }
    }

    pub(crate) fn refuse_in_use(&self) -> Result<()> {
        // Frozen first: runc's order, and the more surprising of the two states.
        if wait::requested(&self.dir())? {
            return Err(Error::Frozen { path: self.path.clone() });
        }
        // Counts descendants and processes of other pid namespaces as well, which cgroup.procs does not.
        if keyed(&self.dir().read("cgroup.events")?, "populated") != Some(0) {
            let processes = self.procs(true)?.len().max(1);
            return Err(Error::NotEmpty { path: self.path.clone(), processes });
        }
        let children = self.dir().children()?.len();
        let controllers = self.dir().read("cgroup.subtree_control")?.trim().to_owned();
        if children > 0 || !controllers.is_empty() {
            return Err(Error::HasChildren { path: self.path.clone(), children, controllers });
        }
        Ok(())
    }

    /// Whether processes can be born here: after clone3 has answered EOPNOTSUPP or EBUSY, this names the cause.
    ///
    /// # Errors
    /// [`Error::WrongType`] below a threaded cgroup, or in one while domain controllers are
    /// `needed`; cgroup.type cannot be read.
    pub fn check_type(&self, needed: &Controllers) -> Result<()> {
        let kind = self.dir().read("cgroup.type")?.trim().to_owned();
        let refused = match kind.as_str() {
            "domain" | "domain threaded" => false,
            "threaded" => needed.has_domain_controller(),
            _ => true,
        };
        if refused {
            return Err(Error::WrongType { path: self.path.clone(), kind });
        }
        Ok(())
    }

    /// Whether the caller, being in the cgroup `own` (from [`Hierarchy::own_path`]), may bear processes here and move his own
    /// here. The kernel asks for write access to cgroup.procs of the common ancestor as well (cgroups(7), "delegation
    /// containment"). `true` as well where that cannot be told.
    pub fn takes_from(&self, hierarchy: &Hierarchy, own: &Path) -> bool {
        let Ok(own) = hierarchy.locate(own) else { return true };
        let common = own.ancestors().find(|ancestor| self.path.starts_with(ancestor));
        let Some(common) = common.filter(|c| c.starts_with(hierarchy.mount_point())) else {
            return true;
        };
        let file = common.join("cgroup.procs");
        let answer =
            rustix::fs::accessat(rustix::fs::CWD, &file, Access::WRITE_OK, AtFlags::EACCESS);
        !matches!(answer, Err(Errno::ACCESS | Errno::PERM))
    }

    /// The processes in this cgroup, with those of its descendants if `recursive`; in the caller's pid namespace,
    /// unsorted. A descendant that vanishes meanwhile counts as empty.
    ///
    /// # Errors
    /// The cgroup itself is gone, a list of processes or children cannot be read, or a line is no
    /// number ([`Error::BadContent`]).
    pub fn procs(&self, recursive: bool) -> Result<Vec<i32>> {
        let mut pids = Vec::new();
        collect_procs(&self.dir(), recursive, &mut pids)?;
        Ok(pids)
    }

    /// Remove this cgroup and all below it, leaves first. It may be gone already. A directory that stays busy for
    /// 0.6 s is an error: something still runs in it.
    ///
    /// # Errors
    /// As [`remove_tree`].
    pub fn remove(&self) -> Result<()> {
        remove_tree(&self.path)
    }

    /// Wait until no process is left in this cgroup and below it, or it is gone.
    ///
    /// # Errors
    /// [`Error::TimedOut`] after `limit`; cgroup.events cannot be read.
    pub fn wait_empty(&self, limit: Duration) -> Result<()> {
        let waited = wait::wait_event(&self.dir(), "populated", 0, limit);
        match waited {
            Err(error) if error.is_gone() => Ok(()),
            other => other,
        }
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

/// Remove the cgroup at a file system path; see [`Cgroup::remove`].
///
/// # Errors
/// [`Error::Io`]: EBUSY after 0.6 s, or a directory that cannot be listed or removed (no right to).
pub fn remove_tree(path: &Path) -> Result<()> {
    // Most have no children, and listing a cgroup takes the kernel longer than removing it. What is busy is looked at.
    if let Ok(()) | Err(Errno::NOENT) =
        rustix::fs::unlinkat(rustix::fs::CWD, path, AtFlags::REMOVEDIR)
    {
        return Ok(());
    }
    match open_directory(path) {
        Ok(fd) => remove_children(&Dir { fd: fd.as_fd(), path })?,
        Err(error) if error.is_gone() => return Ok(()),
        Err(error) => return Err(error),
    }
    remove_directory(rustix::fs::CWD, path, path)
}

/// Remove all that is below the cgroup at a file system path, and leave that one. It may be gone already.
///
/// # Errors
/// As [`remove_tree`]; what was removed before the error stays removed.
pub fn remove_below(path: &Path) -> Result<()> {
    match open_directory(path) {
        Ok(fd) => remove_children(&Dir { fd: fd.as_fd(), path }),
        Err(error) if error.is_gone() => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove_children(dir: &Dir<'_>) -> Result<()> {
    let names = match dir.children() {
        Err(error) if error.is_gone() => return Ok(()),
        other => other?,
    };
    for name in names {
        let path = dir.path.join(&name);
        match dir.open_child(&name) {
            Ok(fd) => remove_children(&Dir { fd: fd.as_fd(), path: &path })?,
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(Error::io("open", &path, errno)),
        }
        remove_directory(dir.fd, Path::new(&name), &path)?;
    }
    Ok(())
}

fn remove_directory(parent: BorrowedFd<'_>, name: &Path, path: &Path) -> Result<()> {
    let mut pauses = REMOVE_PAUSES.iter();
    loop {
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(Errno::BUSY) => match pauses.next() {
                Some(pause) => std::thread::sleep(Duration::from_millis(*pause)),
                None => return Err(Error::io("rmdir", path, Errno::BUSY)),
            },
            Err(errno) => return Err(Error::io("rmdir", path, errno)),
        }
    }
}

fn collect_procs(dir: &Dir<'_>, recursive: bool, pids: &mut Vec<i32>) -> Result<()> {
    let text = match dir.read("cgroup.procs") {
        // Threaded cgroups do not list processes; the ids of their threads serve for signals as well.
        Err(error) if error.errno() == Some(Errno::OPNOTSUPP) => dir.read("cgroup.threads")?,
        other => other?,
    };
    for line in text.lines() {
        let bad = |_| Error::BadContent { path: dir.path.to_owned(), found: line.to_owned() };
        let pid = line.parse::<i32>().map_err(bad)?;
        // Zero stands for a process outside the caller's pid namespace: nothing can be done with it.
        pids.extend(Some(pid).filter(|pid| *pid > 0));
    }
    if !recursive {
        return Ok(());
    }
    for name in dir.children()? {
        let path = dir.path.join(&name);
        let child = match dir.open_child(&name) {
            Ok(fd) => collect_procs(&Dir { fd: fd.as_fd(), path: &path }, true, pids),
            Err(errno) => Err(Error::io("open", &path, errno)),
        };
        match child {
            Err(error) if error.is_gone() => {}
            other => other?,
        }
    }
    Ok(())
}

/// What [`make_directories`] made, for undoing.
struct Made<'a> {
    path: &'a Path,
    /// How many directories were made, counted from the leaf up.
    count: usize,
    leaf_is_new: bool,
}

impl Made<'_> {
    /// Remove what was made, leaf first. Whatever cannot be removed is in use by now and stays.
    fn undo(&self) {
        for path in self.path.ancestors().take(self.count) {
            if rustix::fs::rmdir(path).is_err() {
                return;
            }
        }
    }
}

fn make_directories<'a>(mount: &Path, path: &'a Path) -> Result<Made<'a>> {
    let mut attempts = CREATE_ATTEMPTS;
    loop {
        let mut made = Made { path, count: 0, leaf_is_new: false };
        match make_upwards(mount, path, &mut made) {
            Err(Errno::NOENT) if attempts > 0 => attempts -= 1,
            Err(errno) => return Err(Error::io("mkdir", path, errno)),
            Ok(()) => return Ok(made),
        }
    }
}

/// mkdir the leaf; only when its parent is missing, the parent first.
fn make_upwards(mount: &Path, path: &Path, made: &mut Made<'_>) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(0o755);
    let result = match rustix::fs::mkdir(path, mode) {
        Err(Errno::NOENT) => match path.parent().filter(|parent| *parent != mount) {
            Some(parent) => {
                make_upwards(mount, parent, made)?;
                rustix::fs::mkdir(path, mode)
            }
            None => Err(Errno::NOENT),
        },
        other => other,
    };
    match result {
        Ok(()) => {
            made.count += 1;
            made.leaf_is_new = path == made.path;
            Ok(())
        }
        // Somebody else's, or made by a concurrent create: then those above it are in use as well.
        Err(Errno::EXIST) => {
            made.count = 0;
            Ok(())
        }
        Err(errno) => Err(errno),
    }
}
