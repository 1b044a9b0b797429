//! Which policy is in force on this node, and what it makes of one container's wishes.
//!
//! The files are looked for at each create: with one system call when there are none, which is the usual case. What stands in
//! them is the policy crate's; here is only who may have written them.

use crate::bundle::say;
use crate::caller::Caller;
use crate::request::Global;
use crate::{ids, procfs};
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_policy::spec::Spec;
use casemate_policy::{choose, AuditPolicy, Choice, CommandLine, NodePolicy, Subject};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the node's policy is.
const POLICY_DIR: &str = "/etc/casemate";

/// The first file, and the directory of those that are read after it.
const FIRST: &str = "policy.toml";
const MORE: &str = "policy.d";

/// Largest file that is read.
const MAX_FILE: u64 = 1 << 20;

/// The profile and the overrides of a container.
pub(crate) fn choice(global: &Global, spec: &Spec, caller: &Caller, id: &str) -> Result<Choice> {
    let node = node_policy(global, caller)?;
    let uid = host_uid(caller);
    let line = CommandLine { profile: global.profile.as_deref(), allow: &global.allow };
    Ok(choose(&node, &Subject::new(spec, uid).called(id), &line)?)
}

/// Who calls, by the host's ids: root of a user namespace (rootless podman) is whoever made that.
fn host_uid(caller: &Caller) -> u32 {
    if caller.initial_user_namespace {
        return caller.euid;
    }
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let read = |proc| ids::read_map(proc, own, "uid_map");
    let uid = procfs::open().map_err(anyhow::Error::from).and_then(read);
    let uid = uid.map(|uid| ids::IdMaps { uid, gid: Vec::new() }.host_uid(caller.euid));
    // Not even mapped: nobody that a rule could name.
    uid.ok().flatten().unwrap_or(u32::MAX)
}

/// The node's policy, or the built-in one where there are no files. `--policy-dir` stands in for a policy that the node does
/// not have: it is no way around the one that it has.
pub(crate) fn node_policy(global: &Global, caller: &Caller) -> Result<NodePolicy> {
    let node = read_dir(Path::new(POLICY_DIR), caller)?;
    let Some(dir) = &global.policy_dir else { return Ok(node.unwrap_or_default()) };
    if node.is_some_and(|node| !node.files().is_empty()) {
        bail!(
            "--policy-dir {}: {POLICY_DIR} has a policy, which cannot be replaced",
            dir.display()
        );
    }
    read_dir(dir, caller)?
        .ok_or_else(|| anyhow!("--policy-dir {}: no such directory", dir.display()))
}

/// Where the node wants to have written down what is done. Files that do not speak of it are not parsed: every
/// command asks.
pub(crate) fn audit(global: &Global) -> Result<AuditPolicy> {
    let dirs = [Some(Path::new(POLICY_DIR)), global.policy_dir.as_deref()];
    if !dirs.into_iter().flatten().any(speaks_of_audit) {
        return Ok(AuditPolicy::default());
    }
    let caller = Caller::probe(crate::procfs::open()?)?;
    Ok(node_policy(global, &caller)?.audit().clone())
}

fn speaks_of_audit(dir: &Path) -> bool {
    let speaks = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .map(str::trim_start)
            .any(|line| line.starts_with("[audit") || line.starts_with("audit"))
    };
    let first = dir.join(FIRST);
    let Ok(exists) = dir.try_exists() else { return true };
    if !exists {
        return false;
    }
    let more = std::fs::read_dir(dir.join(MORE)).into_iter().flatten().flatten();
    speaks(&first) || more.into_iter().any(|entry| speaks(&entry.path()))
}

/// The policy in a directory; `None` when that is not there.
fn read_dir(dir: &Path, caller: &Caller) -> Result<Option<NodePolicy>> {
    let Some(open) = open_dir(rustix::fs::CWD, dir, dir, caller)? else { return Ok(None) };
    let mut policy = NodePolicy::default();
    add_file(&mut policy, &open, Path::new(FIRST), &dir.join(FIRST), caller)?;
    let more = dir.join(MORE);
    if let Some(open) = open_dir(&open, Path::new(MORE), &more, caller)? {
        for name in names(&open, &more)? {
            add_file(&mut policy, &open, &name, &more.join(&name), caller)?;
        }
    }
    Ok(Some(policy))
}

fn open_dir(at: impl AsFd, name: &Path, shown: &Path, caller: &Caller) -> Result<Option<OwnedFd>> {
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

/// A file that is not there is skipped only if nobody listed it: the first one.
fn add_file(
    policy: &mut NodePolicy,
    dir: &OwnedFd,
    name: &Path,
    shown: &Path,
    caller: &Caller,
) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = match rustix::fs::openat(dir, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        Err(Errno::LOOP) => bail!("{}: must be a file, not a symbolic link", shown.display()),
        other => other
            .map_err(|e| anyhow!("open {}: {}", shown.display(), casemate_sys::errno_text(e)))?,
    };
    check_owner(&fd, shown, "0644", caller)?;
    let mut bytes = Vec::new();
    let read = std::fs::File::from(fd).take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.map_err(|e| say(&e)).with_context(|| format!("read {}", shown.display()))?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("{}: larger than {} MiB", shown.display(), MAX_FILE >> 20);
    }
    let text = std::str::from_utf8(&bytes).with_context(|| shown.display().to_string())?;
    Ok(policy.add(&shown.to_string_lossy(), text)?)
}

/// Who can write the policy decides for all containers. What others than root can write decides nothing: it is refused, not
/// skipped.
fn check_owner(fd: &OwnedFd, shown: &Path, mode: &str, caller: &Caller) -> Result<()> {
    let shown = shown.display();
    let stat = rustix::fs::fstat(fd).with_context(|| format!("stat {shown}"))?;
    let root = stat.st_uid == 0 || !caller.initial_user_namespace && stat.st_uid == overflow_uid();
    if !root || stat.st_mode & 0o022 != 0 {
        bail!(
            "{shown}: must belong to root and be writable by nobody else \
             (hint: chown root:root {shown} && chmod {mode} {shown})"
        );
    }
    Ok(())
}

/// Whom the host's root looks like from within a user namespace that does not map it (rootless podman).
fn overflow_uid() -> u32 {
    let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
    text.trim().parse().unwrap_or(65534)
}
