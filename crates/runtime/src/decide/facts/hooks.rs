//! Hooks that run on the host's side: who could change their programs, what these are, and where they lie.

use super::beneath::Beneath;
use anyhow::anyhow;
use casemate_kernel::mountinfo::{self, Mount};
use casemate_policy::spec::{Hook, Hooks};
use casemate_policy::{usual, HookFile, HostFacts, Usual};
use casemate_sandbox::trust::{self, Owners};
use casemate_sys::errno_text;
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Those that are on the host's side, by JSON pointer. startContainer hooks are programs of the container, with its rights.
fn on_host(hooks: &Hooks) -> impl Iterator<Item = (String, &Hook)> {
    let kinds = hooks.kinds().into_iter().filter(|(kind, _)| *kind != "startContainer");
    kinds.flat_map(|(kind, list)| {
        let each = list.iter().enumerate();
        each.map(move |(index, hook)| (format!("/hooks/{kind}/{index}"), hook))
    })
}

/// Why hooks are not to be trusted, by JSON pointer.
///
/// # Errors
/// The mounts of the host cannot be read.
pub(super) fn faults(hooks: &Hooks, facts: &HostFacts) -> anyhow::Result<BTreeMap<String, String>> {
    if on_host(hooks).next().is_none() {
        return Ok(BTreeMap::new());
    }
    let owners = Owners { euid: facts.euid, initial: facts.in_initial_userns };
    let mounts = mountinfo::parse(&facts.mountinfo)?;
    let beneath = Beneath::new(&mounts);
    let fault = |(at, hook): (String, &Hook)| {
        let by_process = is_by_process(Path::new(&hook.path));
        let why = match facts.hook_names.get(&at) {
            Some(file) => fault(owners, &beneath, file.as_ref())?,
            None if by_process => {
                fault(owners, &beneath, hook.path.as_ref()).unwrap_or_else(|| {
                    format!(
                        "{}: the file that this process was started from has no name",
                        hook.path
                    )
                })
            }
            None => fault(owners, &beneath, hook.path.as_ref())?,
        };
        Some((at, why))
    };
    Ok(on_host(hooks).filter_map(fault).collect())
}

/// Why a program is not to be trusted, or what interprets it.
fn fault(owners: Owners, beneath: &Beneath<'_, '_>, path: &Path) -> Option<String> {
    let mut program = path.to_owned();
    for _ in 0..=INTERPRETERS {
        let judged = owners
            .trust(&program)
            .and_then(|()| has_one_name(&program))
            .and_then(|()| lies_on_its_own(beneath, &program));
        match judged.and_then(|()| interpreter(&program).map_err(|error| error.to_string())) {
            Ok(Some(next)) => program = next,
            Ok(None) => break,
            Err(why) => return Some(why),
        }
    }
    None
}

/// A program among data has no other name: that one could lie in what a container writes. (In the host's system every file may
/// have several, as OSTree lays it out, and none of them is a container's to write.)
fn has_one_name(program: &Path) -> Result<(), String> {
    let about = |error: String| format!("{}: {error}", program.display());
    let links = rustix::fs::stat(program).map_err(|error| about(errno_text(error)))?.st_nlink;
    if links <= 1 {
        return Ok(());
    }
    let real = real_path(program).ok_or_else(|| about("has no name".to_owned()))?;
    match usual(&real.to_string_lossy()) {
        Usual::Host => Ok(()),
        _ => Err(about(format!("has {links} names (hard links)"))),
    }
}

/// Neither a program among data nor a link on the way to it lies in a layer of something else: others are kept from writing it by
/// the names that it has, and those of a layer cannot all be told.
fn lies_on_its_own(beneath: &Beneath<'_, '_>, program: &Path) -> Result<(), String> {
    for place in trust::places(program, |_| true) {
        let text = place.to_string_lossy();
        let hidden = among_data(vec![text.clone().into_owned()], &[]).pop();
        if let Some(mount) = hidden.and_then(|path| beneath.hidden_by(&path)) {
            let kind = mount.fstype;
            return Err(format!(
                "{text}: lies on {kind}, where others may have it by another name"
            ));
        }
    }
    Ok(())
}

