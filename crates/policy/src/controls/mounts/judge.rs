//! The judgement of one source: what is shown to a container of the host's files.

use super::engines::{whose, Whose};
use super::judgement::{Judgement, Place, ENGINE_DATA, SYSTEM};
use super::scope::{covers, holds_state, Scope};
use super::{bundles, places, users};
use crate::facts::{is_below, Engine, FileFact, FileKind, Package, Use, Used, SIGNS, SOCKETS};
use casemate_kernel::magic;

/// Judges the source of a bind mount, or a layer of an overlay. For an ordinary caller (`root` is false) only
/// what is dangerous in that caller's own hands is refused.
pub(super) fn source(file: &FileFact, scope: &Scope<'_>, root: bool) -> Judgement {
    let bundle = || match bundles::held(file, scope, root) {
        Some(note) => Judgement::read_only(ENGINE_DATA, note),
        None => Judgement::LetIn,
    };
    with_bundles(file, scope, root, bundle)
}

/// The same, whatever containers were made from it.
pub(super) fn beside_bundles(file: &FileFact, scope: &Scope<'_>, root: bool) -> Judgement {
    with_bundles(file, scope, root, || Judgement::LetIn)
}

fn with_bundles(
    file: &FileFact,
    scope: &Scope<'_>,
    root: bool,
    bundle: impl FnOnce() -> Judgement,
) -> Judgement {
    // Single devices are judged as devices; the host's terminals have the numbers that the container's own have.
    if matches!(file.kind, FileKind::Char(..) | FileKind::Block(..)) {
        return match file.fs_type {
            magic::DEVPTS => Judgement::refused("mounts.host-dev", " (a terminal of the host)"),
            _ => Judgement::LetIn,
        };
    }
    if let Some(class) = kernels(file) {
        return Judgement::refused(class, "");
    }
    if is_casemates(file, scope) {
        return Judgement::never();
    }
    let seen = seen(file, scope, root);
    // A place of the host with a socket in it stays that place: who was granted the socket was not granted all around it.
    let place = file.kind == FileKind::Directory && seen.is_refused();
    if let Some(class) = socket(file, scope, root, &seen).filter(|_| !place) {
        return Judgement::refused(class, "");
    }
    let state = holds_state(file, scope)
        .map(|own| Judgement::refused(ENGINE_DATA, format!(" (contains {own})")));
    let state = state.unwrap_or(Judgement::LetIn);
    seen.judgement.stricter(state).stricter(bundle()).stricter(used(file))
}

/// What the host has in use stays as it is wherever it lies: not even data may be written where that is in it.
pub(super) fn used(file: &FileFact) -> Judgement {
    judged(&file.path, file.used.iter())
}

/// The same of a root file system that is read-only: hooks and the log may lie in it, which nobody can write there.
pub(super) fn used_beside_hooks(file: &FileFact) -> Judgement {
    judged(&file.path, file.used.iter().filter(|used| !matches!(used.by, Use::Hook | Use::Log)))
}

fn judged<'f>(path: &str, used: impl Iterator<Item = &'f Used>) -> Judgement {
    let each = used.map(|used| {
        let note = |what: &str| match used.path == path {
            true => format!(" (is {what})"),
            false => format!(" (contains {what}, {})", used.path),
        };
        match used.by {
            Use::Program => Judgement::read_only(SYSTEM, note("a program of the runtime")),
            Use::Hook => Judgement::read_only(SYSTEM, note("a hook's program")),
            Use::Log => Judgement::read_only(SYSTEM, note("the audit log")),
            Use::Loop => Judgement::read_only(SYSTEM, note("the image of a mounted loop device")),
            // Memory of every process.
            Use::Swap => Judgement::refused("mounts.host-root", note("an active swap file")),
        }
    });
    each.fold(Judgement::LetIn, Judgement::stricter)
}

/// The judgement so far, and whether an engine made the file for containers.
struct Seen {
    judgement: Judgement,
    given: bool,
}

impl Seen {
    fn is_refused(&self) -> bool {
        matches!(self.judgement, Judgement::Refused { .. })
    }
}

/// By each name that the file has, and by what lies below it; the strictest judgement counts.
fn seen(file: &FileFact, scope: &Scope<'_>, root: bool) -> Seen {
    if scope.is_data(&file.path) {
        return Seen { judgement: Judgement::LetIn, given: false };
    }
    let first = by_name(file, &file.path, scope, root);
    let given = first.given;
    let mut judgement = first.judgement;
    for name in file.names.iter().filter(|name| !scope.is_data(name)) {
        let other = by_name(file, name, scope, root).judgement;
        judgement = judgement.stricter(other.with_note(|| format!(" (is {name})")));
    }
    for name in file.holds.iter().filter(|name| !scope.is_data(name)) {
        let inner = by_name(&FileFact::default(), name, scope, root).judgement;
        judgement = judgement.stricter(inner.with_note(|| format!(" (contains {name})")));
    }
    if root && file.shared_secret && judgement == Judgement::LetIn && !given {
        let note = " (has another name, and only root may read it)";
        judgement = Judgement::refused("mounts.host-root", note);
    }
    if root && file.outside_root && judgement == Judgement::LetIn && !given && !in_tree(&file.path)
    {
        let note = " (lies on the file system that holds /, in another subvolume)";
        judgement = Judgement::refused("mounts.host-root", note);
    }
    Seen { judgement, given }
}

