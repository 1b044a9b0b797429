//! The container's tree: root, mounts, what of the kernel is hidden, devices.

use super::judgement::{some, Judgement};
use crate::observe::{sources, Access, Mount, Observation};
use casemate_policy::Profile;
use std::collections::BTreeSet;

/// What the floor says of a process that runs: this module has no opinion of its own about that. `None`: a configuration.
fn below_floor(seen: &Observation, profile: &Profile, invariants: &[&str]) -> Option<Vec<String>> {
    let evidence = seen.evidence.as_ref()?;
    let found = evidence.ask(profile.name, &BTreeSet::new()).violations;
    let found = found.into_iter().filter(|one| invariants.contains(&one.invariant));
    Some(found.map(|violation| violation.what).collect())
}

pub(super) fn propagation(seen: &Observation, _: &Profile) -> Judgement {
    let mut found: Vec<String> =
        seen.mounts.iter().filter(|mount| mount.shared).map(|mount| mount.point.clone()).collect();
    if seen.root_shared && !found.iter().any(|point| point == "/") {
        found.insert(0, "/".to_owned());
    }
    let shown = if found.is_empty() { "nothing".to_owned() } else { some(&found) };
    Judgement::new(found.is_empty(), format!("{shown} reaches the host"))
}

/// Mounts that show a path of the host; the root itself is the image.
fn binds(seen: &Observation) -> impl Iterator<Item = (&Mount, &str)> {
    seen.mounts
        .iter()
        .filter(|mount| mount.point != "/")
        .filter_map(|mount| Some((mount, mount.source.as_deref()?)))
}

pub(super) fn sources(seen: &Observation, profile: &Profile) -> Judgement {
    if let Some(found) = below_floor(seen, profile, &["mounts.types", "mounts.places"]) {
        let shown = if found.is_empty() { "none".into() } else { some(&found) };
        return Judgement::new(found.is_empty(), shown);
    }
    // Where a directory of the kernel's own file systems stands on its usual place, it is what every container has.
    let usual = |mount: &Mount, source: &str| {
        source == mount.point && matches!(source, "/sys" | "/proc" | "/dev")
    };
    let found: Vec<String> = binds(seen)
        .filter(|(mount, source)| !usual(mount, source))
        .filter_map(|(mount, source)| {
            sources::danger(source)?;
            Some(format!("{source} on {}", mount.point))
        })
        .collect();
    Judgement::new(found.is_empty(), if found.is_empty() { "none".into() } else { some(&found) })
}

pub(super) fn flags(seen: &Observation, _: &Profile) -> Judgement {
    let device = |source: &str| source.starts_with("/dev/");
    let all: Vec<(&Mount, &str)> = binds(seen).filter(|(_, source)| !device(source)).collect();
    let lax: Vec<String> = all
        .iter()
        .filter(|(mount, _)| !(mount.has("nosuid") && mount.has("nodev")))
        .map(|(mount, _)| mount.point.clone())
        .collect();
    let shown = match (all.len(), lax.len()) {
        (0, _) => "no volumes".to_owned(),
        (1, 0) => "one volume, nosuid and nodev".to_owned(),
        (n, 0) => format!("{n} volumes, all nosuid and nodev"),
        (n, _) => format!("{} of {n} volumes lack nosuid or nodev: {}", lax.len(), some(&lax)),
    };
    Judgement::new(lax.is_empty(), shown)
}

pub(super) fn cgroup(seen: &Observation, _: &Profile) -> Judgement {
    let mount = seen.mounts.iter().find(|mount| {
        mount.kind.starts_with("cgroup")
            || (mount.kind == "bind" && mount.point.starts_with("/sys/fs/cgroup"))
    });
    match mount {
        None => Judgement::new(true, "not mounted"),
        Some(mount) if mount.has("ro") => Judgement::new(true, "read-only"),
        Some(_) => Judgement::new(false, "writable"),
    }
}