/// Whether the way to a program ends in a link of procfs, however it is written: the kernel follows such a link to a file, and
/// the way that is walked by names ends at the link itself.
fn is_by_process(path: &Path) -> bool {
    let end = trust::places(path, |_| true).pop();
    // What is not there has faults of its own.
    end.is_some_and(|end| end.is_symlink())
}

/// The files of hooks that are named by a process, where these have a name of the host's. Of the others [`faults`] tells.
///
/// # Errors
/// What such a name leads to cannot be told.
pub(super) fn named_by_process(hooks: &Hooks) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (at, hook) in on_host(hooks).filter(|(_, hook)| is_by_process(Path::new(&hook.path))) {
        let Some(real) = real_path(Path::new(&hook.path)) else { continue };
        let about = |error| anyhow!("stat {}: {}", hook.path, errno_text(error));
        let named = rustix::fs::stat(&hook.path).map_err(about)?;
        match rustix::fs::lstat(&real) {
            Ok(file) if (file.st_dev, file.st_ino) == (named.st_dev, named.st_ino) => {
                found.insert(at, real.to_string_lossy().into_owned());
            }
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => anyhow::bail!("stat {}: {}", real.display(), errno_text(error)),
        }
    }
    Ok(found)
}

/// What the hooks are, for a list of them and for records.
pub(crate) fn files(hooks: &Hooks) -> BTreeMap<String, HookFile> {
    let each = on_host(hooks).map(|(at, Hook { path, .. })| {
        // Without a path or a digest it is on no list, and a record says that it is not known.
        let real = real_path(Path::new(path)).unwrap_or_default();
        let path_of = real.to_string_lossy().into_owned();
        (at, HookFile { path: path_of, sha256: crate::digest::of_file(path) })
    });
    each.collect()
}

/// Without links, as the kernel has it; `None` when that cannot be told, see [`files`]. A path in another mount namespace says
/// nothing about the host's files.
fn real_path(path: &Path) -> Option<PathBuf> {
    trust::is_ours(path).ok()?;
    let proc = crate::procfs::open().ok()?;
    let file = casemate_sys::mount::open_path(path, false).ok()?;
    crate::resolve::overlay::real_path(&proc, &file).ok()
}