/// Trees of the host that are often subvolumes of their own. What is mounted elsewhere may be any state of the
/// host's root.
fn in_tree(path: &str) -> bool {
    ["/home", "/srv", "/opt", "/tmp", "/var", "/root", "/usr"]
        .iter()
        .any(|top| path == *top || is_below(path, top))
}

fn by_name(file: &FileFact, name: &str, scope: &Scope<'_>, root: bool) -> Seen {
    let plain = |judgement| Seen { judgement, given: false };
    if !root {
        return plain(users::judge(name));
    }
    let place = places::judge(name);
    if let Some(engine) = file.engine.as_ref().filter(|engine| covers(&engine.root, name)) {
        return of_engine(engine.engine, &engine.root, name, scope, file);
    }
    match place {
        Place::Data if is_file_of_root(file, name) => plain(Judgement::read_only(SYSTEM, "")),
        Place::Data => plain(Judgement::LetIn),
        Place::System => plain(Judgement::read_only(SYSTEM, "")),
        Place::Host { class, holds } => {
            let bundle = scope.facts.bundle.as_str();
            if class == "mounts.host-run" && !bundle.is_empty() && covers(bundle, name) {
                return Seen { judgement: Judgement::LetIn, given: true };
            }
            let note = holds.map(|inner| format!(" (contains {inner})")).unwrap_or_default();
            plain(Judgement::refused(class, note))
        }
        Place::Engine { engine, root } => of_engine(engine, root, name, scope, file),
        Place::Own => plain(Judgement::never()),
        Place::Packaged { class } => plain(packaged(&file.package, class)),
    }
}

fn of_engine(engine: Engine, root: &str, name: &str, scope: &Scope<'_>, file: &FileFact) -> Seen {
    match whose(engine, root, name, scope, file) {
        Whose::Given => Seen { judgement: Judgement::LetIn, given: true },
        Whose::Shown => Seen { judgement: Judgement::read_only(ENGINE_DATA, ""), given: true },
        Whose::Others => {
            let note = format!(" (an engine's data in {root})");
            Seen { judgement: Judgement::refused(ENGINE_DATA, note), given: false }
        }
    }
}

/// What a package of the host owns is the host's system; where the database cannot tell, data must not be taken
/// for it below /var/lib, where volumes usually lie, and programs not for data below /opt.
fn packaged(package: &Package, class: &'static str) -> Judgement {
    match (package, class == SYSTEM) {
        (Package::Owned(name), true) => {
            Judgement::read_only(class, format!(" (of the package {name})"))
        }
        (Package::Owned(name), false) => {
            Judgement::refused(class, format!(" (of the package {name})"))
        }
        (Package::Unknown(why), true) => Judgement::read_only(class, format!(" ({why})")),
        _ => Judgement::LetIn,
    }
}

/// A file directly in `/`: a kernel, a swap file.
fn is_file_of_root(file: &FileFact, name: &str) -> bool {
    file.kind != FileKind::Directory && name.rfind('/') == Some(0) && name.len() > 1
}

/// File systems through which the kernel shows or changes the host. A namespace that somebody keeps is only a name.
fn kernels(file: &FileFact) -> Option<&'static str> {
    let class = match file.fs_type {
        magic::PROC => "mounts.host-proc",
        magic::SYSFS => "mounts.host-sys",
        magic::CGROUP | magic::CGROUP2 => "mounts.host-cgroup",
        magic::DEVPTS | magic::MQUEUE => "mounts.host-dev",
        magic::NSFS if matches!(places::judge(&file.path), Place::Data) => return None,
        other => return magic::of_kernel(other).map(|_| "mounts.kernel-fs"),
    };
    Some(class)
}

/// A socket of an engine or of the host's root, or a directory with an engine's socket inside.
fn socket(file: &FileFact, scope: &Scope<'_>, root: bool, seen: &Seen) -> Option<&'static str> {
    let engines = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        SOCKETS.iter().find(|(known, _)| *known == name).map(|(_, class)| *class)
    };
    if file.kind == FileKind::Socket {
        if let Some(class) = engines(&file.path) {
            return Some(class);
        }
        let known =
            seen.given || seen.is_refused() || scope.is_data(&file.path) || is_known(&file.path);
        return (root && file.owner == 0 && !known).then_some("mounts.socket");
    }
    let given = seen.given || scope.is_data(&file.path);
    let sign = |path: &str| {
        let name = path.rsplit('/').next().unwrap_or_default();
        SIGNS.iter().any(|(sign, _)| *sign == name).then_some(ENGINE_DATA)
    };
    file.inside.iter().filter(|_| root && !given).find_map(|path| engines(path).or(sign(path)))
}

/// Whether this is the name of an engine's socket.
pub(crate) fn is_engines_socket(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    SOCKETS.iter().any(|(known, _)| *known == name)
}

/// Sockets that are made for containers: sd_notify's, those of CDI, BuildKit's agents and traces.
fn is_known(path: &str) -> bool {
    const KNOWN: [&str; 3] = [
        "/run/systemd/notify",
        "/run/nvidia-persistenced/socket",
        "/run/nvidia-fabricmanager/socket",
    ];
    let agent = path.starts_with("/tmp/.buildkit-ssh-sock");
    KNOWN.contains(&path) || agent || path.ends_with("/otel-grpc.sock")
}

/// True for the runtime's own directories, which no override opens.
fn is_casemates(file: &FileFact, scope: &Scope<'_>) -> bool {
    let own = scope.facts.state_root.as_str();
    file.all_names()
        .any(|name| (!own.is_empty() && covers(own, name)) || places::judge(name) == Place::Own)
}
