//! By which other paths the host shows a file: through every mount of the same file system, compared in that file
//! system's own paths. (Two mounts of one file system have one superblock, `major:minor` of mountinfo; `st_dev`
//! differs between subvolumes of btrfs.)

use casemate_kernel::mountinfo::{unescape, Mount, Superblock};
use casemate_kernel::MountTree;
use casemate_policy::{is_below, FileFact, FileKind};
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

/// A file by its file system and its path there, whatever mounts show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    superblock: Superblock,
    inside: String,
}

impl Spot {
    /// True when `other` lies in this directory.
    pub(super) fn holds(&self, other: &Self) -> bool {
        self.superblock == other.superblock && is_below(&other.inside, &self.inside)
    }
}

/// The mounts that the runtime sees.
pub(super) struct Mounts<'m, 't> {
    all: &'m [Mount<'t>],
    /// What covers what.
    tree: MountTree<'m, 't>,
    /// By number.
    by_id: HashMap<u64, usize>,
    /// By file system.
    by_superblock: HashMap<Superblock, Vec<usize>>,
    /// The number of the one on `/`.
    root: u64,
}

impl<'m, 't> Mounts<'m, 't> {
    /// From a table that was read; `root`: the number of the mount on `/`.
    pub(super) fn new(all: &'m [Mount<'t>], root: u64) -> Self {
        let by_id = all.iter().enumerate().map(|(index, mount)| (mount.id, index)).collect();
        let mut by_superblock = HashMap::<_, Vec<usize>>::new();
        for (index, mount) in all.iter().enumerate() {
            by_superblock.entry(mount.superblock).or_default().push(index);
        }
        Self { all, tree: MountTree::new(all), by_id, by_superblock, root }
    }

    /// The file system that `/` lies on.
    pub(super) fn root(&self) -> Option<Superblock> {
        self.get(self.root).map(|mount| mount.superblock)
    }

    /// All of them, in the order of mountinfo.
    pub(super) fn all(&self) -> &'m [Mount<'t>] {
        self.all
    }

    /// The mount that a path without links lies on, by its text.
    pub(super) fn seen_at(&self, path: &str) -> Option<&'m Mount<'t>> {
        self.tree.visible(path)
    }

    /// Another mount is seen where this one is.
    pub(super) fn is_covered(&self, mount: &Mount<'_>) -> bool {
        self.seen_at(&text(mount.point)).is_none_or(|seen| seen.id != mount.id)
    }

    fn get(&self, id: u64) -> Option<&Mount<'t>> {
        self.by_id.get(&id).map(|index| &self.all[*index])
    }

    /// All mounts of a file system, in the order of mountinfo.
    fn of(&self, superblock: Superblock) -> impl Iterator<Item = &Mount<'t>> {
        let found = self.by_superblock.get(&superblock).map(Vec::as_slice).unwrap_or_default();
        found.iter().map(|index| &self.all[*index])
    }

    /// Adds to `file`, which lies on mount `id`, what other mounts of its file system say about it.
    ///
    /// # Errors
    /// A file that lies on none of these mounts: nothing can be said about it.
    pub(super) fn name(&self, file: &mut FileFact, id: u64) -> Result<(), String> {
        let foreign = || "lies on a mount that cannot be seen here".to_owned();
        let own = self.get(id).ok_or_else(foreign)?;
        let inside = within(own, &file.path).ok_or_else(foreign)?;
        for mount in self.of(own.superblock).filter(|mount| mount.id != id) {
            let (top, point) = (text(mount.root), text(mount.point));
            if let Some(rest) = rest_of(&inside, &top) {
                let path = join(&point, rest);
                let known = path == file.path || file.names.contains(&path);
                if !known && self.shows(mount, &path, file) {
                    file.names.push(path);
                }
            } else if file.kind == FileKind::Directory && is_below(&top, &inside) {
                file.holds.push(point.into_owned());
            }
        }
        file.names.extend(stacked_on(own, &inside));
        self.place(file, own, &inside);
        Ok(())
    }

    /// The numbers of loop devices that are mounted. Where snapd mounts its images they lie in a place of the host anyway.
    pub(super) fn loops(&self) -> BTreeSet<u32> {
        const LOOP_MAJOR: u32 = 7;
        let of = |mount: &Mount<'_>| {
            let name = mount.source.strip_prefix(b"/dev/loop").unwrap_or_default();
            let digits = name.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = std::str::from_utf8(&name[..digits]).ok()?.parse().ok();
            let superblock = mount.superblock;
            number.or((superblock.major == LOOP_MAJOR).then_some(superblock.minor))
        };
        let snap = |mount: &&Mount<'_>| !mount.point.starts_with(b"/snap/");
        self.all.iter().filter(snap).filter_map(of).collect()
    }

    /// What the file system of `mount` calls the file that the host shows as `path` there.
    pub(super) fn spot_on(mount: &Mount<'_>, path: &str) -> Option<Spot> {
        Some(Spot { superblock: mount.superblock, inside: within(mount, path)? })
    }

    /// What the file system of mount `id` itself calls the file that the host shows as `path` there.
    pub(super) fn spot(&self, path: &str, id: u64) -> Option<Spot> {
        Self::spot_on(self.get(id)?, path)
    }

    /// Where on its file system it lies, seen from the host's root.
    fn place(&self, file: &mut FileFact, own: &Mount<'_>, inside: &str) {
        let Some(root) = self.get(self.root) else { return };
        if root.superblock == own.superblock {
            file.outside_root = rest_of(inside, &text(root.root)).is_none();
            return;
        }
        let top = text(own.root);
        let above = |mount: &Mount<'_>| is_below(&top, &text(mount.root));
        file.unseen = top != "/" && !self.of(own.superblock).any(above);
    }

    /// Whether `path` on `mount` is this very file. Where another mount covers the path nobody can look, and it counts
    /// as one. (Mounts of one NFS server share a superblock and are different directories.)
    fn shows(&self, mount: &Mount<'_>, path: &str, file: &FileFact) -> bool {
        if self.seen_at(path).is_none_or(|seen| seen.id != mount.id) {
            return true;
        }
        match rustix::fs::lstat(path) {
            Ok(found) => (found.st_dev, found.st_ino) == (file.device, file.inode),
            Err(error) => error != rustix::io::Errno::NOENT,
        }
    }

    /// The overlay that mount `id` shows, unless it is the one that `/` lies on: the host's own, whose layers may lie
    /// where nobody here sees them.
    pub(super) fn overlay(&self, id: u64) -> Option<&Mount<'t>> {
        let own = self.get(id).filter(|mount| mount.fstype == "overlay")?;
        let root = self.get(self.root);
        root.is_none_or(|root| root.superblock != own.superblock).then_some(own)
    }

    /// The mounts below directory `path` of mount `id`, outer ones first.
    pub(super) fn below(&self, id: u64, path: &str) -> Vec<Mount<'t>> {
        let mut inside = HashSet::from([id]);
        let mut found = Vec::new();
        for mount in self.all {
            if inside.contains(&mount.parent) && is_below(&text(mount.point), path) {
                inside.insert(mount.id);
                found.push(*mount);
            }
        }
        found
    }
}

