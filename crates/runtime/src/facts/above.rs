//! Overlays that show a directory of the host as one of their layers: what is written there appears at another path, which may
//! be the host's system (an overlay over /etc or /usr).

use super::names::{rest_of, text};
use crate::overlay::shown_layers;
use casemate_kernel::mountinfo::{Mount, Superblock};
use casemate_policy::{is_below, usual, FileFact, FileKind, LayerRole, Usual};
use std::path::Path;

/// Layers, each with the place at which it is shown.
pub(super) struct Above(Vec<(String, String)>);

impl Above {
    /// Of the overlays among these mounts. Left out are the one that `root` is, whose layers may lie where nobody here sees them, and
    /// those of engines: their layers are protected as the engine's data.
    pub(super) fn look(mounts: &[Mount<'_>], root: Option<Superblock>) -> Self {
        let mut shown = Vec::new();
        let of_host = |mount: &&Mount<'_>| {
            mount.fstype == "overlay"
                && Some(mount.superblock) != root
                && usual(&text(mount.point)) != Usual::Engine
        };
        for mount in mounts.iter().filter(of_host) {
            // What shows no layers has none that could be compared.
            let layers = shown_layers(mount).unwrap_or_default();
            let (top, point) = (text(mount.root), text(mount.point).into_owned());
            for (role, _, layer) in layers {
                // Nor has a layer that nobody can find by its name.
                if let (true, Ok(layer)) = (role != LayerRole::Work, layer) {
                    let dir = join(&layer.to_string_lossy(), top.trim_start_matches('/'));
                    shown.push((dir, point.clone()));
                }
            }
        }
        Self(shown)
    }

    /// Adds to `file` the paths at which overlays show it, or what is in it.
    pub(super) fn name(&self, file: &mut FileFact) {
        let own: Vec<String> = file.all_names().map(str::to_owned).collect();
        for (layer, point) in &self.0 {
            for name in &own {
                if let Some(rest) = rest_of(name, layer) {
                    file.names.push(join(point, rest));
                } else if file.kind == FileKind::Directory && is_below(layer, name) {
                    file.holds.push(point.clone());
                }
            }
        }
    }
}

fn join(top: &str, rest: &str) -> String {
    match rest.is_empty() {
        true => top.to_owned(),
        false => Path::new(top).join(rest).to_string_lossy().into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_kernel::mountinfo::parse;

    #[test]
    fn a_layer_of_an_overlay_over_the_hosts_system_has_that_name() {
        let table = b"\
20 1 8:1 / / rw - ext4 /dev/sda1 rw
30 20 0:60 / /etc rw - overlay o rw,lowerdir=/etc,upperdir=/data/up,workdir=/data/wk
31 20 0:61 / /var/lib/docker/overlay2/x/merged rw - overlay o rw,lowerdir=/srv/l,upperdir=/srv/u
";
        let mounts = parse(table).unwrap();
        let above = Above::look(&mounts, Some(mounts[0].superblock));
        let named = |path: &str| {
            let kind = FileKind::Directory;
            let mut file = FileFact { path: path.to_owned(), kind, ..FileFact::default() };
            above.name(&mut file);
            (file.names, file.holds)
        };
        assert_eq!(named("/data/up/cron.d").0, ["/etc/cron.d"]);
        assert_eq!(named("/data").1, ["/etc"]);
        assert_eq!(named("/data/wk"), (vec![], vec![]));
        assert_eq!(named("/srv/u"), (vec![], vec![]));
    }
}
