//! `mounts.types`, `mounts.sources`: which file systems a container mounts, and what of the host is bound into it.
//!
//! The judgements are pure functions ([`types::judge`], [`judge::source`]); this file hands them the parts of the
//! configuration and does what they say.

mod engines;
mod judge;
mod overlay;
mod places;
mod types;
mod users;

pub use overlay::{is_layer, layers};
pub use places::{usual, Usual};

use super::flags::{missing, NAMES};
use super::prelude::*;
use crate::check::clean;
use crate::facts::{
    is_below, Engine, FileFact, FileKind, HostFacts, LayerFact, LayerRole, MountFacts, SourceFact,
};
use crate::mount_options::{attr, MountPlanFlags};
use crate::spec::{Mount, NamespaceKind};
use casemate_kernel::magic;
use std::collections::BTreeMap;

pub(crate) const TYPES: Control = Control {
    id: ControlId::MountTypes,
    name: "mounts.types",
    allow: &[
        "mounts.block",
        "mounts.network",
        "mounts.fuse",
        "mounts.unknown-fs",
        "mounts.second-proc",
        "mounts.second-sysfs",
        "mounts.covered",
        "mounts.remount",
    ],
    modes: [OFF, ON, ON, ON],
    summary: "only file systems that are known to be harmless are mounted, each at its place",
};

pub(crate) const SOURCES: Control = Control {
    id: ControlId::MountSources,
    name: "mounts.sources",
    allow: &[
        "mounts.host-root",
        "mounts.host-run",
        "mounts.host-var",
        "mounts.host-boot",
        "mounts.host-home",
        "mounts.host-etc",
        "mounts.host-dev",
        "mounts.host-proc",
        "mounts.host-sys",
        "mounts.host-cgroup",
        "mounts.host-system",
        "mounts.kernel-fs",
        "mounts.docker-sock",
        "mounts.containerd-sock",
        "mounts.crio-sock",
        "mounts.podman-sock",
        "mounts.systemd-sock",
        "mounts.socket",
        "mounts.engine-data",
    ],
    modes: [OFF, ON, ON, ON],
    summary: "no sensitive place of the host is bound: its root, system directories, engine sockets, kernel file systems",
};

/// The class of engines' data.
const ENGINE_DATA: &str = "mounts.engine-data";
/// The class of the host's system.
const SYSTEM: &str = "mounts.host-system";

/// What a path of the host means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Bound as asked for.
    Data,
    /// May be read.
    System,
    /// The host itself: the override that permits it, and the place below that makes it so.
    Host { class: &'static str, holds: Option<&'static str> },
    /// In the directory of an engine.
    Engine { engine: Engine, root: &'static str },
    /// The runtime's own.
    Own,
    /// Data, unless a package of the host's owns it.
    Packaged { class: &'static str },
}

/// What becomes of a mount, the mildest first.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judgement {
    /// It is as asked for.
    LetIn,
    /// It may be read; the override that leaves it writable.
    ReadOnly { class: &'static str, note: String },
    /// It is of no use in a container, and is not there.
    LeftOut,
    /// It is refused, unless by this override; `None`: by none.
    Refused { class: Option<&'static str>, note: String },
}

impl Judgement {
    fn read_only(class: &'static str, note: impl Into<String>) -> Self {
        Self::ReadOnly { class, note: note.into() }
    }

    fn refused(class: &'static str, note: impl Into<String>) -> Self {
        Self::Refused { class: Some(class), note: note.into() }
    }

    fn never() -> Self {
        Self::Refused { class: None, note: " (the runtime's own)".to_owned() }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::LetIn => 0,
            Self::ReadOnly { .. } => 1,
            Self::LeftOut => 2,
            Self::Refused { class: Some(_), .. } => 3,
            Self::Refused { class: None, .. } => 4,
        }
    }

    /// The stricter of the two; of two alike, the first.
    fn stricter(self, other: Self) -> Self {
        if other.rank() > self.rank() {
            other
        } else {
            self
        }
    }

    /// With a reason, where it has none yet.
    fn with_note(mut self, text: impl FnOnce() -> String) -> Self {
        if let Self::ReadOnly { note, .. } | Self::Refused { note, .. } = &mut self {
            if note.is_empty() {
                *note = text();
            }
        }
        self
    }
}

/// Whose container it is that something is judged for.
struct Scope<'a> {
    facts: &'a MountFacts,
    /// The sandbox of its pod, as containerd and CRI-O name it.
    sandbox: Option<&'a str>,
    /// The pod's uid.
    pod_uid: Option<&'a str>,
    /// Places that the node's policy calls data.
    data: &'a [String],
}

