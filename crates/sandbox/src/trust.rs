//! Who could change a program: it, every directory on the way to it and every link on that way must belong to somebody whose word
//! counts here. Hooks run with the runtime's privilege, so whoever can replace one is root.
//!
//! It is asked twice: by the rules, before anything is made, and right before a hook runs ([`crate::hooks`]).

use casemate_kernel::{magic, mountinfo};
use casemate_sys::errno_text;
use rustix::fd::AsRawFd as _;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, StatxFlags, CWD};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::path::{Component, Path, PathBuf};

/// Links on one way, as the kernel counts them (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// The id that files of unmapped owners have in a user namespace: there the host's root is one of them.
const OVERFLOW: u32 = 65534;

/// Whose files are trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owners {
    /// The caller.
    pub euid: u32,
    /// The caller sits in the initial user namespace.
    pub initial: bool,
}

impl Owners {
    /// Walk to `path` one name at a time.
    ///
    /// # Errors
    /// Why it is not to be trusted, in words.
    pub fn trust(self, path: &Path) -> Result<(), String> {
        let judge = |at: &Path, found: &Stat| match is_link(found) {
            true if self.is_trusted(found.st_uid) => Ok(()),
            true => Err(format!("{} belongs to uid {}", at.display(), found.st_uid)),
            false => self.judge(at, found),
        };
        let end = walk(path, judge).map_err(|broken| broken.why)?;
        if is_link(&stat(&end)?) {
            is_ours(&end)?;
        }
        self.program(&end)
    }

    fn is_trusted(self, uid: u32) -> bool {
        uid == 0 || uid == self.euid || (!self.initial && uid == OVERFLOW)
    }

    /// A directory that others may write is one in which they may replace entries, unless it is sticky.
    fn judge(self, path: &Path, found: &Stat) -> Result<(), String> {
        let sticky = found.st_mode & 0o1000 != 0;
        let directory = FileType::from_raw_mode(found.st_mode) == FileType::Directory;
        if !self.is_trusted(found.st_uid) {
            return Err(format!("{} belongs to uid {}", path.display(), found.st_uid));
        }
        if found.st_mode & 0o022 != 0 && !(directory && sticky) {
            let mode = found.st_mode & 0o7777;
            return Err(format!("{} may be written by others (mode {mode:04o})", path.display()));
        }
        Ok(())
    }

    fn program(self, path: &Path) -> Result<(), String> {
        let found =
            rustix::fs::stat(path).map_err(|e| format!("{}: {}", path.display(), errno_text(e)))?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => self.judge(path, &found),
            _ => Err(format!("{} is not a regular file", path.display())),
        }
    }
}

/// What a path depends on: every link on the way and where the way ends, each by a path without links. Of a way that leads
/// nowhere, where it would.
///
/// `is_meant` says by the owner of a file whether somebody might change it who is not to: of a way on which nobody might,
/// nothing is told.
#[must_use]
pub fn places(path: &Path, is_meant: impl Fn(u32) -> bool) -> Vec<PathBuf> {
    let (mut found, mut meant) = (Vec::new(), false);
    let end = walk(path, |at, stat| {
        meant |= is_meant(stat.st_uid);
        if is_link(stat) {
            found.push(at.to_owned());
        }
        Ok(())
    });
    found.push(end.unwrap_or_else(|broken| broken.at));
    found.retain(|_| meant);
    found
}

/// A way that ends early: where it would have led, and why it does not.
struct Broken {
    at: PathBuf,
    why: String,
}

/// A file that is named by a link of procfs has to be one of the host's: what another process executes may belong to an image. It
/// lies on a mount of our own then, or, where that process has a mount namespace of its own as some services do, its path there is a
/// path of the same file here.
///
/// # Errors
/// It is not, or that cannot be told; in words.
pub fn is_ours(path: &Path) -> Result<(), String> {
    let about = |error: Errno| format!("{}: {}", path.display(), errno_text(error));
    let fd =
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(about)?;
    let st = rustix::fs::statx(&fd, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map_err(about)?;
    let table = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| format!("/proc/self/mountinfo: {}", error.kind()))?;
    if mountinfo::find(&table, st.stx_mnt_id).map_err(|error| error.to_string())?.is_some() {
        return Ok(());
    }
    let link = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let name = rustix::fs::readlink(link, Vec::new()).map_err(about)?;
    let own = rustix::fs::fstat(&fd).map_err(about)?;
    match rustix::fs::lstat(&name) {
        Ok(found) if (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino) => Ok(()),
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {
            Err(format!("{} is no file of the host's", path.display()))
        }
        Err(error) => Err(about(error)),
    }
}

/// Look at everything that the way to `path` leads over, as long as `look` lets it; the path without links. A last link of
/// procfs is such a path, and is not looked at: dockerd names itself as /proc/PID/exe, and the kernel follows that to the file, not
/// to its name, so that nobody can put another one there. A way that goes on behind one ends there: what the kernel follows is no
/// text, and leads into what another process has for its root.
fn walk(
    path: &Path,
    mut look: impl FnMut(&Path, &Stat) -> Result<(), String>,
) -> Result<PathBuf, Broken> {
    let mut rest: VecDeque<PathBuf> = parts(path).collect();
    let mut at = PathBuf::from("/");
    let mut links = 0;
    stat(&at).and_then(|found| look(&at, &found)).map_err(|why| broken(&at, &rest, why))?;
    while let Some(part) = rest.pop_front() {
        if part == Path::new("..") {
            at.pop();
            continue;
        }
        let next = at.join(part);
        let found = stat(&next).map_err(|why| broken(&next, &rest, why))?;
        if !is_link(&found) {
            look(&next, &found).map_err(|why| broken(&next, &rest, why))?;
            at = next;
            continue;
        }
        links += 1;
        if links > MAX_LINKS {
            return Err(broken(&next, &rest, format!("{}: too many links", next.display())));
        }
        if is_magic(&next).map_err(|why| broken(&next, &rest, why))? {
            if rest.is_empty() {
                return Ok(next);
            }
            let why = format!("{} leads to what another process has", next.display());
            return Err(broken(&next, &rest, why));
        }
        let target = look(&next, &found).and_then(|()| {
            rustix::fs::readlink(&next, Vec::new())
                .map_err(|e| format!("{}: {}", next.display(), errno_text(e)))
        });
        let target = target.map_err(|why| broken(&next, &rest, why))?;
        let target = PathBuf::from(target.to_string_lossy().into_owned());
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        parts(&target).rev().for_each(|part| rest.push_front(part));
    }
    Ok(at)
}

