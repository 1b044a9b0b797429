//! File systems over places of the host that show what lies elsewhere: the layers of an overlay over /etc or over `/` itself, a
//! directory that bindfs shows in /usr. What is written there appears in the host's system.

use super::beneath::{is_stacked, real_layer};
use super::names::{rest_of, stacked_on, text};
use crate::resolve::overlay::{shown_layers, Shown};
use casemate_kernel::mountinfo::{Mount, Superblock};
use casemate_policy::{is_below, usual, FileFact, FileKind, LayerRole, Usual};
use std::path::Path;

/// How often what is shown may be shown again: FILESYSTEM_MAX_STACK_DEPTH of the kernel is 2.
const STACKED: usize = 3;

/// Directories, each with the place at which it is shown.
pub(super) struct Above(Vec<(String, String)>);

impl Above {
    /// Of what is mounted, but in places of engines.
    ///
    /// # Errors
    /// What an overlay over a place of the host shows cannot be told.
    pub(super) fn look(mounts: &[Mount<'_>], root: Option<Superblock>) -> Result<Self, String> {
        let mut shown = Vec::new();
        for mount in mounts {
            if !is_stacked(mount) {
                continue;
            }
            let point = text(mount.point).into_owned();
            let over = match usual(&point) {
                // Its layers are protected as the engine's data.
                Usual::Engine => continue,
                _ if Some(mount.superblock) == root => Over::Root,
                Usual::Host if is_system(&point) => Over::Host,
                _ => Over::Data,
            };
            match over {
                _ if mount.fstype == "overlay" => add_layers(mount, &point, over, &mut shown)?,
                Over::Host => {
                    let source = stacked_on(mount, &text(mount.root));
                    shown.extend(source.map(|source| (source, point)));
                }
                Over::Root | Over::Data => {}
            }
        }
        Ok(Self(shown))
    }

    /// Adds to `file` the paths at which it is shown, or what is in it, and where that is shown again.
    pub(super) fn name(&self, file: &mut FileFact) {
        for _ in 0..STACKED {
            let (names, holds) = self.of(file);
            if names.is_empty() && holds.is_empty() {
                break;
            }
            file.names.extend(names);
            file.holds.extend(holds);
        }
    }

    /// Those that `file` does not have yet.
    fn of(&self, file: &FileFact) -> (Vec<String>, Vec<String>) {
        let (mut names, mut holds) = (Vec::new(), Vec::new());
        for (layer, point) in &self.0 {
            for name in file.all_names() {
                if let Some(rest) = rest_of(name, layer) {
                    names.push(join(point, rest));
                } else if file.kind == FileKind::Directory && is_below(layer, name) {
                    holds.push(point.clone());
                }
            }
            // What is in it may be a layer of more.
            let inner =
                file.holds.iter().any(|at| rest_of(at, layer).is_some() || is_below(layer, at));
            if inner {
                holds.push(point.clone());
            }
        }
        names.retain(|name| !file.all_names().any(|known| known == name));
        holds.retain(|point| !file.holds.contains(point));
        for list in [&mut names, &mut holds] {
            list.sort_unstable();
            list.dedup();
        }
        (names, holds)
    }
}

/// Of the system that runs here: the host keeps other systems' roots, and what runs now, in its /run and /var.
fn is_system(point: &str) -> bool {
    !["/run", "/var"].iter().any(|top| is_below(point, top))
}

/// What an overlay lies over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Over {
    /// It is what `/` lies on, which may have been mounted where nobody here sees its layers.
    Root,
    /// A place of the host: each layer has to be told, but those that nobody has by their name any more.
    Host,
    /// Data: where a layer of these cannot be told nothing is lost.
    Data,
}

fn add_layers(
    mount: &Mount<'_>,
    point: &str,
    over: Over,
    shown: &mut Vec<(String, String)>,
) -> Result<(), String> {
    let about = |why: String| format!("the overlay on {point}: {why}");
    let layers = match shown_layers(mount) {
        Ok(layers) => layers,
        Err(error) if over == Over::Host => return Err(about(format!("{error:#}"))),
        Err(_) => return Ok(()),
    };
    let top = text(mount.root);
    // What is written is made in the work directory, and moved from there.
    for Shown { role, found, .. } in layers {
        let layer = match found {
            Ok(layer) => layer,
            Err(why)
                if over == Over::Host && matches!(role, LayerRole::Upper | LayerRole::Work) =>
            {
                return Err(about(why));
            }
            // Nobody can find it by this name.
            Err(_) => continue,
        };
        if over == Over::Host && layer.starts_with("/proc") {
            return Err(about(format!("{} was another process's", layer.display())));
        }
        let real = if over == Over::Data { None } else { real_layer(&layer) };
        let written = (over != Over::Root && real.as_ref() != Some(&layer)).then_some(layer);
        for layer in [written, real].into_iter().flatten() {
            let dir = join(&layer.to_string_lossy(), top.trim_start_matches('/'));
            shown.push((dir, point.to_owned()));
        }
    }
    Ok(())
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
        let above = Above::look(&mounts, Some(mounts[0].superblock)).unwrap();
        let named = |path: &str| {
            let kind = FileKind::Directory;
            let mut file = FileFact { path: path.to_owned(), kind, ..FileFact::default() };
            above.name(&mut file);
            (file.names, file.holds)
        };
        assert_eq!(named("/data/up/cron.d").0, ["/etc/cron.d"]);
        assert_eq!(named("/data").1, ["/etc"]);
        assert_eq!(named("/data/wk").0, ["/etc"]);
        assert_eq!(named("/srv/u"), (vec![], vec![]));
    }
}
