//! An overlay, put together for the container or by somebody on the host before: its layers are places of the host like the source of a bind.

use super::observed::Part;
use super::path::{is_read_only, is_within, point};
use super::places::{by_name, Access};
use super::question::Floor;
use casemate_kernel::mountinfo::{unescape, Mount};

/// The options that name directories (Documentation/filesystems/overlayfs.rst), and whether they are written.
const LAYERS: [(&str, Access); 6] = [
    ("lowerdir", Access::Read),
    ("lowerdir+", Access::Read),
    ("datadir+", Access::Read),
    ("upperdir", Access::Write),
    ("workdir", Access::Write),
    ("datadir", Access::Read),
];

pub(super) fn check(floor: &mut Floor<'_>, mount: &Mount<'_>) {
    for (layer, access) in layers(mount) {
        let access = if is_read_only(mount) { Access::Read } else { access };
        let granted = |name: &str| floor.granted(name);
        if is_data(floor, &layer) {
            continue;
        }
        if let Some(hit) = by_name(&layer, access, floor.seen.caller.privileged)
            .filter(|hit| !hit.is_excused(granted))
        {
            let what = || format!("{} is an overlay with {}", point(mount), hit.what);
            floor.violation("mounts.places", hit.allow, what);
        }
    }
}

/// The node's policy calls it data.
fn is_data(floor: &Floor<'_>, path: &str) -> bool {
    let Part::Seen(host) = &floor.seen.host else { return false };
    host.data.iter().any(|top| is_within(path, top))
}

fn layers(mount: &Mount<'_>) -> Vec<(String, Access)> {
    let mut found = Vec::new();
    // A comma in a name is escaped by the kernel.
    for option in mount.super_options.split(|byte| *byte == b',') {
        let plain = unescape(option);
        let plain = String::from_utf8_lossy(&plain);
        let Some((key, value)) = plain.split_once('=') else { continue };
        let Some((_, access)) = LAYERS.iter().find(|(name, _)| *name == key) else { continue };
        let paths = if key == "lowerdir" { split(value) } else { vec![value] };
        let absolute = paths.into_iter().filter(|path| path.starts_with('/'));
        // The file system's own escape, beside the kernel's.
        found.extend(absolute.map(|path| (path.replace('\\', ""), *access)));
    }
    found
}

/// At each colon that has no backslash before it.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begin, mut escaped) = (0, false);
    for (index, c) in text.char_indices() {
        if c == ':' && !escaped {
            parts.push(&text[begin..index]);
            begin = index + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    parts.push(&text[begin..]);
    parts
}
