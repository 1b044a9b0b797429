//! Ranges of host ids for containers that get a user namespace of their own: no two live containers have the same, unless they
//! belong to one pod.
//!
//! The directory is one for the host, whatever state root an engine uses. It holds an empty file `lock` and one small file for
//! each container that has a range; a range is free when no file names it. The files are made under the lock, and stay open
//! and locked by their maker until the container stands, so that whoever finds one can tell three cases apart: it is being
//! made (locked), it exists (its state directory does), or its runtime was killed halfway. The last kind is removed by whoever
//! comes across it, after a look at all processes: a range that any of them uses is not free, whatever the files say.
//!
//! Which range a container gets follows from its id, as long as that one is free: a container that is started again finds the
//! same ids.

mod source;
mod stale;

pub use source::{Range, Source, Span, SIZE};

use crate::bundle::say;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where the files lie.
pub const DIR: &str = "/run/casemate-ids";
const LOCK: &str = "lock";

/// How many files an allocation looks at for being left over, beside those in its way.
const SAMPLE: usize = 4;
/// How old a file is, in seconds, before it is looked at for that.
const AGE: u64 = 60;

/// Who wants a range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimant {
    /// Its id.
    pub container: String,
    /// Its state directory.
    pub state: PathBuf,
    /// The pod that it says it belongs to.
    pub pod: Option<String>,
    /// Inodes of the namespaces that it joins: what a pod really shares.
    pub joined: Vec<u64>,
}

/// A range that is ours until it is released.
#[derive(Debug)]
pub struct Lease {
    /// The ids.
    pub range: Range,
    /// The file's name: for the record.
    pub name: String,
    /// Locked while we make the container.
    _held: OwnedFd,
}

/// A file of the directory, as its name tells: user ids, group ids, container, pod, and a number that makes it unique.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    range: Range,
    pod: u64,
    name: String,
}

impl Entry {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let uid = parts.next()?.parse().ok()?;
        let gid = parts.next()?.parse().ok()?;
        let pod = u64::from_str_radix(parts.next()?, 16).ok()?;
        parts.next()?;
        Some(Self { range: Range { uid, gid }, pod, name: name.to_owned() })
    }

    fn meets(&self, range: Range) -> bool {
        self.range.uid.abs_diff(range.uid) < SIZE || self.range.gid.abs_diff(range.gid) < SIZE
    }
}

/// The pool.
#[derive(Debug)]
pub struct Pool {
    dir: OwnedFd,
    source: Source,
}

