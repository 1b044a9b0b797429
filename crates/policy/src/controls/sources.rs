//! `mounts.sources`: what of the host may be bound into a container. Files are told by device and inode and kernel file
//! systems by their type, so another name for a place does not get past this; names decide only how deep below a place
//! something lies.

use super::prelude::*;
use crate::check::clean;
use crate::facts::{FileFact, FileKind, PlaceFact, Reach, SourceFact, ENGINE_DATA, SOCKETS};
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::{Mount, NamespaceKind};

pub(crate) const SOURCES: Control = Control {
    id: ControlId::MountSources,
    name: "mounts.sources",
    allow: &["mounts.host-root", "mounts.host-run", "mounts.host-var", "mounts.host-boot", "mounts.host-home", "mounts.host-etc", "mounts.host-dev", "mounts.host-proc", "mounts.host-sys", "mounts.host-cgroup", "mounts.host-system", "mounts.kernel-fs", "mounts.docker-sock", "mounts.containerd-sock", "mounts.crio-sock", "mounts.podman-sock", "mounts.systemd-sock", "mounts.engine-data"],
    modes: [OFF, ON, ON, ON],
    summary: "no sensitive place of the host is bound: its root, system directories, engine sockets, kernel file systems",
};

/// Types of file systems by statfs(2)'s `f_type`, and the override that permits them.
const KERNEL: [(u64, &str); 17] = [
    (PROC, "mounts.host-proc"),
    (SYSFS, "mounts.host-sys"),
    (0x0027_e0eb, "mounts.host-cgroup"), // cgroup
    (0x6367_7270, "mounts.host-cgroup"), // cgroup2
    (0x0000_1cd1, "mounts.host-dev"),    // devpts
    (0x1980_0202, "mounts.host-dev"),    // mqueue
    (0x6462_6720, "mounts.kernel-fs"),   // debugfs
    (0x7472_6163, "mounts.kernel-fs"),   // tracefs
    (0xcafe_4a11, "mounts.kernel-fs"),   // bpf
    (0x7363_6673, "mounts.kernel-fs"),   // securityfs
    (0x6265_6570, "mounts.kernel-fs"),   // configfs
    (0xf97c_ff8c, "mounts.kernel-fs"),   // selinuxfs
    (0x6165_676c, "mounts.kernel-fs"),   // pstore
    (0xde5e_81e4, "mounts.kernel-fs"),   // efivarfs
    (0x4249_4e4d, "mounts.kernel-fs"),   // binfmt_misc
    (0x6573_5543, "mounts.kernel-fs"),   // fusectl
    (0x5a3c_69f0, "mounts.kernel-fs"),   // apparmorfs
];

const PROC: u64 = 0x9fa0;
const SYSFS: u64 = 0x6265_6572;

/// What is wrong with a source.
struct Finding<'a> {
    class: &'a str,
    /// The source may be shown, but not written.
    read_only: bool,
    /// Behind the name of the source: why it is taken for something else.
    note: String,
}

pub(crate) fn sources(draft: &mut Draft<'_>, mut asked: Vec<Mount>) -> Result<Vec<Mount>, Refusal> {
    let rule = ControlId::MountSources;
    let facts = draft.facts;
    let mut quiet = true;
    for (index, fact) in &facts.sources {
        let (SourceFact::Found(file), Some(mount)) = (fact, asked.get_mut(*index)) else {
            continue;
        };
        if is_expected(file, mount, draft) {
            continue;
        }
        let Some(finding) = judge(file, facts.places.iter()) else { continue };
        let shown = mount.source.as_deref().unwrap_or_default().to_owned();
        let pointer = format!("/mounts/{index}/source");
        if let Some(source) = draft.allows(finding.class) {
            let reason = format!("{shown} is bound as asked for ({})", finding.class);
            draft.log.waive(rule, pointer, source, reason);
        } else if finding.read_only {
            if !protect(draft, *index, mount, &shown) {
                continue;
            }
        } else {
            let reason = format!("bind source {shown}{}", finding.note);
            return Err(draft.refuse(rule, pointer, reason, Some(finding.class)));
        }
        quiet = false;
    }
    if quiet {
        draft.log.note(rule, "/mounts", Verdict::Kept, "no sensitive place of the host is bound");
    }
    Ok(asked)
}

