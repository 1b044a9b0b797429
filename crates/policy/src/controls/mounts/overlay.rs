//! The layers of an overlay that a configuration mounts itself: each is a directory of the host.

use crate::facts::LayerRole;
use crate::mount_options::{FsOption, MountPlanFlags};
use crate::spec::Mount;

/// Options that change how the layers are put together, and reach nothing else.
const KNOWN: [&str; 12] = [
    "index",
    "metacopy",
    "redirect_dir",
    "nfs_export",
    "xino",
    "uuid",
    "userxattr",
    "verity",
    "volatile",
    "fsync",
    "default_permissions",
    "override_creds",
];

/// Options that are labels of SELinux.
const LABELS: [&str; 4] = ["context", "fscontext", "defcontext", "rootcontext"];

/// The layers that the options of `mount` name, in their order, as the kernel would read them
/// (Documentation/filesystems/overlayfs.rst); paths may be relative.
///
/// # Errors
/// An option that names a layer without saying which, or that is none of overlayfs's.
pub fn layers(mount: &Mount) -> Result<Vec<(LayerRole, String)>, String> {
    let flags = MountPlanFlags::parse(&mount.options).map_err(|error| error.to_string())?;
    let mut layers = Vec::new();
    for option in &flags.data {
        read(option, &mut layers)?;
    }
    Ok(layers)
}

/// The options of an overlay that name no layer, for making it once more.
#[must_use]
pub fn is_layer(key: &str) -> bool {
    matches!(key, "lowerdir" | "lowerdir+" | "datadir+" | "upperdir" | "workdir")
}

fn read(option: &FsOption, layers: &mut Vec<(LayerRole, String)>) -> Result<(), String> {
    let key = option.key.as_str();
    if KNOWN.contains(&key) || LABELS.contains(&key) {
        return Ok(());
    }
    if !is_layer(key) {
        return Err(format!("option {key:?} is none that an overlay is known to have"));
    }
    let value = option.value.as_deref().filter(|value| !value.is_empty());
    let value = value.ok_or_else(|| format!("option {key:?} names no directory"))?;
    match key {
        "lowerdir" => lowers(value, layers),
        // These take one path each, as it stands.
        "lowerdir+" => layers.push((LayerRole::Lower, value.to_owned())),
        "datadir+" => layers.push((LayerRole::Data, value.to_owned())),
        "upperdir" => layers.push((LayerRole::Upper, unescape(value))),
        _ => layers.push((LayerRole::Work, unescape(value))),
    }
    Ok(())
}

/// `a:b::c`: what follows two colons is a layer of data only. A backslash takes the meaning from what follows it.
fn lowers(list: &str, layers: &mut Vec<(LayerRole, String)>) {
    let mut role = LayerRole::Lower;
    let mut part = String::new();
    let mut chars = list.chars();
    let mut push = |role, part: &mut String| {
        if !part.is_empty() {
            layers.push((role, std::mem::take(part)));
        }
    };
    let mut colons = 0;
    while let Some(c) = chars.next() {
        if c == ':' {
            colons += 1;
            push(role, &mut part);
            if colons > 1 {
                role = LayerRole::Data;
            }
            continue;
        }
        colons = 0;
        match c {
            '\\' => part.extend(chars.next()),
            other => part.push(other),
        }
    }
    push(role, &mut part);
}

fn unescape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    let mut chars = path.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.extend(chars.next()),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[&str]) -> Result<Vec<(LayerRole, String)>, String> {
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        layers(&Mount { options, ..Mount::default() })
    }

    #[test]
    fn every_spelling_of_a_layer_is_found() {
        use LayerRole::{Data, Lower, Upper, Work};
        type Case<'a> = (&'a [&'a str], Vec<(LayerRole, &'a str)>);
        let cases: [Case<'_>; 8] = [
            (&["lowerdir=/a:/b"], vec![(Lower, "/a"), (Lower, "/b")]),
            (&["lowerdir=/a::/d::/e"], vec![(Lower, "/a"), (Data, "/d"), (Data, "/e")]),
            (&["lowerdir=/a\\:b:c"], vec![(Lower, "/a:b"), (Lower, "c")]),
            (&["lowerdir=/a\\,b,upperdir=/etc"], vec![(Lower, "/a,b"), (Upper, "/etc")]),
            (&["lowerdir+=/a:b", "datadir+=/d"], vec![(Lower, "/a:b"), (Data, "/d")]),
            (&["upperdir=/x\\:y", "workdir=../w"], vec![(Upper, "/x:y"), (Work, "../w")]),
            (&["ro", "index=off,upperdir=/u"], vec![(Upper, "/u")]),
            (&["lowerdir=:/a", "lowerdir=::/b"], vec![(Lower, "/a"), (Data, "/b")]),
        ];
        for (options, wanted) in cases {
            let found = read(options).unwrap();
            let found: Vec<_> = found.iter().map(|(role, path)| (*role, path.as_str())).collect();
            assert_eq!(found, wanted, "{options:?}");
        }
    }

    #[test]
    fn an_option_that_an_overlay_is_not_known_to_have_is_an_error() {
        for options in [["source=/etc"], ["upperdir"], ["upperdir="], ["no_such_option=1"]] {
            assert!(read(&options).is_err(), "{options:?}");
        }
    }
}
