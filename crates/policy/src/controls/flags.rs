//! `mounts.flags`: what may be done with the files of a mount, apart from reading and writing them.

use super::prelude::*;
use crate::check::clean;
use crate::facts::{FileKind, SourceFact};
use crate::mount_options::{attr, Depth, MountPlanFlags};
use crate::spec::Mount;

/// **What.** Every bind mount and tmpfs is nosuid and nodev, recursively for a recursive bind.
/// proc, sysfs, cgroup and mqueue are also noexec; `/dev` and devpts are nosuid and noexec. Under
/// `restricted`, volumes are noexec too, except for image volumes and the program itself (an
/// engine's `--init`). A bind also keeps the read-only, nosuid, nodev and noexec flags of its
/// source's mount, unless the configuration asks for `rw`, `suid`, `dev` or `exec`. At
/// `privileged`, as under runc, it has exactly those flags that it names, if it names any.
///
/// **Why.** A set-user-ID file or a device node on a volume is a privilege that somebody stored
/// there.
///
/// **What breaks.** Set-user-ID programs on volumes. Devices that are bound themselves work.
///
/// **Override.**
///
/// - `mounts.suid`: mounts with set-user-ID files
/// - `mounts.dev`: mounts with device nodes
/// - `mounts.exec`: mounts with programs
///
/// **In the profiles.**
///
/// - privileged: Mount flags as the configuration asks.
/// - baseline: Volumes keep their set-user-ID files and device nodes.
/// - hardened: A set-user-ID file or a device node on a volume is a privilege that somebody stored
///   there; engines do not remove it. Kernel file systems and /dev are noexec as well.
/// - restricted: Volumes are noexec too.
pub(crate) const FLAGS: Control = Control {
    id: ControlId::MountFlags,
    name: "mounts.flags",
    allow: &["mounts.suid", "mounts.dev", "mounts.exec"],
    modes: [OFF, OFF, ON, ON],
    severity: MEDIUM,
    summary: "mounts are nosuid and nodev",
};

pub(super) const NAMES: [(u64, &str); 3] =
    [(attr::NOSUID, "nosuid"), (attr::NODEV, "nodev"), (attr::NOEXEC, "noexec")];

/// `f_type` of overlay: what is bound from one is an image.
const OVERLAY: u64 = 0x794c_7630;

const DEVPTS: u64 = 0x1cd1;

pub(crate) fn flags(draft: &mut Draft<'_>, mut asked: Vec<Mount>) -> Result<Vec<Mount>, Refusal> {
    let rule = ControlId::MountFlags;
    let spared = spared(draft);
    let mut changed = false;
    for index in 0..asked.len() {
        let (before, rest) = asked.split_at_mut(index);
        let Some(mount) = rest.first_mut() else { continue };
        let wanted = wanted(draft, (index, mount), before) & !spared;
        let added = add(mount, wanted);
        if !added.is_empty() {
            changed = true;
            mount.options.extend(added.iter().cloned());
            let reason = format!("{} holds data, not privileges", mount.destination);
            let pointer = format!("/mounts/{index}/options/-");
            draft.log.change(rule, pointer, Verdict::Tightened, values(&(), &added), reason);
        }
    }
    if !changed {
        draft.log.note(rule, "/mounts", Verdict::Kept, "the mounts have the flags already");
    }
    Ok(asked)
}

/// The flags that overrides take from this rule.
fn spared(draft: &mut Draft<'_>) -> u64 {
    let names = [
        ("mounts.suid", attr::NOSUID, "set-user-ID files of volumes"),
        ("mounts.dev", attr::NODEV, "device nodes of volumes"),
        ("mounts.exec", attr::NOEXEC, "programs of volumes"),
    ];
    let mut spared = 0;
    for (name, bit, what) in names {
        if let Some(source) = draft.allows(name) {
            spared |= bit;
            draft.log.waive(ControlId::MountFlags, "/mounts", source, format!("{what} are usable"));
        }
    }
    spared
}

/// The flags that a mount should have.
fn wanted(draft: &Draft<'_>, (index, mount): (usize, &Mount), before: &[Mount]) -> u64 {
    let destination = clean(&mount.destination);
    if mount.is_bind() {
        return bound(draft, index, &destination);
    }
    const ALL: u64 = attr::NOSUID | attr::NODEV | attr::NOEXEC;
    match mount.kind.as_deref() {
        _ if mount.options.iter().any(|option| option == "remount") => {
            earlier(before, &destination)
        }
        None => 0,
        Some("proc" | "sysfs" | "cgroup" | "cgroup2" | "mqueue") => ALL,
        Some("devpts") => attr::NOSUID | attr::NOEXEC,
        Some("tmpfs") if destination == "/dev" => attr::NOSUID | attr::NOEXEC,
        Some(_) if draft.profile.noexec_volumes => ALL,
        Some(_) => attr::NOSUID | attr::NODEV,
    }
}

/// What an earlier mount on the same place is restricted to: a remount must not open it again.
fn earlier(mounts: &[Mount], destination: &str) -> u64 {
    let on = mounts.iter().rev().find(|mount| clean(&mount.destination) == destination);
    // What cannot be read was refused when the configuration was checked.
    let flags = on.map(|mount| MountPlanFlags::parse(&mount.options).unwrap_or_default());
    flags.map_or(0, |flags| flags.attrs.set | flags.recursive_attrs.set)
}

fn bound(draft: &Draft<'_>, index: usize, destination: &str) -> u64 {
    let mut wanted = attr::NOSUID | attr::NODEV;
    let file = match draft.facts.sources.get(&index) {
        Some(SourceFact::Found(file)) => Some(file),
        _ => None,
    };
    // Whether a device may be there at all is for other controls to say; here one that may has to work.
    let devices = file.is_some_and(|file| {
        matches!(file.kind, FileKind::Char(..) | FileKind::Block(..)) || file.fs_type == DEVPTS
    });
    let whole = || file.is_some_and(|file| file.path == "/dev");
    let granted = || draft.allows("mounts.host-dev").is_some();
    if devices || (destination == "/dev" && whole() && granted()) {
        wanted &= !attr::NODEV;
    }
    // The engine's own init, which it binds to be the container's first program.
    let is_program =
        draft.asked.program.as_ref().is_some_and(|program| clean(program) == destination);
    let is_image = file.is_some_and(|file| file.fs_type == OVERLAY);
    if draft.profile.noexec_volumes && !is_program && !is_image {
        wanted |= attr::NOEXEC;
    }
    wanted
}

/// The options that are missing for these flags.
fn add(mount: &Mount, wanted: u64) -> Vec<String> {
    // As above.
    let Ok(flags) = MountPlanFlags::parse(&mount.options) else { return Vec::new() };
    let wanted = NAMES.iter().filter(|(bit, _)| wanted & bit != 0);
    wanted.flat_map(|(bit, name)| missing(&flags, *bit, name)).collect()
}

/// The options that set a flag: for a recursive mount, for all below it too; and in each form in which another option
/// clears it.
pub(super) fn missing(flags: &MountPlanFlags, bit: u64, name: &str) -> Vec<String> {
    let recursive = flags.bind == Some(Depth::Recursive);
    let (one, all) = (flags.attrs, flags.recursive_attrs);
    let mut options = Vec::new();
    if (recursive && all.set & bit == 0) || all.clear & bit != 0 {
        options.push(format!("r{name}"));
    }
    if (!recursive && (one.set | all.set) & bit == 0) || one.clear & bit != 0 {
        options.push(name.to_owned());
    }
    options
}