impl Pool {
    /// Open the pool in `dir`, making it when missing.
    ///
    /// # Errors
    /// The directory cannot be made, or is not root's alone: who can write there decides who shares ids with whom.
    pub fn open(dir: &Path, source: Source) -> Result<Self> {
        let about = || format!("id ranges {}", dir.display());
        match rustix::fs::mkdir(dir, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e).call(|| "mkdir()").with_context(about),
        }
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd =
            rustix::fs::open(dir, flags, Mode::empty()).call(|| "open()").with_context(about)?;
        let st = rustix::fs::fstat(&fd).call(|| "fstat()").with_context(about)?;
        if st.st_uid != rustix::process::geteuid().as_raw() || st.st_mode & 0o077 != 0 {
            bail!("{}: must belong to root and be open to nobody else (hint: chmod 0700)", about());
        }
        Ok(Self { dir: fd, source })
    }

    /// The range that a container with this id would get now. Takes and makes nothing.
    ///
    /// # Errors
    /// No range is free; the directory cannot be read.
    pub fn expected(dir: &Path, source: &Source, container: &str) -> Result<Range> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let entries = match rustix::fs::open(dir, flags, Mode::empty()) {
            Ok(dir) => entries(&dir)?,
            Err(Errno::NOENT) => Vec::new(),
            Err(e) => return Err(e).call(|| "open()").context("id ranges"),
        };
        let free = |range: &Range| !entries.iter().any(|entry| entry.meets(*range));
        source.candidates(container).find(free).ok_or_else(|| none_free(source))
    }

    /// Take a range that no live container has; that of the pod, if another container of it has one.
    ///
    /// # Errors
    /// No range is free; the directory's files.
    pub fn take(&self, who: &Claimant, proc: &OwnedFd) -> Result<Lease> {
        let _lock = self.lock()?;
        let mut entries = entries(&self.dir)?;
        if let Some(range) = self.of_pod(who, &entries) {
            return self.claim(range, who);
        }
        self.drop_left_over(&mut entries, |all| self.sample(all), proc)?;
        for range in self.source.candidates(&who.container) {
            if entries.iter().any(|entry| entry.meets(range)) {
                let in_the_way = |all: &[Entry]| -> Vec<usize> {
                    (0..all.len()).filter(|n| all[*n].meets(range)).collect()
                };
                self.drop_left_over(&mut entries, in_the_way, proc)?;
            }
            if !entries.iter().any(|entry| entry.meets(range)) {
                return self.claim(range, who);
            }
        }
        Err(none_free(&self.source))
    }

    /// Take part in a range that another container has; `None` when nobody has it.
    ///
    /// # Errors
    /// The directory's files.
    pub fn share(&self, who: &Claimant, uid: u32, gid: u32) -> Result<Option<Lease>> {
        let _lock = self.lock()?;
        let range = Range { uid, gid };
        if !entries(&self.dir)?.iter().any(|entry| entry.range == range) {
            return Ok(None);
        }
        self.claim(range, who).map(Some)
    }

    /// The range of a container that names the same pod and shares a namespace with `who`. The name alone is what anybody may
    /// put into an annotation.
    fn of_pod(&self, who: &Claimant, entries: &[Entry]) -> Option<Range> {
        let pod = who.pod.as_deref()?;
        let wanted = hash(pod.as_bytes());
        entries.iter().filter(|entry| entry.pod == wanted).find_map(|entry| {
            let other: Claimant = serde_json::from_slice(&self.read(&entry.name).ok()?).ok()?;
            let shares = other.joined.iter().any(|inode| who.joined.contains(inode));
            (other.pod.as_deref() == Some(pod) && shares).then_some(entry.range)
        })
    }

    fn claim(&self, range: Range, who: &Claimant) -> Result<Lease> {
        let about = || format!("id range for {}", who.container);
        let pod = who.pod.as_deref().map_or(0, |pod| hash(pod.as_bytes()));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let unique = now.map_or(0, |now| now.as_nanos() as u64)
            ^ hash(who.state.as_os_str().as_encoded_bytes());
        let name = format!("{}-{}-{pod:x}-{unique:x}", range.uid, range.gid);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR)
            .call(|| format!("openat({name})"))
            .with_context(about)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)
            .call(|| format!("flock({name})"))
            .with_context(about)?;
        let file = File::from(file);
        (&file).write_all(&serde_json::to_vec(who)?).map_err(|e| say(&e)).with_context(about)?;
        Ok(Lease { range, name, _held: file.into() })
    }

    fn lock(&self) -> Result<OwnedFd> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = rustix::fs::openat(&self.dir, LOCK, flags, Mode::RUSR | Mode::WUSR)
            .call(|| "openat(lock)")
            .context("id ranges")?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))
            .call(|| "flock(lock)")
            .context("id ranges")?;
        Ok(lock)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let file = self.open_entry(name)?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut File::from(file), &mut bytes).map_err(|e| say(&e))?;
        Ok(bytes)
    }

    fn open_entry(&self, name: &str) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(&self.dir, name, flags, Mode::empty())
            .call(|| format!("openat({name})"))?)
    }

    /// Of the entries that `which` points out, drop those that nobody is left to drop.
    fn drop_left_over(
        &self,
        entries: &mut Vec<Entry>,
        which: impl Fn(&[Entry]) -> Vec<usize>,
        proc: &OwnedFd,
    ) -> Result<()> {
        let mut suspects: Vec<Entry> = Vec::new();
        for number in which(entries) {
            if self.is_ownerless(&entries[number].name) {
                suspects.push(entries[number].clone());
            }
        }
        if suspects.is_empty() {
            return Ok(());
        }
        let used = stale::ids_in_use(proc)?;
        for entry in suspects {
            if used.meets(entry.range) {
                // To look at all processes takes time: not again soon.
                let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
                let times = Timestamps { last_access: now, last_modification: now };
                rustix::fs::utimensat(&self.dir, &entry.name, &times, AtFlags::empty()).ok();
                continue;
            }
            remove(&self.dir, &entry.name)?;
            entries.retain(|other| *other != entry);
        }
        Ok(())
    }

    /// A few entries, other ones each time: so that everything that is left over is found in the end. Only those that have
    /// been there for a while: most are what they look like.
    fn sample(&self, entries: &[Entry]) -> Vec<usize> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let start = now.subsec_micros() as usize;
        let some = (0..entries.len().min(SAMPLE)).map(|step| (start + step) % entries.len());
        let is_old = |number: &usize| {
            let name = entries[*number].name.as_str();
            let stat = rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW);
            stat.is_ok_and(|st| st.st_mtime.unsigned_abs() + AGE < now.as_secs())
        };
        some.filter(is_old).collect()
    }

    /// Nobody is making this container any more, and its state directory is not there.
    fn is_ownerless(&self, name: &str) -> bool {
        let Ok(file) = self.open_entry(name) else { return false };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return false;
        }
        let mut bytes = Vec::new();
        if std::io::Read::read_to_end(&mut File::from(file), &mut bytes).is_err() {
            return false;
        }
        // What cannot be read was cut short when its maker was killed.
        let Ok(who) = serde_json::from_slice::<Claimant>(&bytes) else { return true };
        rustix::fs::statat(rustix::fs::CWD, &who.state, AtFlags::SYMLINK_NOFOLLOW)
            .is_err_and(|e| matches!(e, Errno::NOENT | Errno::NOTDIR))
    }
}

/// Give a range back, by the name of its file in `dir`.
///
/// # Errors
/// The file cannot be removed. One that is gone is no error.
pub fn release(dir: &Path, name: &str) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::open(dir, flags, Mode::empty()) {
        Ok(dir) => remove(&dir, name),
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e).call(|| format!("open({})", dir.display())).context("id range"),
    }
}

fn remove(dir: &OwnedFd, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e).call(|| format!("unlinkat({name})")).context("id range"),
    }
}

fn entries(dir: &OwnedFd) -> Result<Vec<Entry>> {
    let dir = rustix::fs::Dir::read_from(dir).call(|| "opendir()").context("id ranges")?;
    let mut entries = Vec::new();
    for entry in dir {
        let entry = entry.call(|| "readdir()").context("id ranges")?;
        entries.extend(entry.file_name().to_str().ok().and_then(Entry::parse));
    }
    Ok(entries)
}

fn none_free(source: &Source) -> anyhow::Error {
    anyhow!(
        "no range of {SIZE} ids is free, all {} are taken (hint: give casemate more in /etc/subuid and /etc/subgid)",
        source.ranges()
    )
}

/// FNV-1a: no secret depends on it, it only has to be the same tomorrow.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
