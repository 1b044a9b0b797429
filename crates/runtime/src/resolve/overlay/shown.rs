//! The layers of a mounted overlay as mountinfo shows them, with what each is for: to be judged, not to be mounted again.

use super::{split_options, unescape, Anchor, Options};
use anyhow::{Context as _, Result};
use casemate_kernel::mountinfo::Mount;
use casemate_policy::LayerRole;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A layer.
pub(crate) struct Shown {
    /// What it is for.
    pub(crate) role: LayerRole,
    /// As the kernel names it.
    pub(crate) path: PathBuf,
    /// Where it is, or why nobody can tell.
    pub(crate) found: Result<PathBuf, String>,
    /// It is not where the kernel names it, but where an engine that lays it out so has it from.
    pub(crate) moved: bool,
}

/// All layers of the overlay on `mount`; relative ones are looked for as engines lay them out.
///
/// # Errors
/// Options that cannot be read, or that name no layer.
pub(crate) fn layers(mount: &Mount<'_>) -> Result<Vec<Shown>> {
    let text = std::str::from_utf8(mount.super_options).context("the overlay's options")?;
    let named = named(text);
    let of = |wanted: LayerRole| {
        let found = named.iter().filter(move |(role, _)| *role == wanted);
        found.map(|(_, path)| path.clone())
    };
    let all = Options {
        lowers: of(LayerRole::Lower).chain(of(LayerRole::Data)).collect(),
        upper: of(LayerRole::Upper).next(),
        ..Options::default()
    };
    if all.lowers.is_empty() {
        anyhow::bail!("the overlay's layers are not shown");
    }
    let anchor = Anchor { upper: all.upper.as_deref(), mount_point: &unescape(mount.point) };
    let find = |role, path: &Path| {
        // Some kernels show these as they were written, with a backslash before what would end the option.
        let written = matches!(role, LayerRole::Upper | LayerRole::Work);
        if written && path.as_os_str().as_bytes().contains(&b'\\') {
            return Err("its name has a backslash".to_owned());
        }
        anchor.resolve(path, &all).map_err(|error| format!("{error:#}"))
    };
    let upper = all.upper.as_deref();
    let one = |(role, path): &(LayerRole, PathBuf)| {
        let home = || unmapped(path).or_else(|| unmapped_snapshot(path, upper?));
        let home = (*role == LayerRole::Lower && !path.exists()).then(home).flatten();
        let moved = home.is_some();
        let found = home.map_or_else(|| find(*role, path), Ok);
        Shown { role: *role, path: path.clone(), found, moved }
    };
    Ok(named.iter().map(one).collect())
}

/// Where a layer lies that containers/storage mounted with other ids, as `HOME/ID/mapped/0/l/NAME`: that mount of HOME was
/// needed until the overlay was there, and is gone. `None`: no such layer.
fn unmapped(path: &Path) -> Option<PathBuf> {
    let parts: Vec<&OsStr> = path.iter().collect();
    let [home @ .., _id, mapped, number, links, name] = parts.as_slice() else { return None };
    let digits = number.as_bytes().iter().all(u8::is_ascii_digit);
    if *mapped != "mapped" || *links != "l" || !digits {
        return None;
    }
    Some(home.iter().chain([links, name]).collect())
}

/// The same of containerd 2, which mounts what its snapshots have in common at `ovl-idmappedNUMBER` of its directory for temporary
/// files (prepareIDMappedOverlay in core/mount/mount_linux.go). Of an image with one layer, or with containerd 2.0, the rest of
/// the path does not tell which snapshot it is: it is one of those beside the upper directory, and judged as all of these.
fn unmapped_snapshot(path: &Path, upper: &Path) -> Option<PathBuf> {
    let is_place = |part: &OsStr| {
        let number = part.as_bytes().strip_prefix(b"ovl-idmapped");
        number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    };
    path.iter().find(|part| is_place(part))?;
    let snapshots = upper.parent()?.parent()?;
    snapshots.ends_with("snapshots").then(|| snapshots.to_owned())
}

