//! Where a path's file lies beneath what is stacked over it: in a layer of an overlay, or in the directory that a FUSE file system
//! or ecryptfs shows. Who writes there writes the file, and its path tells nothing of it.

use super::names::{stacked_on, within};
use crate::resolve::overlay::shown_layers;
use casemate_kernel::mountinfo::Mount;
use casemate_kernel::MountTree;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// How many file systems lie on each other at most: FILESYSTEM_MAX_STACK_DEPTH of the kernel is 2.
const STACKED: usize = 3;

/// The mounts of the host. Layers are looked up by the names that the kernel tells, which are those that somebody mounted by.
pub(crate) struct Beneath<'m, 't> {
    tree: MountTree<'m, 't>,
    stacks: bool,
}

impl<'m, 't> Beneath<'m, 't> {
    /// From the mounts of the host.
    pub(crate) fn new(mounts: &'m [Mount<'t>]) -> Self {
        let tree = MountTree::new(mounts);
        let root = tree.visible("/").map(|root| root.superblock);
        // The layers of the overlay that `/` lies on may lie where nobody here sees them.
        let stacks = mounts.iter().any(|m| is_stacked(m) && Some(m.superblock) != root);
        Self { tree, stacks }
    }

    /// The other names of `path`, which has no links in it and need not exist.
    ///
    /// # Errors
    /// The layers of an overlay cannot be told.
    pub(crate) fn names(&self, path: &str) -> Result<BTreeSet<String>, String> {
        let mut found = BTreeSet::new();
        if self.stacks {
            self.add(path, STACKED, &mut found)?;
        }
        Ok(found)
    }

    fn add(&self, path: &str, depth: usize, found: &mut BTreeSet<String>) -> Result<(), String> {
        for name in self.directly(path)? {
            if depth == 0 {
                return Err(format!("{path} lies on too many file systems"));
            }
            if found.insert(name.clone()) {
                self.add(&name, depth - 1, found)?;
            }
        }
        Ok(())
    }

    fn directly(&self, path: &str) -> Result<Vec<String>, String> {
        let root = self.tree.visible("/").map(|root| root.superblock);
        let Some(mount) = self.tree.visible(path).filter(|m| Some(m.superblock) != root) else {
            return Ok(Vec::new());
        };
        let Some(inside) = within(mount, path) else { return Ok(Vec::new()) };
        if mount.fstype != "overlay" {
            return Ok(stacked_on(mount, &inside).into_iter().collect());
        }
        let about = |why| format!("the overlay that {path} lies on: {why}");
        let layers = shown_layers(mount).map_err(|error| about(format!("{error:#}")))?;
        let mut names = Vec::new();
        for layer in layers {
            let layer = layer.found.map_err(about)?;
            // By both: what a link led to when it was mounted it may lead to no longer.
            for top in [Some(&layer), real_layer(&layer).as_ref()].into_iter().flatten() {
                let name = top.join(inside.trim_start_matches('/'));
                names.push(name.to_string_lossy().trim_end_matches('/').to_owned());
            }
        }
        Ok(names)
    }

    /// The mount that hides from `path` where its file lies: an overlay or another stacked file system, but the one that `/` is.
    /// The names of its layers do not prove what they are: they may have been moved since, and directories in them renamed
    /// (redirect_dir of overlayfs).
    pub(super) fn hidden_by(&self, path: &str) -> Option<&'m Mount<'t>> {
        let root = self.tree.visible("/").map(|root| root.superblock);
        self.tree.visible(path).filter(|m| is_stacked(m) && Some(m.superblock) != root)
    }
}

/// Where a layer is that somebody has named through links, `..` or with more slashes than it takes; `None` where nothing has this
/// name any more: then nobody is given it by that name either.
pub(super) fn real_layer(layer: &Path) -> Option<PathBuf> {
    layer.canonicalize().ok()
}

/// Its files are others', seen through it.
pub(super) fn is_stacked(mount: &Mount<'_>) -> bool {
    matches!(mount.fstype, "overlay" | "ecryptfs") || mount.base_type() == "fuse"
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_kernel::mountinfo::parse;

    fn names(path: &str) -> Vec<String> {
        const TABLE: &[u8] = b"\
20 1 8:1 / / rw - ext4 /dev/sda1 rw
30 20 0:60 / /m rw - overlay o rw,lowerdir=/srv/l1:/srv/l2,upperdir=/up,workdir=/wk
31 20 0:60 /sub /b rw - overlay o rw,lowerdir=/srv/l1:/srv/l2,upperdir=/up,workdir=/wk
32 20 0:61 / /up rw - fuse.bindfs /srv/real rw
33 20 0:62 / /broken rw - overlay o rw
";
        let mounts = parse(TABLE).unwrap();
        Beneath::new(&mounts).names(path).unwrap().into_iter().collect()
    }

    #[test]
    fn a_file_of_an_overlay_has_a_name_in_each_layer_and_beneath_these() {
        let in_each = ["/srv/l1/h", "/srv/l2/h", "/srv/real/h", "/up/h", "/wk/h"];
        assert_eq!(names("/m/h"), in_each);
        assert_eq!(names("/b/x")[0], "/srv/l1/sub/x");
        assert_eq!(names("/m"), ["/srv/l1", "/srv/l2", "/srv/real", "/up", "/wk"]);
        assert!(names("/srv/h").is_empty());
    }

    #[test]
    fn an_overlay_that_does_not_show_its_layers_is_an_error() {
        let mounts =
            parse(b"20 1 8:1 / / rw - ext4 d rw\n33 20 0:62 / /x rw - overlay o rw\n").unwrap();
        assert!(Beneath::new(&mounts).names("/x/h").is_err());
        assert!(Beneath::new(&mounts).names("/y/h").unwrap().is_empty());
    }

    #[test]
    fn the_overlay_of_the_root_is_left_out() {
        let table = b"20 1 0:9 / / rw - overlay o rw,lowerdir=/l\n21 20 0:9 /x /b rw - overlay o rw,lowerdir=/l\n";
        let mounts = parse(table).unwrap();
        assert!(Beneath::new(&mounts).names("/b/h").unwrap().is_empty());
    }
}