/// The sandbox of a container's pod and the pod's uid, as engines name them.
pub(crate) fn pod(annotations: &BTreeMap<String, String>) -> (Option<String>, Option<String>) {
    let find = |names: [&str; 2]| names.iter().find_map(|name| annotations.get(*name)).cloned();
    (
        find(["io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID"]),
        find(["io.kubernetes.cri.sandbox-uid", "io.kubernetes.pod.uid"]),
    )
}

impl<'a> Scope<'a> {
    fn new(draft: &'a Draft<'_>) -> Self {
        Self {
            facts: &draft.facts.mounts,
            sandbox: draft.asked.pod.0.as_deref(),
            pod_uid: draft.asked.pod.1.as_deref(),
            data: draft.choice.overrides.values.paths_data.as_deref().unwrap_or_default(),
        }
    }

    fn is_data(&self, path: &str) -> bool {
        self.data.iter().any(|top| path == top.trim_end_matches('/') || is_below(path, top))
    }
}

/// True for a root that is root of the host; others can do to the host only what they could do anyway.
fn is_root(facts: &HostFacts) -> bool {
    facts.euid == 0 && facts.in_initial_userns
}

/// True when `path` is `top` or lies in it.
fn covers(top: &str, path: &str) -> bool {
    path == top || is_below(path, top)
}

/// The state directory of containers, which no override opens; what lies above it goes by engines' data.
fn casemates(file: &FileFact, scope: &Scope<'_>) -> Option<Judgement> {
    let own = scope.facts.state_root.as_str();
    let mut names = std::iter::once(&file.path).chain(&file.names);
    if own.is_empty() {
        return None;
    }
    if names.clone().any(|name| covers(own, name)) {
        return Some(Judgement::never());
    }
    let above = names.any(|name| is_below(own, name)) || file.holds.iter().any(|at| at == own);
    (above && file.kind == FileKind::Directory)
        .then(|| Judgement::refused(ENGINE_DATA, format!(" (contains {own})")))
}

pub(crate) fn types(draft: &mut Draft<'_>, mut asked: Vec<Mount>) -> Result<Vec<Mount>, Refusal> {
    let control = ControlId::MountTypes;
    if !is_root(draft.facts) {
        let reason = "what an ordinary caller may mount, the kernel decides";
        draft.log.note(control, "/mounts", Verdict::Kept, reason);
        return Ok(asked);
    }
    let mut quiet = true;
    for index in 0..asked.len() {
        quiet &= one_type(draft, &mut asked, index)?;
    }
    if quiet {
        let reason = "only file systems that are known to be harmless, each at its place";
        draft.log.note(control, "/mounts", Verdict::Kept, reason);
    }
    Ok(asked)
}