fn named(text: &str) -> Vec<(LayerRole, PathBuf)> {
    let mut found = Vec::new();
    for option in split_options(text) {
        let Some((key, value)) = option.split_once('=') else { continue };
        match key {
            "lowerdir" => lowers(value, &mut found),
            "lowerdir+" => found.push((LayerRole::Lower, unescape(value))),
            "datadir+" => found.push((LayerRole::Data, unescape(value))),
            "upperdir" => found.push((LayerRole::Upper, unescape(value))),
            "workdir" => found.push((LayerRole::Work, unescape(value))),
            _ => {}
        }
    }
    found
}

/// `a:b::c`: what follows two colons is a layer of data only; a colon of a path has a backslash before it.
fn lowers(list: &str, found: &mut Vec<(LayerRole, PathBuf)>) {
    let list = unescape(list).into_os_string().into_vec();
    let (mut role, mut part) = (LayerRole::Lower, Vec::new());
    let mut bytes = list.into_iter().chain([b':']);
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => part.extend(bytes.next()),
            b':' if part.is_empty() => role = LayerRole::Data,
            b':' => {
                found.push((role, PathBuf::from(OsString::from_vec(std::mem::take(&mut part)))))
            }
            other => part.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_mounted_with_other_ids_is_looked_for_where_it_was_mapped_from() {
        let home = |path| unmapped(Path::new(path)).map(|p| p.to_str().unwrap().to_owned());
        let found = home("/s/overlay/0f/mapped/0/l/JZJH");
        assert_eq!(found.as_deref(), Some("/s/overlay/l/JZJH"));
        for other in ["/s/overlay/l/JZJH", "/s/mapped/0/m/X", "/s/x/mapped/y/l/X", "l/X"] {
            assert_eq!(home(other), None, "{other}");
        }
    }

    #[test]
    fn a_snapshot_mounted_with_other_ids_is_one_of_those_beside_the_upper_directory() {
        let upper = Path::new("/c/io.containerd.snapshotter.v1.overlayfs/snapshots/42/fs");
        let all = upper.parent().unwrap().parent();
        for lower in ["/tmp/ovl-idmapped93/fs", "/t/ovl-idmapped1/7/fs", "/tmp/ovl-idmapped1/0"] {
            assert_eq!(unmapped_snapshot(Path::new(lower), upper).as_deref(), all, "{lower}");
        }
        for (lower, upper) in [
            ("/tmp/ovl-idmapped/fs", "/c/snapshots/42/fs"),
            ("/tmp/ovl-idmappedx/fs", "/c/snapshots/42/fs"),
            ("/tmp/7/fs", "/c/snapshots/42/fs"),
            ("/tmp/ovl-idmapped1/fs", "/srv/x/y"),
        ] {
            assert_eq!(unmapped_snapshot(Path::new(lower), Path::new(upper)), None, "{lower}");
        }
    }

    #[test]
    fn every_layer_is_found_with_what_it_is_for() {
        use LayerRole::{Data, Lower, Upper, Work};
        type Case<'a> = (&'a str, Vec<(LayerRole, &'a str)>);
        let cases: [Case<'_>; 5] = [
            (
                "rw,lowerdir=/a:/b::/c::/d",
                vec![(Lower, "/a"), (Lower, "/b"), (Data, "/c"), (Data, "/d")],
            ),
            ("rw,lowerdir=a\\134:b:c", vec![(Lower, "a:b"), (Lower, "c")]),
            ("rw,lowerdir+=/a,datadir+=/b", vec![(Lower, "/a"), (Data, "/b")]),
            (
                "rw,context=\"x,upperdir=/no\",lowerdir=/a,upperdir=/e\\040f,workdir=/w,index=off",
                vec![(Lower, "/a"), (Upper, "/e f"), (Work, "/w")],
            ),
            (
                "rw,lowerdir=/a\"b,upperdir=/e,workdir=/w",
                vec![(Lower, "/a\"b"), (Upper, "/e"), (Work, "/w")],
            ),
        ];
        for (text, wanted) in cases {
            let found = named(text);
            let found: Vec<_> = found.iter().map(|(r, p)| (*r, p.to_str().unwrap())).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