pub(super) fn root(seen: &Observation, _: &Profile) -> Judgement {
    let shown = if seen.root_readonly { "read-only" } else { "writable" };
    Judgement::new(seen.root_readonly, shown)
}

/// For information: which places are writable although the root is not.
pub(super) fn tmpfs(seen: &Observation, _: &Profile) -> Judgement {
    let mut places: Vec<String> = seen
        .mounts
        .iter()
        .filter(|mount| {
            let layered = mount.kind == "overlay" && mount.point != "/";
            (mount.kind == "tmpfs" || layered)
                && !mount.has("ro")
                && !mount.point.starts_with("/dev")
        })
        .map(|mount| mount.point.clone())
        .collect();
    // An overlay stands on its tmpfs.
    places.dedup();
    Judgement::new(true, some(&places))
}

/// The paths that are open; and each further procfs or sysfs, in which there is no mask, that no override lets in.
fn opened(seen: &Observation, profile: &Profile, invariant: &str) -> Option<Vec<String>> {
    let paths = below_floor(seen, profile, &[invariant])?;
    let path = |what: &String| what.split(' ').next().unwrap_or_default().to_owned();
    let granted = &seen.evidence.as_ref()?.maker.granted;
    Some(paths.iter().map(path).chain(unmasked(seen, profile, granted)).collect())
}

/// Each procfs or sysfs that is not at its place.
fn unmasked(seen: &Observation, profile: &Profile, granted: &BTreeSet<String>) -> Vec<String> {
    let Some(evidence) = &seen.evidence else { return Vec::new() };
    let found = evidence.ask(profile.name, granted).violations.into_iter();
    let types = found.filter(|one| one.invariant == "mounts.types").map(|one| one.what);
    types.filter(|what| what.starts_with("proc is ") || what.starts_with("sysfs is ")).collect()
}

pub(super) fn masked(seen: &Observation, profile: &Profile) -> Judgement {
    let listed = || {
        let paths = profile.masked_paths.iter();
        let open =
            paths.filter(|path| matches!(seen.access(path), Access::ReadOnly | Access::Open));
        open.map(|path| (*path).to_owned()).collect()
    };
    let open = opened(seen, profile, "paths.masked").unwrap_or_else(listed);
    let elsewhere = unmasked(seen, profile, &BTreeSet::new());
    let shown = match open.len() {
        0 if elsewhere.is_empty() => "all hidden".to_owned(),
        0 => format!("hidden, but {}", some(&elsewhere)),
        _ => format!("visible: {}", some(&open)),
    };
    Judgement::new(open.is_empty(), shown)
}

pub(super) fn readonly(seen: &Observation, profile: &Profile) -> Judgement {
    let listed = || {
        let open = profile.readonly_paths.iter().filter(|path| seen.access(path) == Access::Open);
        open.map(|path| (*path).to_owned()).collect()
    };
    let open = opened(seen, profile, "paths.readonly").unwrap_or_else(listed);
    let shown = match open.len() {
        0 => "all read-only".to_owned(),
        _ => format!("writable: {}", some(&open)),
    };
    Judgement::new(open.is_empty(), shown)
}

pub(super) fn devices(seen: &Observation, _: &Profile) -> Judgement {
    const USUAL: [&str; 8] = [
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/dev/random",
        "/dev/urandom",
        "/dev/tty",
        "/dev/console",
        "/dev/ptmx",
    ];
    let extra: Vec<String> =
        seen.devices.iter().filter(|path| !USUAL.contains(&path.as_str())).cloned().collect();
    Judgement::new(extra.is_empty(), some(&extra))
}

pub(super) fn proc_subset(seen: &Observation, _: &Profile) -> Judgement {
    match seen.mounts.iter().rev().find(|mount| mount.point == "/proc") {
        None => Judgement::new(true, "not mounted"),
        Some(mount) if mount.has("subset=pid") => Judgement::new(true, "processes only"),
        Some(_) => Judgement::new(false, "all of it"),
    }
}