/// What the file `inside` lies on below, where its file system shows a directory of the host's and says which (mountinfo's
/// source: bindfs, gocryptfs, ecryptfs). What has another server, or a bucket, says no path; a device is no directory.
pub(super) fn stacked_on(mount: &Mount<'_>, inside: &str) -> Option<String> {
    let source = text(mount.source);
    let stacks = mount.fstype == "ecryptfs" || mount.base_type() == "fuse";
    let is_path = source.starts_with('/') && source != "/dev/fuse" && !is_below(&source, "/dev");
    let rest = rest_of(inside, "/")?;
    (stacks && is_path).then(|| join(&source, rest))
}

pub(super) fn text(field: &[u8]) -> Cow<'_, str> {
    match unescape(field) {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

/// The path on the file system of what the host shows as `path` on this mount.
pub(super) fn within(mount: &Mount<'_>, path: &str) -> Option<String> {
    let rest = rest_of(path, &text(mount.point))?;
    Some(join(&text(mount.root), rest))
}

/// What is behind the directory `top` in `path`; empty for the directory itself.
pub(super) fn rest_of<'p>(path: &'p str, top: &str) -> Option<&'p str> {
    let rest = path.strip_prefix(top.trim_end_matches('/'))?;
    (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/'))
}

fn join(top: &str, rest: &str) -> String {
    let joined = Path::new(top).join(rest);
    let text = joined.to_string_lossy();
    match rest.is_empty() {
        true => top.to_owned(),
        false => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_kernel::mountinfo::parse;

    const TABLE: &[u8] = b"\
20 1 0:30 /@ / rw shared:1 - btrfs /dev/vda rw
21 20 0:30 /@home /home rw - btrfs /dev/vda rw
22 20 0:30 / /mnt/top rw - btrfs /dev/vda rw
23 20 0:30 /@/srv/v /mnt/v rw - btrfs /dev/vda rw
24 20 8:1 /srv/x /mnt/host rw - ext4 /dev/sdb1 rw
25 23 0:40 / /mnt/v/sub rw - tmpfs tmpfs rw
26 25 0:41 / /mnt/v/sub/ns rw - nsfs nsfs rw
";

    fn named(path: &str, id: u64) -> FileFact {
        let table = parse(TABLE).unwrap();
        let mounts = Mounts::new(&table, 20);
        let kind = FileKind::Directory;
        let mut file = FileFact { path: path.to_owned(), kind, ..FileFact::default() };
        mounts.name(&mut file, id).unwrap();
        file
    }

    #[test]
    fn another_subvolume_of_the_file_system_of_the_root_is_outside_of_it() {
        assert!(named("/mnt/top/@snapshots/1/etc", 22).outside_root);
        assert!(named("/home/u", 21).outside_root);
        assert!(!named("/mnt/v/a", 23).outside_root);
        assert!(!named("/srv", 20).outside_root);
    }

    #[test]
    fn what_is_mounted_from_below_a_directory_is_held_by_it() {
        let held = named("/mnt/top", 22).holds;
        assert_eq!(held, ["/", "/home", "/mnt/v"]);
        assert_eq!(named("/mnt/top/@/srv", 22).holds, ["/mnt/v"]);
    }

    #[test]
    fn what_nobody_can_see_the_whole_of_is_told() {
        assert!(named("/mnt/host/a", 24).unseen);
        assert!(!named("/mnt/v/sub", 25).unseen);
    }

    #[test]
    fn what_a_stacked_file_system_shows_has_the_name_below() {
        const STACKED: &[u8] = b"\
20 1 8:1 / / rw - ext4 /dev/sda1 rw
30 20 0:60 / /mnt/b rw - fuse /etc rw
31 20 0:61 / /mnt/c rw - fuse.bindfs /srv/x rw
32 20 0:62 / /mnt/e rw - ecryptfs / rw
33 20 0:63 / /mnt/s rw - fuse.s3fs s3fs rw
34 20 0:64 / /mnt/r rw - fuse.rclone remote:bucket rw
35 20 0:65 / /mnt/n rw - fuseblk /dev/sdb1 rw
36 20 0:66 / /mnt/h rw - fuse.sshfs root@host:/etc rw
";
        let names = |path: &str, id: u64| {
            let table = parse(STACKED).unwrap();
            let mounts = Mounts::new(&table, 20);
            let mut file = FileFact { path: path.to_owned(), ..FileFact::default() };
            mounts.name(&mut file, id).unwrap();
            file.names
        };
        assert_eq!(names("/mnt/b/ssh", 30), ["/etc/ssh"]);
        assert_eq!(names("/mnt/c", 31), ["/srv/x"]);
        assert_eq!(names("/mnt/e/usr", 32), ["/usr"]);
        for (path, id) in [("/mnt/s/a", 33), ("/mnt/r", 34), ("/mnt/n", 35), ("/mnt/h", 36)] {
            assert!(names(path, id).is_empty(), "{path}");
        }
    }

    #[test]
    fn a_file_on_no_mount_is_an_error() {
        let table = parse(TABLE).unwrap();
        let mounts = Mounts::new(&table, 20);
        let mut file = FileFact { path: "/x".to_owned(), ..FileFact::default() };
        assert!(mounts.name(&mut file, 99).is_err());
        let mut file = FileFact { path: "/elsewhere".to_owned(), ..FileFact::default() };
        assert!(mounts.name(&mut file, 23).is_err());
    }

    #[test]
    fn mounts_below_are_found_with_those_below_them() {
        let table = parse(TABLE).unwrap();
        let mounts = Mounts::new(&table, 20);
        let ids: Vec<u64> = mounts.below(23, "/mnt/v").iter().map(|mount| mount.id).collect();
        assert_eq!(ids, [25, 26]);
    }
}
