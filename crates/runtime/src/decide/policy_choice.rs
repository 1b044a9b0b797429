//! Which policy is in force on this node, and what it makes of one container's wishes.
//!
//! The files are looked for at each create: with one system call when there are none, which is the
//! usual case. What stands in them is the policy crate's; here is only who may have written them.

use crate::decide::caller::Caller;
use crate::files::io_error_text;
use crate::hinted::hinted;
use crate::procfs;
use crate::request::Global;
use crate::resolve::ids;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_kernel::InnerId;
use casemate_policy::spec::Spec;
use casemate_policy::{choose, AuditPolicy, Choice, CommandLine, NodePolicy, Origin, Subject};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where the node's policy is.
pub(crate) const POLICY_DIR: &str = "/etc/casemate";

/// The first file, and the directory of those that are read after it.
const FIRST: &str = "policy.toml";
pub(crate) const MORE: &str = "policy.d";

/// Largest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// The profile and the overrides of a container.
pub(crate) fn choice(
    global: &Global,
    spec: &Spec,
    caller: &Caller,
    origin: Origin<'_>,
) -> Result<Choice> {
    let node = node_policy(global, caller)?;
    let uid = host_uid(caller)?;
    let line = CommandLine { profile: global.profile.as_deref(), allow: &global.allow };
    let mut choice = choose(&node, &Subject::new(spec, uid).from(origin), &line)?;
    // Only where it is wanted: asking takes three system calls, and filters around us refuse them.
    if choice.record_denials {
        choice.record_denials = !choice.profile.is_verbatim() && super::denials::can_be_recorded()?;
    }
    Ok(choice)
}

/// Who calls, by the host's ids: root of a user namespace (rootless podman) is whoever made that.
fn host_uid(caller: &Caller) -> Result<u32> {
    if caller.initial_user_namespace {
        return Ok(caller.euid);
    }
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let uid = ids::read_map(procfs::open()?, own, "uid_map")?;
    // Not even mapped: nobody that a rule could name.
    Ok(ids::IdMaps { uid, gid: Vec::new() }
        .host_uid(InnerId(caller.euid))
        .map_or(u32::MAX, |uid| uid.0))
}

/// What was read, and for which `--policy-dir`: a command asks for it more than once, and reads it
/// once.
static READ: Mutex<Option<(Option<PathBuf>, Arc<NodePolicy>)>> = Mutex::new(None);

/// The node's policy, or the built-in one where there are no files. `--policy-dir` stands in for a
/// policy that the node does not have: it is no way around the one that it has.
pub(crate) fn node_policy(global: &Global, caller: &Caller) -> Result<Arc<NodePolicy>> {
    // A thread that panicked while it held the lock has left a whole value or none.
    let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
    match &*read {
        Some((dir, policy)) if *dir == global.policy_dir => Ok(Arc::clone(policy)),
        _ => {
            let policy = Arc::new(read_all(global, caller)?);
            *read = Some((global.policy_dir.clone(), Arc::clone(&policy)));
            Ok(policy)
        }
    }
}

pub(crate) fn read_all(global: &Global, caller: &Caller) -> Result<NodePolicy> {
    parse(&texts(global, caller)?)
}

/// A policy file as it was read.
struct Text {
    shown: PathBuf,
    /// It is one of the further ones.
    is_more: bool,
    text: String,
}

/// The files that make the policy, in their order.
fn texts(global: &Global, caller: &Caller) -> Result<Vec<Text>> {
    let node = texts_in(Path::new(POLICY_DIR), caller)?;
    let Some(dir) = &global.policy_dir else { return Ok(node.unwrap_or_default()) };
    if node.is_some_and(|files| !files.is_empty()) {
        bail!(
            "--policy-dir {}: {POLICY_DIR} has a policy, which cannot be replaced",
            dir.display()
        );
    }
    texts_in(dir, caller)?
        .ok_or_else(|| anyhow!("--policy-dir {}: no such directory", dir.display()))
}

fn parse(texts: &[Text]) -> Result<NodePolicy> {
    let mut policy = NodePolicy::default();
    for Text { shown, is_more, text } in texts {
        match is_more {
            false => policy.add(&shown.to_string_lossy(), text)?,
            true => policy.add_more(&shown.to_string_lossy(), text)?,
        }
    }
    Ok(policy)
}

