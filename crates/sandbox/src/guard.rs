//! The program of a hook, asked about right before it runs: who may change it, and what it holds.
//!
//! What was decided about a hook was decided when the container was made, and some hooks run when it is gone: an altered program
//! must not run with the runtime's privilege.

use crate::failure::{Failure, StepResult};
use crate::plan::{Hook, Pin};
use crate::trust;
use casemate_sys::errno_text;
use casemate_sys::process::{self, ExecVectors};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// What an ELF file begins with.
const ELF: &[u8; 4] = b"\x7fELF";

/// A program that may run.
pub(crate) struct Program<'h> {
    path: &'h Path,
    /// What its digest was taken of; `None`: nobody asked for one.
    pinned: Option<Pinned>,
}

struct Pinned {
    file: OwnedFd,
    stat: Stat,
    elf: bool,
}

impl<'h> Program<'h> {
    /// Look at the program of a hook.
    ///
    /// # Errors
    /// Why it must not run.
    pub(crate) fn admit(hook: &'h Hook) -> StepResult<Self> {
        if let Some(owners) = hook.guard.owners {
            owners.trust(&hook.path).map_err(|why| {
                refused(format!("no longer trusted: {why}")).with_hint("control hooks.trusted")
            })?;
        }
        if hook.guard.owners.is_none() && hook.guard.pin.is_some() {
            // The digest would be one file's, and what a script's interpreter opens another's.
            trust::is_ours(&hook.path).map_err(refused)?;
        }
        let pinned = hook.guard.pin.as_ref().map(|pin| pinned(&hook.path, pin)).transpose()?;
        Ok(Self { path: &hook.path, pinned })
    }

    /// Replace this process by it; returns only on failure, in words.
    ///
    /// What runs is the file that the digest was taken of, where the kernel lets it be executed by descriptor. A script it does not:
    /// its interpreter opens the path. There, the path has to lead to that file, unchanged, right before execve(2); between the
    /// two, and until the interpreter has opened it, somebody could still change it who may write the file or a directory above
    /// it. No container is that (control mounts.sources), and without hooks.untrusted nobody but root and the caller.
    pub(crate) fn exec(&self, vectors: &ExecVectors) -> String {
        let Ok(path) = CString::new(self.path.as_os_str().as_bytes()) else {
            return "path contains a NUL byte".to_owned();
        };
        if let Some(Pinned { file, stat, elf }) = &self.pinned {
            match rustix::fs::fstat(file) {
                Ok(now) if is_same(stat, &now) => {}
                Ok(_) => return CHANGED.to_owned(),
                Err(error) => return format!("fstat: {}", errno_text(error)),
            }
            if *elf {
                match process::execveat(file, vectors) {
                    // One of another architecture has an interpreter (binfmt_misc), like a script.
                    Errno::NOENT => {}
                    error => return errno_text(error),
                }
            }
            match rustix::fs::stat(self.path) {
                Ok(now) if is_same(stat, &now) => {}
                Ok(_) => return CHANGED.to_owned(),
                Err(error) => return format!("stat: {}", errno_text(error)),
            }
        }
        errno_text(process::execve(&path, vectors))
    }
}

fn refused(why: String) -> Failure {
    Failure::new("hook", why)
}

const CHANGED: &str = "changed while its digest was taken";

fn pinned(path: &Path, pin: &Pin) -> StepResult<Pinned> {
    let failed = |call, error| refused(format!("{call}: {}", errno_text(error)));
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file =
        rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed("open", error))?;
    let stat = rustix::fs::fstat(&file).map_err(|error| failed("fstat", error))?;
    let found = (pin.take)(&file).map_err(refused)?;
    if found != pin.sha256 {
        let wanted = &pin.sha256;
        let why = format!("is no longer what hooks.allow let in: sha256 {found}, not {wanted}");
        return Err(refused(why).with_hint("make the container anew if the change was meant"));
    }
    let mut magic = [0; ELF.len()];
    let n = rustix::io::pread(&file, &mut magic, 0).map_err(|error| failed("read", error))?;
    Ok(Pinned { elf: magic[..n] == ELF[..], file, stat })
}

/// Every write and every rename over it changes one of these.
fn is_same(before: &Stat, now: &Stat) -> bool {
    let of =
        |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_ctime, stat.st_ctime_nsec);
    of(before) == of(now)
}
