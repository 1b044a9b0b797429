//! A container's directory in the state root, by descriptor.

use crate::files::io_error_text;
use anyhow::{Context as _, Result};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// One container's directory.
#[derive(Debug)]
pub struct StateDir {
    /// Container id.
    pub id: String,
    pub(super) path: PathBuf,
    pub(super) root: OwnedFd,
    pub(super) dir: OwnedFd,
}

pub(super) const RECORD: &str = "record.json";
pub(super) const INIT: &str = "init.json";
pub(super) const POSTURE: &str = "posture.json";
pub(super) const GATE: &str = "gate";
/// What the policy changed, and why.
pub(super) const DECISIONS: &str = "decisions.json";
/// Everything that a container's directory usually holds, in the order in which it goes: a removal that is cut short leaves a
/// container of which less and less is known to have been, and never one of which it is not known what it is.
const FILES: [&str; 6] = [GATE, POSTURE, "seccomp.bpf", DECISIONS, INIT, RECORD];

impl StateDir {
    /// Wait for, and take, the lock.
    ///
    /// # Errors
    /// flock(2) fails: EINTR, ENOLCK (no memory for the lock), or a file system that has no locks.
    pub fn lock(&self) -> Result<()> {
        Ok(rustix::fs::flock(&self.dir, FlockOperation::LockExclusive)
            .call(|| format!("flock({})", self.id))?)
    }

    /// Let go of the lock, before hooks or anything else that takes its time.
    ///
    /// # Errors
    /// flock(2) fails: on a file system that has no locks.
    pub fn unlock(&self) -> Result<()> {
        Ok(rustix::fs::flock(&self.dir, FlockOperation::Unlock)
            .call(|| format!("flock({})", self.id))?)
    }

    /// Whether another command holds the lock right now.
    ///
    /// # Errors
    /// flock(2) fails otherwise than because another holds the lock.
    pub fn is_locked(&self) -> Result<bool> {
        match rustix::fs::flock(&self.dir, FlockOperation::NonBlockingLockShared) {
            Ok(()) => self.unlock().map(|()| false),
            Err(Errno::WOULDBLOCK) => Ok(true),
            Err(e) => Err(e).call(|| format!("flock({})", self.id)).context("state"),
        }
    }

    /// The directory's path, for the container's side, which binds a part of it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The state root that it lies in.
    pub(crate) fn root_path(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// The directory.
    pub fn dir(&self) -> &OwnedFd {
        &self.dir
    }

    /// Replace a file in one step.
    ///
    /// # Errors
    /// The new file cannot be made, written (ENOSPC) or moved into place; the old one stays then.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        self.prepare(name, content)?;
        self.put_in_place(name)
    }

    /// The part of it that takes space.
    pub(super) fn prepare(&self, name: &str, content: &[u8]) -> Result<()> {
        let temporary = format!(".{name}.new");
        let flags =
            OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let about = || format!("state of {}: {name}", self.id);
        let file = rustix::fs::openat(&self.dir, &temporary, flags, Mode::from_raw_mode(0o600))
            .call(|| format!("openat(\"{temporary}\")"))
            .with_context(about)?;
        let written = File::from(file).write_all(content);
        written
            .inspect_err(|_| self.forget(name))
            .map_err(|e| io_error_text(&e))
            .with_context(about)
    }

    pub(super) fn put_in_place(&self, name: &str) -> Result<()> {
        rustix::fs::renameat(&self.dir, format!(".{name}.new"), &self.dir, name)
            .call(|| "renameat()")
            .with_context(|| format!("state of {}: {name}", self.id))
            .inspect_err(|_| self.forget(name))
    }

