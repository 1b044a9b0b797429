//! The layers of a mounted overlay as mountinfo shows them, with what each is for: to be judged, not to be mounted again.

use super::{split_options, unescape, Anchor, Options};
use anyhow::{Context as _, Result};
use casemate_kernel::mountinfo::Mount;
use casemate_policy::LayerRole;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A layer: what it is for, as the kernel names it, and where it is, or why nobody can tell.
pub(crate) type Shown = (LayerRole, PathBuf, Result<PathBuf, String>);

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
        match (role, unmapped(path)) {
            (LayerRole::Lower, Some(home)) if !path.exists() => Ok(home),
            _ => anchor.resolve(path, &all).map_err(|error| format!("{error:#}")),
        }
    };
    Ok(named.iter().map(|(role, path)| (*role, path.clone(), find(*role, path))).collect())
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