/// The root file system is shown to the container like the source of a bind mount, and as a whole.
pub(crate) fn of_root(draft: &mut Draft<'_>, asked: String) -> Result<String, Refusal> {
    let facts = draft.facts;
    let Some(file) = &facts.root else { return Ok(asked) };
    // Engines keep root file systems among their data.
    let places = facts.places.iter().filter(|place| place.class != ENGINE_DATA);
    let Some(finding) = judge(file, places) else { return Ok(asked) };
    let (rule, pointer) = (ControlId::MountSources, "/root/path");
    if let Some(source) = draft.allows(finding.class) {
        let reason = format!("{asked} is the root file system as asked for ({})", finding.class);
        draft.log.waive(rule, pointer, source, reason);
        return Ok(asked);
    }
    let reason = format!("root.path {asked}{} belongs to the host", finding.note);
    Err(draft.refuse(rule, pointer, reason, Some(finding.class)))
}

/// Makes the mount read-only; false when it is already.
fn protect(draft: &mut Draft<'_>, index: usize, mount: &mut Mount, shown: &str) -> bool {
    let Ok(flags) = MountPlanFlags::parse(&mount.options) else { return false };
    // A volume that is read-only itself, as engines make it, is enough.
    if (flags.attrs.set | flags.recursive_attrs.set) & attr::RDONLY != 0 {
        return false;
    }
    let options = super::flags::missing(&flags, attr::RDONLY, "ro");
    mount.options.extend(options.iter().cloned());
    let reason = format!("{shown} belongs to the host's system: it may be read");
    let change = values(&(), &options);
    let pointer = format!("/mounts/{index}/options/-");
    draft.log.change(ControlId::MountSources, pointer, Verdict::Tightened, change, reason);
    true
}

/// What engines bind themselves, in the one shape in which they do.
fn is_expected(file: &FileFact, mount: &Mount, draft: &Draft<'_>) -> bool {
    let destination = clean(&mount.destination);
    // Shared with the host or with another container, which is for other controls to judge.
    let shared =
        |kind| draft.asked.namespace(kind).is_none_or(|namespace| namespace.path.is_some());
    let read_only = MountPlanFlags::parse(&mount.options)
        .is_ok_and(|flags| (flags.attrs.set | flags.recursive_attrs.set) & attr::RDONLY != 0);
    match (destination.as_ref(), file.path.as_str()) {
        // Where a sysfs cannot be mounted because the network namespace belongs to somebody else.
        ("/sys", "/sys") => file.fs_type == SYSFS && read_only,
        ("/proc", "/proc") => file.fs_type == PROC && shared(NamespaceKind::Pid),
        ("/dev/shm", "/dev/shm") | ("/dev/mqueue", "/dev/mqueue") => shared(NamespaceKind::Ipc),
        _ => false,
    }
}

fn judge<'a>(
    file: &FileFact,
    places: impl Iterator<Item = &'a PlaceFact> + Clone,
) -> Option<Finding<'a>> {
    // Single devices are judged as devices.
    if matches!(file.kind, FileKind::Char(..) | FileKind::Block(..)) {
        return None;
    }
    let refused = |class: &'a str, note: String| Some(Finding { class, read_only: false, note });
    if let Some((_, class)) = KERNEL.iter().find(|(magic, _)| *magic == file.fs_type) {
        return refused(class, String::new());
    }
    for place in places.clone() {
        if place.file.is_same(file) && place.reach != Reach::ReadOnly {
            return refused(&place.class, other_name(file, &place.file));
        }
    }
    if let Some(dev) = places.clone().find(|place| place.file.path == "/dev") {
        let own_file_system = places
            .clone()
            .any(|place| place.file.path == "/" && place.file.device != dev.file.device);
        if own_file_system && file.device == dev.file.device {
            return refused(&dev.class, String::new());
        }
    }
    if file.kind == FileKind::Socket {
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if let Some((_, class)) = SOCKETS.iter().find(|(known, _)| *known == name) {
            return refused(class, String::new());
        }
    }
    near(file, places)
}

/// Above a place, which then is in the container too, or below it.
fn near<'a>(file: &FileFact, places: impl Iterator<Item = &'a PlaceFact>) -> Option<Finding<'a>> {
    let mut read_only = None;
    for place in places {
        let above = file.contains(&place.file);
        let reached = match place.reach {
            Reach::Itself => false,
            Reach::Children => parent(&file.path) == place.file.path,
            Reach::Below | Reach::ReadOnly => place.file.contains(file),
        };
        let found = if above { format!(" (contains {})", place.file.path) } else { String::new() };
        if place.reach == Reach::ReadOnly {
            if above || reached || place.file.is_same(file) {
                read_only.get_or_insert(Finding {
                    class: &place.class,
                    read_only: true,
                    note: found,
                });
            }
        } else if above || reached {
            return Some(Finding { class: &place.class, read_only: false, note: found });
        }
    }
    read_only
}

fn other_name(file: &FileFact, place: &FileFact) -> String {
    match file.path == place.path {
        true => String::new(),
        false => format!(" (is {})", place.path),
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}