/// False if there is something on record about the mount.
fn one_type(draft: &mut Draft<'_>, asked: &mut [Mount], index: usize) -> Result<bool, Refusal> {
    let control = ControlId::MountTypes;
    let mount = &asked[index];
    let pointer = format!("/mounts/{index}");
    let flags = match MountPlanFlags::parse(&mount.options) {
        Ok(flags) => flags,
        Err(error) => return Err(draft.refuse(control, pointer, error.to_string(), None)),
    };
    let destination = clean(&mount.destination).into_owned();
    let kind = mount.kind.clone().unwrap_or_default();
    let found = match (flags.bind, flags.remount) {
        (Some(_), _) => return Ok(true),
        (None, true) => types::remount(&destination, &asked[..index]),
        (None, false) if kind.is_empty() => return Ok(true),
        (None, false) => types::judge(&kind, &destination, &flags),
    };
    let what = if flags.remount { "a remount".to_owned() } else { format!("a mount of {kind}") };
    if let Judgement::Refused { class, note } = found.judgement {
        let Some(source) = class.and_then(|class| draft.allows(class)) else {
            let reason = format!("{what} on {destination}{note}");
            return Err(draft.refuse(control, pointer, reason, class));
        };
        draft.log.waive(control, pointer, source, format!("{what} on {destination} as asked for"));
        return Ok(false);
    }
    let mut wanted = found.restrict;
    if kind == "sysfs" && draft.allows("mounts.host-sys").is_some() {
        wanted &= !attr::RDONLY;
    }
    let reason = format!("{what} shows the kernel, not data");
    Ok(!restrict(draft, (control, index), &mut asked[index], wanted, reason))
}

/// Adds the options for these bits of [`attr`]; false if there is nothing to add.
fn restrict(
    draft: &mut Draft<'_>,
    (control, index): (ControlId, usize),
    mount: &mut Mount,
    bits: u64,
    reason: String,
) -> bool {
    // What cannot be read was refused when the configuration was checked.
    let flags = MountPlanFlags::parse(&mount.options).unwrap_or_default();
    let names = NAMES.iter().copied().chain([(attr::RDONLY, "ro")]);
    let wanted = names.filter(|(bit, _)| bits & bit != 0);
    let options: Vec<String> = wanted.flat_map(|(bit, name)| missing(&flags, bit, name)).collect();
    if options.is_empty() {
        return false;
    }
    mount.options.extend(options.iter().cloned());
    let pointer = format!("/mounts/{index}/options/-");
    draft.log.change(control, pointer, Verdict::Tightened, values(&(), &options), reason);
    true
}

pub(crate) fn sources(draft: &mut Draft<'_>, mut asked: Vec<Mount>) -> Result<Vec<Mount>, Refusal> {
    let mut quiet = true;
    for (index, mount) in asked.iter_mut().enumerate() {
        if mount.is_bind() {
            quiet &= bound(draft, mount, index)?;
        } else if mount.kind.as_deref() == Some("overlay") {
            quiet &= stacked(draft, mount, index)?;
        }
    }
    remounts(draft, &mut asked);
    if quiet {
        let reason = "no sensitive place of the host is bound";
        draft.log.note(ControlId::MountSources, "/mounts", Verdict::Kept, reason);
    }
    Ok(asked)
}

/// A bind mount. False if there is something on record about it.
fn bound(draft: &mut Draft<'_>, mount: &mut Mount, index: usize) -> Result<bool, Refusal> {
    let facts = draft.facts;
    let pointer = format!("/mounts/{index}/source");
    let file = match facts.sources.get(&index) {
        Some(SourceFact::Found(file)) => file,
        // Mounting it fails, and says why.
        Some(SourceFact::Missing(_)) => return Ok(true),
        None => {
            let reason = "the source of this bind mount was not looked at";
            return Err(draft.refuse(ControlId::MountSources, pointer, reason, None));
        }
    };
    let shown = mount.source.clone().unwrap_or_default();
    if let Some(judgement) = expected(draft, mount, file) {
        return settle(draft, (mount, index), &shown, &pointer, judgement);
    }
    let judgement = draft.judge(file);
    let mut quiet = settle(draft, (mount, index), &shown, &pointer, judgement)?;
    for below in &file.below {
        let shown = format!("{shown} (brings {} along at {})", below.fs_name, below.at);
        let judgement = match below.file.fs_type {
            magic::NSFS => Judgement::LeftOut,
            _ => draft.judge(&below.file),
        };
        quiet &= settle(draft, (mount, index), &shown, &pointer, judgement)?;
    }
    if file.unseen && is_root(facts) {
        let reason = format!("what lies above {shown} on its file system is mounted nowhere here");
        draft.log.note(ControlId::MountSources, pointer, Verdict::Kept, reason);
    }
    Ok(quiet)
}