fn broken(at: &Path, rest: &VecDeque<PathBuf>, why: String) -> Broken {
    let mut at = at.to_owned();
    for part in rest {
        match part == Path::new("..") {
            true => _ = at.pop(),
            false => at.push(part),
        }
    }
    Broken { at, why }
}

/// The names of a path, without the root; `.` is none.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = PathBuf> + '_ {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(PathBuf::from(name)),
        Component::ParentDir => Some(PathBuf::from("..")),
        _ => None,
    })
}

fn stat(path: &Path) -> Result<Stat, String> {
    rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|e| format!("{}: {}", path.display(), errno_text(e)))
}

fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Symlink
}

/// A link of procfs that the kernel follows to a file and not by its text (proc(5): exe, cwd, root, fd/N).
fn is_magic(link: &Path) -> Result<bool, String> {
    let about = |error: Errno| format!("{}: {}", link.display(), errno_text(error));
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::open(link, flags, Mode::empty()).map_err(about)?;
    if rustix::fs::fstatfs(&fd).map_err(about)?.f_type as u64 != magic::PROC {
        return Ok(false);
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, link, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Err(Errno::LOOP) => Ok(true),
        // One that leads nowhere is told by its text.
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(about(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{symlink, PermissionsExt};

    fn trust(path: &Path) -> Result<(), String> {
        Owners { euid: rustix::process::geteuid().as_raw(), initial: true }.trust(path)
    }

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    }

    fn scratch(name: &str) -> PathBuf {
        let dir =
            std::env::temp_dir().join(format!("casemate-hooks-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(dir.join("d")).unwrap();
        std::fs::write(dir.join("d/hook"), "#!/bin/sh\n").unwrap();
        for path in [dir.clone(), dir.join("d"), dir.join("d/hook")] {
            set_mode(&path, 0o755);
        }
        dir
    }

    #[test]
    fn a_program_that_only_its_owner_can_change_is_trusted() {
        let dir = scratch("fine");
        assert_eq!(trust(&dir.join("d/hook")), Ok(()));
        assert_eq!(trust(&dir.join("d/../d/./hook")), Ok(()));
        symlink("d/hook", dir.join("link")).unwrap();
        assert_eq!(trust(&dir.join("link")), Ok(()));
        assert_eq!(trust(Path::new("/proc/self/exe")).map_err(|e| e.contains("others")), Ok(()));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn whoever_may_write_the_program_or_a_directory_above_it_spoils_the_trust() {
        let dir = scratch("spoilt");
        for (path, mode) in [("d/hook", 0o775), ("d/hook", 0o757), ("d", 0o777), ("d", 0o775)] {
            set_mode(&dir.join(path), mode);
            assert!(trust(&dir.join("d/hook")).unwrap_err().contains("may be written by others"));
            set_mode(&dir.join(path), 0o755);
        }
        set_mode(&dir.join("d"), 0o1777);
        assert_eq!(trust(&dir.join("d/hook")), Ok(()), "sticky: nobody can replace it");
        symlink(dir.join("d/hook"), dir.join("d/link")).unwrap();
        set_mode(&dir.join("d"), 0o777);
        symlink(dir.join("d/link"), dir.join("over")).unwrap();
        assert!(trust(&dir.join("over")).unwrap_err().contains("may be written by others"));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_way_through_what_another_process_has_is_not_trusted() {
        let dir = scratch("magic");
        let hook = dir.join("d/hook");
        let through = |link: &str| PathBuf::from(format!("/proc/self/{link}{}", hook.display()));
        assert!(trust(&through("root")).unwrap_err().contains("another process"));
        let held = std::fs::File::open(dir.join("d")).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&held);
        let path = PathBuf::from(format!("/proc/self/fd/{number}/hook"));
        assert!(trust(&path).unwrap_err().contains("another process"));
        // By its text: `self` is a link, too.
        let held = std::fs::File::open(&hook).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&held);
        assert_eq!(trust(&PathBuf::from(format!("/proc/self/fd/{number}"))), Ok(()));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_no_program_is_not_trusted() {
        assert!(trust(Path::new("/")).unwrap_err().contains("not a regular file"));
        assert!(trust(Path::new("/nowhere/hook")).unwrap_err().contains("no such file"));
        assert!(trust(Path::new("/dev/null")).is_err());
    }

    #[test]
    fn a_way_is_told_by_its_links_and_its_end_even_where_that_is_missing() {
        let dir = scratch("places");
        symlink("d", dir.join("link")).unwrap();
        let of = |path: PathBuf| places(&path, |_| true);
        assert_eq!(of(dir.join("link/hook")), [dir.join("link"), dir.join("d/hook")]);
        assert_eq!(of(dir.join("link/x/y")), [dir.join("link"), dir.join("d/x/y")]);
        assert!(places(&dir.join("d/hook"), |_| false).is_empty());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