/// Where the programs of hooks lie, and every link that leads to them, without links, and where these lie beneath other file
/// systems: what is written there runs with the caller's rights, so no container writes it. For an ordinary caller those that the caller may change: what belongs to the
/// host's root a container of that caller cannot write anyway.
///
/// # Errors
/// What a hook is named by its process leads to cannot be told, or what it lies on.
pub(crate) fn places(
    hooks: &Hooks,
    (euid, host_root): (u32, bool),
    proc: &OwnedFd,
    mounts: &[Mount<'_>],
) -> anyhow::Result<Vec<String>> {
    if on_host(hooks).next().is_none() {
        return Ok(Vec::new());
    }
    let beneath = Beneath::new(mounts);
    let of = |path: &Path| trust::places(path, |owner| host_root || owner == euid);
    let mut found = BTreeSet::new();
    for (_, hook) in on_host(hooks) {
        let mut program = PathBuf::from(&hook.path);
        for _ in 0..=INTERPRETERS {
            for place in of(&program) {
                // What a link of procfs leads to has a name, too.
                match place.starts_with("/proc") {
                    true => found.extend(of(super::fd::real(&place, proc)?.as_ref())),
                    false => _ = found.insert(place),
                }
            }
            match interpreter(&program)? {
                Some(next) => program = next,
                None => break,
            }
        }
    }
    let found: Vec<_> = found.iter().map(|place| place.to_string_lossy().into_owned()).collect();
    let mut all = BTreeSet::new();
    for place in found {
        all.extend(beneath.names(&place).map_err(|why| anyhow!("hook: {why}"))?);
        all.insert(place);
    }
    Ok(all.into_iter().collect())
}

/// How many scripts may interpret each other: BINPRM_MAX_RECURSION of the kernel.
const INTERPRETERS: usize = 4;

/// The program that runs a script, as its first line names it; who can write that one writes the script. `None` for what is no
/// script: nothing is there, or is no regular file, or may not be read, which an interpreter would have to.
fn interpreter(program: &Path) -> anyhow::Result<Option<PathBuf>> {
    /// BINPRM_BUF_SIZE of the kernel.
    const LINE: usize = 256;
    let about = |call: &str, error| anyhow!("{call} {}: {}", program.display(), errno_text(error));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    // Looked at first: to open a device can do something.
    let is_file = |stat: Stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    let opened = match rustix::fs::stat(program).map(is_file) {
        Ok(true) => rustix::fs::open(program, flags, Mode::empty()),
        Ok(false) => return Ok(None),
        Err(error) => Err(error),
    };
    let file = match opened {
        Ok(file) => file,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(about("open", error)),
    };
    let mut line = [0; LINE];
    let n = rustix::io::pread(&file, &mut line, 0).map_err(|error| about("read", error))?;
    Ok(named_in(&line[..n]))
}

/// The program that `#!` at the beginning of a file names (execve(2)). One that is named from the working directory lies below
/// `/`, where hooks run that anything is asked of.
fn named_in(text: &[u8]) -> Option<PathBuf> {
    let line = text.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let mut words = line.split(|byte| matches!(byte, b' ' | b'\t' | 0)).filter(|w| !w.is_empty());
    Some(Path::new("/").join(OsStr::from_bytes(words.next()?)))
}

/// Those that other containers have to be told of: what lies in the host's system is none of theirs to write anyway, unless the
/// node's policy calls it data, and nothing that an engine keeps but what is in volumes.
pub(crate) fn among_data(places: Vec<String>, data: &[String]) -> Vec<String> {
    let is_data = |path: &str| match usual(path) {
        Usual::Other | Usual::Packaged(_) => true,
        Usual::Engine if is_in_volume(path) => true,
        _ => data.iter().any(|top| casemate_policy::is_below(path, top)),
    };
    places.into_iter().filter(|path| is_data(path)).collect()
}

/// Whether a path among an engine's data is a volume, or lies in one: those are bound into containers, whoever made them.
pub(crate) fn is_in_volume(path: &str) -> bool {
    path.split('/').any(|part| {
        part.starts_with("volume") || matches!(part, "_data" | "image-volumes" | "propagated-mount")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_in_volumes_and_beside_engines_are_told_to_other_containers() {
        let told = |path: &str| !among_data(vec![path.to_owned()], &[]).is_empty();
        for path in [
            "/srv/h",
            "/opt/x/h",
            "/var/lib/containers/storage/volumes/v/_data/h",
            "/var/lib/docker/volumes/v/_data/h",
            "/var/lib/kubelet/pods/p/volumes/kubernetes.io~empty-dir/e/h",
        ] {
            assert!(told(path), "{path}");
        }
        for path in ["/usr/bin/h", "/var/lib/containers/storage/overlay/l/diff/h"] {
            assert!(!told(path), "{path}");
        }
    }

    #[test]
    fn the_interpreter_of_a_script_is_the_first_word_of_its_first_line() {
        let of = |text: &str| named_in(text.as_bytes());
        assert_eq!(of("#!/srv/py -E\nx"), Some("/srv/py".into()));
        assert_eq!(of("#! \t/srv/py"), Some("/srv/py".into()));
        assert_eq!(of("#!srv/py\n"), Some("/srv/py".into()));
        for text in ["", "#!", "#!\n/x", "\x7fELF/srv/py", " #!/srv/py"] {
            assert_eq!(of(text), None, "{text:?}");
        }
    }
}
