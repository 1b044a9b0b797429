//! Who could change a hook: the program, every directory on the way to it and every link on that way must belong to the
//! one user whose word counts here. Hooks run with the runtime's privilege, so whoever can replace one is root.

use casemate_policy::spec::{Hook, Hooks};
use casemate_policy::{HookFile, HostFacts};
use casemate_sys::errno_text;
use rustix::fs::{AtFlags, FileType, Stat, StatFs, CWD};
use std::collections::{BTreeMap, VecDeque};
use std::path::{Component, Path, PathBuf};

/// Links on one way, as the kernel counts them (path_resolution(7)).
const MAX_LINKS: u32 = 40;

const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// The id that files of unmapped owners have in a user namespace: there the host's root is one of them.
const OVERFLOW: u32 = 65534;

/// Why hooks are not to be trusted, by JSON pointer. startContainer hooks are programs of the container, with its
/// rights: they are not judged.
pub(super) fn faults(hooks: &Hooks, facts: &HostFacts) -> BTreeMap<String, String> {
    let mut faults = BTreeMap::new();
    let owners = Owners { euid: facts.euid, initial: facts.in_initial_userns };
    for (kind, list) in hooks.kinds().iter().filter(|(kind, _)| *kind != "startContainer") {
        for (index, Hook { path, .. }) in list.iter().enumerate() {
            if let Err(reason) = owners.trust(Path::new(path)) {
                faults.insert(format!("/hooks/{kind}/{index}"), reason);
            }
        }
    }
    faults
}

/// What the hooks are, for a list of them and for records; startContainer hooks are files of the container's.
pub(crate) fn files(hooks: &Hooks) -> BTreeMap<String, HookFile> {
    let mut files = BTreeMap::new();
    for (kind, list) in hooks.kinds().iter().filter(|(kind, _)| *kind != "startContainer") {
        for (index, Hook { path, .. }) in list.iter().enumerate() {
            // Without a path or a digest it is on no list, and a record says that it is not known.
            let real = std::fs::read_link(path).ok().filter(|_| path.starts_with("/proc/"));
            let real = real.or_else(|| real_path(Path::new(path))).unwrap_or_default();
            let file = HookFile {
                path: real.to_string_lossy().into_owned(),
                sha256: crate::digest::of_file(path),
            };
            files.insert(format!("/hooks/{kind}/{index}"), file);
        }
    }
    files
}

/// Without links, as the kernel has it; `None` when that cannot be told, see [`files`].
fn real_path(path: &Path) -> Option<PathBuf> {
    let proc = crate::procfs::open().ok()?;
    let file = casemate_sys::mount::open_path(path, false).ok()?;
    crate::overlay::real_path(&proc, &file).ok()
}

/// Whose files are trusted.
struct Owners {
    euid: u32,
    initial: bool,
}

impl Owners {
    fn is_trusted(&self, uid: u32) -> bool {
        uid == 0 || uid == self.euid || (!self.initial && uid == OVERFLOW)
    }

    /// Walk to `path` one name at a time.
    fn trust(&self, path: &Path) -> Result<(), String> {
        let mut rest: VecDeque<PathBuf> = parts(path).collect();
        let mut at = PathBuf::from("/");
        let mut links = 0;
        self.judge(&at, &stat(&at)?)?;
        while let Some(part) = rest.pop_front() {
            if part == Path::new("..") {
                at.pop();
                continue;
            }
            let next = at.join(part);
            let found = stat(&next)?;
            if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
                self.judge(&next, &found)?;
                at = next;
                continue;
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(format!("{}: too many links", next.display()));
            }
            if rest.is_empty() && in_procfs(&at) {
                // dockerd names itself as /proc/PID/exe: the kernel follows that to the file, not to its name, so
                // nobody can put another one there.
                return self.program(&next);
            }
            if !self.is_trusted(found.st_uid) {
                return Err(format!("{} belongs to uid {}", next.display(), found.st_uid));
            }
            let target = rustix::fs::readlink(&next, Vec::new())
                .map_err(|e| format!("{}: {}", next.display(), errno_text(e)))?;
            let target = PathBuf::from(target.to_string_lossy().into_owned());
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            parts(&target).rev().for_each(|part| rest.push_front(part));
        }
        self.program(&at)
    }

    /// A directory that others may write is one in which they may replace entries, unless it is sticky.
    fn judge(&self, path: &Path, found: &Stat) -> Result<(), String> {
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

    fn program(&self, path: &Path) -> Result<(), String> {
        let found =
            rustix::fs::stat(path).map_err(|e| format!("{}: {}", path.display(), errno_text(e)))?;
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => self.judge(path, &found),
            _ => Err(format!("{} is not a regular file", path.display())),
        }
    }
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

/// What cannot be told is no procfs: the link is then judged like any other.
fn in_procfs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|fs: StatFs| fs.f_type as u64 == PROC_SUPER_MAGIC)
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
    fn what_is_no_program_is_not_trusted() {
        assert!(trust(Path::new("/")).unwrap_err().contains("not a regular file"));
        assert!(trust(Path::new("/nowhere/hook")).unwrap_err().contains("no such file"));
        assert!(trust(Path::new("/dev/null")).is_err());
    }
}