/// Where the node wants to have written down what is done. Where there is no policy, every command
/// asks with one system call; `makes`: the command needs the whole policy anyway, others only look
/// whether it has such a table, by the same reader of TOML in a fifth of the time.
///
/// # Errors
/// A policy that cannot be read, or that is to be parsed and cannot be.
pub(crate) fn audit(global: &Global, makes: bool) -> Result<AuditPolicy> {
    if global.policy_dir.is_none() && !exists(Path::new(POLICY_DIR))? {
        return Ok(AuditPolicy::default());
    }
    let caller = Caller::probe(procfs::open()?)?;
    if makes {
        return Ok(node_policy(global, &caller)?.audit().clone());
    }
    let texts = texts(global, &caller)?;
    for Text { shown, text, .. } in &texts {
        if AuditPolicy::is_in(&shown.to_string_lossy(), text)? {
            return Ok(parse(&texts)?.audit().clone());
        }
    }
    Ok(AuditPolicy::default())
}

fn exists(dir: &Path) -> Result<bool> {
    match rustix::fs::stat(dir) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(anyhow!("stat {}: {}", dir.display(), casemate_sys::errno_text(e))),
    }
}

/// The policy in a directory; `None` when that is not there.
pub(crate) fn read_dir(dir: &Path, caller: &Caller) -> Result<Option<NodePolicy>> {
    texts_in(dir, caller)?.map(|texts| parse(&texts)).transpose()
}

fn texts_in(dir: &Path, caller: &Caller) -> Result<Option<Vec<Text>>> {
    let Some(open) = open_dir(rustix::fs::CWD, dir, dir, caller)? else { return Ok(None) };
    let mut texts = Vec::new();
    let shown = dir.join(FIRST);
    if let Some(text) = read_file(&open, Path::new(FIRST), &shown, caller)? {
        texts.push(Text { shown, is_more: false, text });
    }
    let more = dir.join(MORE);
    if let Some(open) = open_dir(&open, Path::new(MORE), &more, caller)? {
        for name in names(&open, &more)? {
            let shown = more.join(&name);
            let gone = || anyhow!("open {}: removed while it was read", shown.display());
            let text = read_file(&open, &name, &shown, caller)?.ok_or_else(gone)?;
            texts.push(Text { shown, is_more: true, text });
        }
    }
    Ok(Some(texts))
}

pub(crate) fn open_dir(
    at: impl AsFd,
    name: &Path,
    shown: &Path,
    caller: &Caller,
) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(at, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        Err(e) => Err(anyhow!("open {}: {}", shown.display(), casemate_sys::errno_text(e))),
        Ok(fd) => {
            check_owner(&fd, shown, "0755", caller)?;
            Ok(Some(fd))
        }
    }
}

/// The policy files of a directory, by name.
fn names(dir: &OwnedFd, shown: &Path) -> Result<Vec<PathBuf>> {
    let about = || format!("read {}", shown.display());
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir).with_context(about)? {
        let entry = entry.with_context(about)?;
        let name = std::ffi::OsStr::from_bytes(entry.file_name().to_bytes());
        if Path::new(name).extension().is_some_and(|extension| extension == "toml") {
            names.push(PathBuf::from(name));
        }
    }
    names.sort();
    Ok(names)
}

/// A file's text; `None` when it is not there.
fn read_file(dir: &OwnedFd, name: &Path, shown: &Path, caller: &Caller) -> Result<Option<String>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP) => bail!("{}: must be a file, not a symbolic link", shown.display()),
        other => other
            .map_err(|e| anyhow!("open {}: {}", shown.display(), casemate_sys::errno_text(e)))?,
    };
    check_owner(&fd, shown, "0644", caller)?;
    let mut bytes = Vec::new();
    let read = std::fs::File::from(fd).take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|e| io_error_text(&e)).with_context(|| format!("read {}", shown.display()))?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("{}: larger than {} MiB", shown.display(), MAX_FILE >> 20);
    }
    let text = String::from_utf8(bytes).with_context(|| shown.display().to_string())?;
    Ok(Some(text))
}

/// Who can write the policy decides for all containers. What others than root can write decides
/// nothing: it is refused, not skipped.
fn check_owner(fd: &OwnedFd, shown: &Path, mode: &str, caller: &Caller) -> Result<()> {
    let shown = shown.display();
    let stat = rustix::fs::fstat(fd).with_context(|| format!("stat {shown}"))?;
    let root = stat.st_uid == 0
        || !caller.initial_user_namespace
            && stat.st_uid == overflow_uid().with_context(|| shown.to_string())?;
    if !root || stat.st_mode & 0o022 != 0 {
        return Err(hinted(
            format!("{shown}: must belong to root and be writable by nobody else"),
            format!("chown root:root {shown} && chmod {mode} {shown}"),
        ));
    }
    Ok(())
}

/// Whom the host's root looks like from within a user namespace that does not map it (rootless
/// podman).
pub(crate) fn overflow_uid() -> Result<u32> {
    let text = procfs::read(&procfs::open()?, "sys/kernel/overflowuid")?;
    text.trim().parse().with_context(|| format!("kernel.overflowuid {text:?}"))
}