/// An overlay: each layer is bound into the container. False if there is something on record about it.
fn stacked(draft: &mut Draft<'_>, mount: &mut Mount, index: usize) -> Result<bool, Refusal> {
    let control = ControlId::MountSources;
    let facts = draft.facts;
    let pointer = format!("/mounts/{index}/options");
    let named = match layers(mount) {
        Ok(named) => named,
        Err(why) => return Err(draft.refuse(control, pointer, why, None)),
    };
    let seen = facts.layers.get(&index).map_or(&[][..], Vec::as_slice);
    let same = |((role, path), seen): (&(LayerRole, String), &LayerFact)| {
        *role == seen.role && *path == seen.path
    };
    if named.len() != seen.len() || !named.iter().zip(seen).all(same) {
        let reason = "the layers of this overlay were not looked at";
        return Err(draft.refuse(control, pointer, reason, None));
    }
    let mut quiet = true;
    for layer in seen {
        let SourceFact::Found(file) = &layer.source else { continue };
        let shown = format!("{} (a layer of an overlay)", layer.path);
        let written = matches!(layer.role, LayerRole::Upper | LayerRole::Work);
        let judgement = match draft.judge(file) {
            Judgement::ReadOnly { class, note } if written => Judgement::refused(class, note),
            // An overlay does not write to it.
            Judgement::ReadOnly { .. } => Judgement::LetIn,
            other => other,
        };
        quiet &= settle(draft, (mount, index), &shown, &pointer, judgement)?;
    }
    Ok(quiet)
}

/// Does what the judgement says. False if there is something on record.
fn settle(
    draft: &mut Draft<'_>,
    (mount, index): (&mut Mount, usize),
    shown: &str,
    pointer: &str,
    judgement: Judgement,
) -> Result<bool, Refusal> {
    let control = ControlId::MountSources;
    let pointer = pointer.to_owned();
    let granted = match judgement {
        Judgement::ReadOnly { class, .. } => Some(class),
        Judgement::Refused { class, .. } => class,
        Judgement::LetIn | Judgement::LeftOut => None,
    };
    if let Some((class, source)) = granted.and_then(|class| Some((class, draft.allows(class)?))) {
        let reason = format!("{shown} is bound as asked for ({class})");
        draft.log.waive(control, pointer, source, reason);
        return Ok(false);
    }
    match judgement {
        Judgement::LetIn => Ok(true),
        Judgement::LeftOut => {
            let reason = format!("{shown} without that: a namespace of the host is of no use here");
            draft.log.note(control, pointer, Verdict::Tightened, reason);
            Ok(false)
        }
        Judgement::ReadOnly { note, .. } => {
            let reason = format!("{shown}{note} belongs to the host's system: it may be read");
            Ok(!restrict(draft, (control, index), mount, attr::RDONLY, reason))
        }
        Judgement::Refused { class, note } => {
            let reason = format!("bind source {shown}{note}");
            Err(draft.refuse(control, pointer, reason, class))
        }
    }
}

/// A remount must not open again what was made read-only.
fn remounts(draft: &mut Draft<'_>, asked: &mut [Mount]) {
    for index in 0..asked.len() {
        let (before, rest) = asked.split_at_mut(index);
        let Some(mount) = rest.first_mut() else { continue };
        if mount.is_bind() || !mount.options.iter().any(|option| option == "remount") {
            continue;
        }
        let destination = clean(&mount.destination).into_owned();
        let found = types::remount(&destination, before);
        let reason = format!("{destination} stays what the mount there was made as");
        restrict(draft, (ControlId::MountSources, index), mount, found.restrict, reason);
    }
}

