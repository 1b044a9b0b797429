//! `mounts.sources`: the judgement of each source, done to the configuration.

use super::super::root;
use super::judgement::{Judgement, Place, ENGINE_DATA};
use super::restrict::restrict;
use super::scope::{covers, is_root, Scope};
use super::types;
use super::{bundles, engines, is_below, judge, layered, layers, places};
use crate::check::clean;
use crate::controls::prelude::*;
use crate::facts::{FileFact, HostFacts, LayerFact, LayerRole, SourceFact};
use crate::mount_options::attr;
use crate::profile::ProfileName;
use crate::spec::{Mount, NamespaceKind};
use casemate_kernel::magic;

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
    let judgement = match expected(draft, mount, file) {
        // The host's sysfs comes with all that lies on it, at the same places: the masks are for that.
        Some(judgement) if file.fs_type == magic::SYSFS => {
            return settle(draft, (mount, index), &shown, &pointer, judgement);
        }
        Some(judgement) => judgement,
        None => draft.judge(file),
    };
    let mut quiet = settle(draft, (mount, index), &shown, &pointer, judgement)?;
    for below in &file.below {
        let shown = format!("{shown} (brings {} along at {})", below.fs_name, below.at);
        let judgement = match below.file.fs_type {
            magic::NSFS if is_root(facts) => Judgement::LeftOut,
            magic::NSFS => Judgement::LetIn,
            _ => draft.judge(&below.file),
        };
        quiet &= settle(draft, (mount, index), &shown, &pointer, judgement)?;
    }
    if let Some(socket) = file.sockets.first().filter(|_| is_root(facts)) {
        let reason =
            format!("{shown} contains a socket of root, {socket}: its listener is not checked");
        draft.log.note(ControlId::MountSources, pointer.clone(), Verdict::Warned, reason);
        quiet = false;
    }
    if file.unseen && is_root(facts) {
        let reason = format!("the part of its file system above {shown} is not mounted here");
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
        let judgement = layered::as_layer(draft.judge(file), layer.role);
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
            let reason =
                format!("{shown} without that: a namespace of the host is not needed here");
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
pub(crate) fn remounts(draft: &mut Draft<'_>, asked: &mut [Mount]) {
    for index in 0..asked.len() {
        let (before, rest) = asked.split_at_mut(index);
        let Some(mount) = rest.first_mut() else { continue };
        if mount.is_bind() || !mount.options.iter().any(|option| option == "remount") {
            continue;
        }
        let destination = clean(&mount.destination).into_owned();
        let found = types::remount(&destination, before);
        let reason = format!("{destination} keeps the restrictions of the mount there");
        restrict(draft, (ControlId::MountSources, index), mount, found.restrict, reason);
    }
}

/// Nothing is to be said of it but that it is another container's root.
fn is_shared(draft: &Draft<'_>, file: &FileFact) -> bool {
    let scope = Scope::new(draft);
    draft.facts.mounts.others.iter().any(|other| other.root == file.path)
        && matches!(judge::beside_bundles(file, &scope, is_root(draft.facts)), Judgement::LetIn)
}

/// The root file system is shown to the container like the source of a bind mount, and as a whole.
pub(crate) fn of_root(draft: &mut Draft<'_>, asked: String) -> Result<String, Refusal> {
    let facts = draft.facts;
    let Some(file) = &facts.root else { return Ok(asked) };
    let (control, pointer) = (ControlId::MountSources, "/root/path");
    for judgement in of_root_by_all(draft, file) {
        let Judgement::Refused { class, note } = judgement else { continue };
        // Each for itself: who may write one place may not write another for that.
        if let Some((class, source)) = class.and_then(|class| Some((class, draft.allows(class)?))) {
            let reason = format!("{asked} is the root file system as asked for ({class})");
            draft.log.waive(control, pointer, source, reason);
            if class == HOST_ROOT {
                break;
            }
            continue;
        }
        let reason = format!("root.path {asked}{note} belongs to the host");
        return Err(draft.refuse(control, pointer, reason, class));
    }
    Ok(asked)
}

const HOST_ROOT: &str = "mounts.host-root";

/// What is to be said of a root file system: by what was made from it, by its place, by its name, by what is in use.
fn of_root_by_all(draft: &Draft<'_>, file: &FileFact) -> Vec<Judgement> {
    let (facts, scope) = (draft.facts, Scope::new(draft));
    let keeps = root::will_be_readonly(draft);
    let held = bundles::held_by_root(file, &scope, is_root(facts), keeps);
    let another = of_another(file, &scope).then(|| " (of another container)".to_owned());
    let everybodys = file
        .all_names()
        .find(|name| is_everybodys(name))
        .map(|name| Judgement::refused(HOST_ROOT, format!(" (is {name}, no root file system)")));
    let used = match if keeps { judge::used_beside_hooks(file) } else { judge::used(file) } {
        Judgement::ReadOnly { class, note } => Judgement::refused(class, note),
        other => other,
    };
    let engines = held.into_iter().chain(another);
    let engines = engines.map(|note| Judgement::refused(ENGINE_DATA, note));
    let all = engines.chain([of_place(draft, file, keeps)]).chain(everybodys).chain([used]);
    // Who may have all of the host may have what is in it.
    let is_all = |one: &Judgement| matches!(one, Judgement::Refused { class: Some(HOST_ROOT), .. });
    let (first, rest): (Vec<_>, Vec<_>) = all.partition(is_all);
    first.into_iter().chain(rest).collect()
}

/// By its place.
fn of_place(draft: &Draft<'_>, file: &FileFact, keeps: bool) -> Judgement {
    let facts = draft.facts;
    // Who makes containers with writable roots at baseline may have them share one.
    let may_read = keeps || draft.profile.name == ProfileName::Baseline && is_shared(draft, file);
    // An overlay is somebody's work wherever it is mounted: what it is made of counts.
    let judgement = match file.layers.is_empty() {
        true => draft.judge(file),
        false => layered::judge(file, &Scope::new(draft), is_root(facts)),
    };
    match judgement {
        // Engines keep root file systems among their data, each in a directory of its own.
        Judgement::Refused { class: Some(ENGINE_DATA), .. }
            if file.layers.is_empty() && is_image(file, facts) =>
        {
            Judgement::LetIn
        }
        Judgement::ReadOnly { .. } if may_read && !is_system(&file.path) => Judgement::LetIn,
        Judgement::ReadOnly { class, note } => Judgement::refused(class, note),
        other => other,
    }
}

/// A root file system that an engine has made for another container, mounted or in its layers.
fn of_another(file: &FileFact, scope: &Scope<'_>) -> bool {
    // A configuration that is judged without its container.
    if scope.facts.container.is_empty() || engines::is_build(scope) {
        return false;
    }
    if file.container.as_ref().is_some_and(|owner| *owner != scope.facts.container) {
        return true;
    }
    match (&file.engine, places::judge(&file.path)) {
        (Some(engine), _) => {
            engines::is_others_root(engine.engine, &engine.root, &file.path, scope)
        }
        (None, Place::Engine { engine, root }) => {
            engines::is_others_root(engine, root, &file.path, scope)
        }
        _ => false,
    }
}

/// Places for whatever people and programs put there: none of these is a root file system, and to make one of it leaves `dev`,
/// `proc` and `sys` behind. What is mounted on /mnt or below /media may be one.
fn is_everybodys(path: &str) -> bool {
    const PLACES: [&str; 15] = [
        "/home",
        "/tmp",
        "/srv",
        "/media",
        "/run",
        "/var",
        "/var/backups",
        "/var/cache",
        "/var/lib",
        "/var/local",
        "/var/log",
        "/var/mail",
        "/var/opt",
        "/var/spool",
        "/var/tmp",
    ];
    PLACES.contains(&path)
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
        ("/sys", "/sys") if file.fs_type == magic::SYSFS && has_no_sysfs(draft) => {
            Some(read_only())
        }
        ("/sys/fs/cgroup", "/sys/fs/cgroup")
            if file.fs_type == magic::CGROUP2 && has_no_sysfs(draft) =>
        {
            Some(read_only())
        }
        ("/proc", "/proc") if file.fs_type == magic::PROC && hosts(NamespaceKind::Pid) => {
            Some(Judgement::LetIn)
        }
        ("/dev/shm", "/dev/shm") | ("/dev/mqueue", "/dev/mqueue") if hosts(NamespaceKind::Ipc) => {
            Some(Judgement::LetIn)
        }
        _ => None,
    }
}

/// A sysfs cannot be mounted where the network namespace belongs to somebody else, or by who has no privilege: engines bind the
/// host's. A container with a network namespace of its own can have one that shows that, and its own cgroups.
fn has_no_sysfs(draft: &Draft<'_>) -> bool {
    let network = draft.asked.namespace(NamespaceKind::Network);
    let new = network.is_some_and(|namespace| namespace.path.is_none());
    !(new && is_root(draft.facts))
}

/// Why a file of the host is refused as the source of a bind mount; `None`: it is not.
pub(crate) fn refused(draft: &Draft<'_>, file: &FileFact) -> Option<String> {
    match draft.judge(file) {
        Judgement::Refused { class, note } => {
            Some(format!(" is not an agent's{note} ({})", class.unwrap_or("the runtime's own")))
        }
        Judgement::LetIn | Judgement::ReadOnly { .. } | Judgement::LeftOut => None,
    }
}

impl Draft<'_> {
    fn judge(&self, file: &FileFact) -> Judgement {
        let (scope, root) = (Scope::new(self), is_root(self.facts));
        judge::source(file, &scope, root).stricter(layered::judge(file, &scope, root))
    }
}
