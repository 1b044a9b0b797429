//! Mounts as a tree: what is seen at a path, of several mounts at one place the uppermost.

use crate::mountinfo::{escape, Mount};
use std::ops::Range;

/// The mounts of one mount namespace.
#[derive(Debug)]
pub struct MountTree<'m, 't> {
    mounts: &'m [Mount<'t>],
    /// Numbers of mounts with their places in the table, in order.
    by_id: Vec<(u64, usize)>,
    /// The same by the parent and the mount point; of several, the latest is the last.
    children: Vec<(u64, &'t [u8], usize)>,
    /// Which of `children` lie on each mount: most have none, and every path is looked for on many.
    lying_on: Vec<Range<usize>>,
    /// The first mount at `/`.
    top: Option<usize>,
}

impl<'m, 't> MountTree<'m, 't> {
    /// From the lines of one mountinfo.
    #[must_use]
    pub fn new(mounts: &'m [Mount<'t>]) -> Self {
        let numbered = || mounts.iter().enumerate();
        let mut by_id: Vec<_> = numbered().map(|(index, mount)| (mount.id, index)).collect();
        by_id.sort_unstable();
        let mut children: Vec<_> =
            numbered().map(|(index, mount)| (mount.parent, mount.point, index)).collect();
        children.sort_unstable();
        let mut top = None;
        for (index, mount) in numbered().filter(|(_, mount)| mount.point == b"/") {
            // The root of the mount namespace is its own parent, or has one that is out of sight.
            if mount.parent == mount.id || find(&by_id, mount.parent).is_none() {
                top.get_or_insert(index);
            }
        }
        let lying_on = mounts.iter().map(|mount| those_on(&children, mount.id)).collect();
        Self { mounts, by_id, children, lying_on, top }
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn mounts(&self) -> &'m [Mount<'t>] {
        self.mounts
    }

    /// The mount on which a file of this name lies; `None` without a mount at `/`.
    #[must_use]
    pub fn visible(&self, path: &str) -> Option<&'m Mount<'t>> {
        let escaped = escape(path.as_bytes());
        let mut at = self.uppermost(self.top?, b"/");
        let ends = (1..escaped.len()).filter(|end| escaped[*end] == b'/').chain([escaped.len()]);
        for end in ends.filter(|end| *end > 1) {
            if self.lying_on[at].is_empty() {
                break;
            }
            at = self.uppermost(at, &escaped[..end]);
        }
        Some(&self.mounts[at])
    }

    /// What lies on mount `at` at this place, and on that, and so on.
    fn uppermost(&self, mut at: usize, place: &[u8]) -> usize {
        // A mount that is its own parent does not lie on itself.
        for _ in 0..self.mounts.len() {
            match self.latest_child(at, place) {
                Some(next) if next != at => at = next,
                _ => break,
            }
        }
        at
    }

    fn latest_child(&self, of: usize, place: &[u8]) -> Option<usize> {
        let children = &self.children[self.lying_on[of].clone()];
        let end = children.partition_point(|(_, at, _)| *at <= place);
        let (_, at, index) = children[..end].last()?;
        (*at == place).then_some(*index)
    }

    /// The mount that this one lies on.
    #[must_use]
    pub fn parent(&self, mount: &Mount<'_>) -> Option<&'m Mount<'t>> {
        let parent = find(&self.by_id, mount.parent).map(|index| &self.mounts[index]);
        parent.filter(|parent| parent.id != mount.id)
    }

    /// The mounts that this one lies on, the nearest first.
    pub fn ancestors(&self, mount: &Mount<'_>) -> impl Iterator<Item = &'m Mount<'t>> + '_ {
        let first = self.parent(mount);
        std::iter::successors(first, |mount| self.parent(mount)).take(self.mounts.len())
    }

    /// Both this mount and the one that it lies on follow mounts of the host.
    #[must_use]
    pub fn may_be_propagated(&self, mount: &Mount<'_>) -> bool {
        mount.master.is_some() && self.parent(mount).is_some_and(|parent| parent.master.is_some())
    }
}

fn those_on(children: &[(u64, &[u8], usize)], parent: u64) -> Range<usize> {
    let start = children.partition_point(|(of, _, _)| *of < parent);
    let count = children[start..].partition_point(|(of, _, _)| *of == parent);
    start..start + count
}

/// Of several mounts with one number, the latest.
fn find(by_id: &[(u64, usize)], id: u64) -> Option<usize> {
    let end = by_id.partition_point(|(number, _)| *number <= id);
    by_id[..end].last().filter(|(number, _)| *number == id).map(|(_, index)| *index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mountinfo::parse;

    const TABLE: &[u8] = b"\
1 1 0:1 / / rw - rootfs rootfs rw
2 1 8:1 / / rw - ext4 d rw
3 2 0:3 / /proc rw - proc proc rw
4 3 0:3 /sys /proc/sys ro - proc proc rw
5 3 0:4 / /proc/acpi ro - tmpfs mask rw
6 5 0:4 /dir /proc/acpi ro - tmpfs mask rw
7 2 0:5 / /a\\040b rw - tmpfs t rw
8 2 0:6 / /a\\040b rw - tmpfs u rw
";

    #[test]
    fn of_several_mounts_at_one_place_the_uppermost_is_seen() {
        let mounts = parse(TABLE).unwrap();
        let tree = MountTree::new(&mounts);
        let id = |path: &str| tree.visible(path).unwrap().id;
        assert_eq!(id("/"), 2);
        assert_eq!(id("/etc/passwd"), 2);
        assert_eq!(id("/proc"), 3);
        assert_eq!(id("/proc/kcore"), 3);
        assert_eq!(id("/proc/sys/kernel"), 4);
        assert_eq!(id("/proc/acpi"), 6);
        assert_eq!(id("/a b/c"), 8);
    }

    #[test]
    fn a_mount_that_was_covered_with_its_parent_is_not_seen() {
        let table = [TABLE, b"9 2 0:9 / /proc rw - tmpfs t rw\n"].concat();
        let mounts = parse(&table).unwrap();
        assert_eq!(MountTree::new(&mounts).visible("/proc/sys").unwrap().id, 9);
    }
}