/// The root file system is shown to the container like the source of a bind mount, and as a whole.
pub(crate) fn of_root(draft: &mut Draft<'_>, asked: String) -> Result<String, Refusal> {
    let facts = draft.facts;
    let Some(file) = &facts.root else { return Ok(asked) };
    let judgement = match draft.judge(file) {
        // Engines keep root file systems among their data, each in a directory of its own.
        Judgement::Refused { class: Some(ENGINE_DATA), .. } if is_image(file, facts) => {
            Judgement::LetIn
        }
        Judgement::ReadOnly { .. } if !is_system(&file.path) => Judgement::LetIn,
        Judgement::ReadOnly { class, note } => Judgement::refused(class, note),
        other => other,
    };
    let Judgement::Refused { class, note } = judgement else { return Ok(asked) };
    let (control, pointer) = (ControlId::MountSources, "/root/path");
    if let Some((class, source)) = class.and_then(|class| Some((class, draft.allows(class)?))) {
        let reason = format!("{asked} is the root file system as asked for ({class})");
        draft.log.waive(control, pointer, source, reason);
        return Ok(asked);
    }
    let reason = format!("root.path {asked}{note} belongs to the host");
    Err(draft.refuse(control, pointer, reason, class))
}

/// A directory deep in the data of an engine, where snapshots and bundles lie.
fn is_image(file: &FileFact, facts: &HostFacts) -> bool {
    const SNAPSHOT: usize = 2;
    let top = match (&file.engine, places::judge(&file.path)) {
        (Some(engine), _) => engine.root.as_str(),
        (None, Place::Engine { root, .. }) => root,
        _ => return false,
    };
    let rest = file.path.strip_prefix(top).unwrap_or_default();
    let own = covers(&facts.mounts.bundle, &file.path) && !facts.mounts.bundle.is_empty();
    own || rest.split('/').filter(|part| !part.is_empty()).count() >= SNAPSHOT
}

/// Directories of programs and libraries, and what holds them. A root file system may lie beside these, in /opt or
/// /usr/local.
fn is_system(path: &str) -> bool {
    const TREES: [&str; 12] = [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/usr/lib32",
        "/usr/lib64",
        "/usr/libexec",
        "/bin",
        "/sbin",
        "/lib",
        "/lib32",
        "/lib64",
        "/etc",
    ];
    path == "/opt" || TREES.iter().any(|tree| covers(tree, path) || is_below(tree, path))
}

/// What engines bind themselves, in the one shape in which they do.
fn expected(draft: &Draft<'_>, mount: &Mount, file: &FileFact) -> Option<Judgement> {
    let destination = clean(&mount.destination);
    // The host's, which is for other controls to permit. Another container's is not the host's.
    let hosts = |kind| draft.is_hosts(kind);
    let read_only = || Judgement::read_only("mounts.host-sys", "");
    match (destination.as_ref(), file.path.as_str()) {
        // Where a sysfs cannot be mounted because the network namespace belongs to somebody else.
        ("/sys", "/sys") if file.fs_type == magic::SYSFS => Some(read_only()),
        ("/sys/fs/cgroup", "/sys/fs/cgroup") if file.fs_type == magic::CGROUP2 => Some(read_only()),
        ("/proc", "/proc") if file.fs_type == magic::PROC && hosts(NamespaceKind::Pid) => {
            Some(Judgement::LetIn)
        }
        ("/dev/shm", "/dev/shm") | ("/dev/mqueue", "/dev/mqueue") if hosts(NamespaceKind::Ipc) => {
            Some(Judgement::LetIn)
        }
        _ => None,
    }
}

impl Draft<'_> {
    fn judge(&self, file: &FileFact) -> Judgement {
        judge::source(file, &Scope::new(self), is_root(self.facts))
    }
}