    /// Move a file out into a directory of the state root, which is made where it is missing, under the container's name and with
    /// a line more at its end. Of a file larger than `largest` the line is all that is left.
    pub(super) fn hand_over(&self, name: &str, dir: &str, line: &[u8], largest: u64) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::empty());
        let mut file = File::from(file.call(|| format!("openat(\"{name}\")"))?);
        if file.metadata().map_err(|e| io_error_text(&e))?.len() > largest {
            file.set_len(0).map_err(|e| io_error_text(&e))?;
        }
        file.write_all(line).map_err(|e| io_error_text(&e))?;
        let to = format!("{dir}/{}", self.id);
        let put = || rustix::fs::renameat(&self.dir, name, &self.root, &to);
        let put = put().or_else(|error| match error {
            Errno::NOENT => {
                match rustix::fs::mkdirat(&self.root, dir, Mode::from_raw_mode(0o700)) {
                    Ok(()) | Err(Errno::EXIST) => put(),
                    Err(error) => Err(error),
                }
            }
            error => Err(error),
        });
        Ok(put.call(|| format!("renameat(\"{to}\")"))?)
    }

    /// The state root.
    pub(super) fn root(&self) -> &OwnedFd {
        &self.root
    }

    /// What was prepared is not used. The next one replaces it where it cannot be removed.
    pub(super) fn forget(&self, name: &str) {
        rustix::fs::unlinkat(&self.dir, format!(".{name}.new"), AtFlags::empty()).ok();
    }

    /// Write a file that nobody reads before the record names it.
    ///
    /// # Errors
    /// EEXIST: it is there already; or it cannot be made or written (ENOSPC), and what is written
    /// of it stays.
    pub fn write_new(&self, name: &str, parts: &[&[u8]]) -> Result<()> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let about = || format!("state of {}: {name}", self.id);
        let file = rustix::fs::openat(&self.dir, name, flags, Mode::from_raw_mode(0o600))
            .call(|| format!("openat(\"{name}\", O_EXCL)"))
            .with_context(about)?;
        let mut file = File::from(file);
        parts
            .iter()
            .try_for_each(|part| file.write_all(part))
            .map_err(|e| io_error_text(&e))
            .with_context(about)
    }

    /// Read a file of the directory.
    ///
    /// # Errors
    /// ENOENT: there is none; ELOOP: it is a symbolic link; or it cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.read_opened(name, self.open(name))
    }

    /// The same of a file that an older release did not write, or that a container does not have yet.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn read_if_there(&self, name: &str) -> Result<Option<Vec<u8>>> {
        match self.open(name) {
            Err(Errno::NOENT) => Ok(None),
            opened => self.read_opened(name, opened).map(Some),
        }
    }

    fn open(&self, name: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, name, flags, Mode::empty())
    }

    fn read_opened(&self, name: &str, opened: rustix::io::Result<OwnedFd>) -> Result<Vec<u8>> {
        let about = || format!("state of {}: {name}", self.id);
        let file = opened.call(|| format!("openat(\"{name}\")")).with_context(about)?;
        let mut bytes = Vec::new();
        let read = File::from(file).read_to_end(&mut bytes);
        let errno =
            |e: std::io::Error| e.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
        read.map_err(errno).call(|| "read()").with_context(about)?;
        Ok(bytes)
    }

    pub(super) fn exists(&self, name: &str) -> Result<bool> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e)
                .call(|| format!("statat(\"{name}\")"))
                .with_context(|| format!("state of {}", self.id)),
        }
    }

    /// Whether something lies in the directory that no command of ours puts there.
    ///
    /// # Errors
    /// A directory that cannot be read.
    pub fn is_foreign(&self) -> Result<bool> {
        let about = || format!("state of {}", self.id);
        let entries =
            rustix::fs::Dir::read_from(&self.dir).call(|| "open(directory)").with_context(about)?;
        for entry in entries {
            let entry = entry.call(|| "readdir").with_context(about)?;
            let name = entry.file_name().to_string_lossy();
            let plain = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".new"));
            let plain = plain.unwrap_or(&name);
            if !matches!(plain, "." | ".." | "notify") && !FILES.contains(&plain) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Remove the directory with everything in it.
    ///
    /// # Errors
    /// A file or directory in it cannot be removed; it is no error that something is gone already.
    pub fn remove(&self) -> Result<()> {
        let about = || format!("state of {}", self.id);
        super::bundles::forget(&self.root, &self.id)
            .call(|| "unlinkat(@bundles)")
            .with_context(about)?;
        // By name first: reading the directory costs more than the files that are not there.
        for name in FILES {
            match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(e) => return Err(e).call(|| format!("unlinkat({name})")).with_context(about),
            }
        }
        let remove = || rustix::fs::unlinkat(&self.root, &self.id, AtFlags::REMOVEDIR);
        let removed = match remove() {
            Err(Errno::NOTEMPTY) => {
                remove_content(&self.dir).with_context(about)?;
                remove()
            }
            other => other,
        };
        match removed {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e).call(|| format!("rmdir(\"{}\")", self.id)).with_context(about),
        }
    }
}

fn remove_content(dir: &OwnedFd) -> casemate_sys::Result<()> {
    for entry in rustix::fs::Dir::read_from(dir).call(|| "opendir(state)")? {
        let entry = entry.call(|| "readdir(state)")?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => {
                let sub = rustix::fs::openat(dir, name, DIR, Mode::empty())
                    .call(|| "openat(state sub-directory)")?;
                remove_content(&sub)?;
                rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
                    .call(|| "rmdir(state sub-directory)")?;
            }
            Err(e) => return Err(e).call(|| format!("unlinkat({name:?})")),
        }
    }
    Ok(())
}

pub(super) const DIR: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);
