//! Pairs of categories (`c1,c2`) for containers that get an SELinux label from us: no two live containers have the same,
//! unless they belong to one pod.
//!
//! A directory for the host, as for ranges of ids (`idpool`): a file `lock`, and one small file for each container, named by
//! its pair. A file is locked by its maker until the container stands. One that nobody locks, whose state directory is gone
//! and whose categories no process has, was left by a runtime that was killed, and is removed by whoever comes across it. Labels that
//! engines choose are not looked at: they keep their own books, and of half a million pairs two are rarely the same.

use crate::bundle::say;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Where the files lie.
pub(super) const DIR: &str = "/run/casemate-mcs";
const LOCK: &str = "lock";

/// Categories of the usual policies: c0 to c1023.
const CATEGORIES: u32 = 1024;
/// Pairs of two different ones.
const PAIRS: u32 = CATEGORIES * (CATEGORIES - 1) / 2;

/// How many files a reservation looks at for being left over, beside one in its way.
const SAMPLE: usize = 4;

/// Who wants a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claim {
    /// Its id.
    pub(super) container: String,
    /// Its state directory.
    pub(super) state: PathBuf,
    /// The pod that it says it belongs to: its containers share volumes and memory.
    pub(super) pod: Option<String>,
}

/// A pair that is the container's until it is released.
#[derive(Debug)]
pub(crate) struct Lease {
    /// `c1,c2`.
    pub(crate) categories: String,
    /// The file's name: for the record.
    pub(crate) name: String,
    /// Locked while the container is made.
    _held: OwnedFd,
}

/// The pool.
#[derive(Debug)]
pub(super) struct Pool {
    dir: OwnedFd,
}

/// A file of the directory: pair, pod, and a number that makes it unique.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    pair: (u32, u32),
    pod: u64,
    name: String,
}

impl Entry {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        let pair = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let pod = u64::from_str_radix(parts.next()?, 16).ok()?;
        parts.next()?;
        Some(Self { pair, pod, name: name.to_owned() })
    }
}

const READ_DIR: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

impl Pool {
    /// Open the pool in `dir`, making it when missing.
    ///
    /// # Errors
    /// The directory cannot be made, or others may write there.
    pub(super) fn open(dir: &Path) -> Result<Self> {
        let about = || dir.display().to_string();
        match rustix::fs::mkdir(dir, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e).call(|| "mkdir()").with_context(about),
        }
        let fd = rustix::fs::open(dir, READ_DIR, Mode::empty()).call(|| "open()");
        let fd = fd.with_context(about)?;
        let st = rustix::fs::fstat(&fd).call(|| "fstat()").with_context(about)?;
        if st.st_uid != rustix::process::geteuid().as_raw() || st.st_mode & 0o077 != 0 {
            bail!("{}: must belong to root and be open to nobody else (hint: chmod 0700)", about());
        }
        Ok(Self { dir: fd })
    }

    /// The pair that a container with this id would get now. Takes and makes nothing.
    pub(super) fn expected(dir: &Path, id: &str, pod: Option<&str>) -> Result<String> {
        let known = match rustix::fs::open(dir, READ_DIR, Mode::empty()) {
            Ok(dir) => entries(&dir)?,
            Err(Errno::NOENT) => Vec::new(),
            Err(e) => return Err(e).call(|| "open()").with_context(|| dir.display().to_string()),
        };
        let shared = pod.map(hashed).and_then(|pod| known.iter().find(|entry| entry.pod == pod));
        let pair = match shared {
            Some(entry) => Some(entry.pair),
            None => candidates(id).find(|pair| !known.iter().any(|entry| entry.pair == *pair)),
        };
        pair.map(shown).ok_or_else(none_free)
    }

    /// Take a pair that no live container has; that of the pod, if another container of it has one.
    ///
    /// # Errors
    /// No pair is free; the directory's files.
    pub(super) fn take(&self, claim: &Claim, proc: &OwnedFd) -> Result<Lease> {
        let _lock = self.lock()?;
        let mut known = entries(&self.dir)?;
        if let Some(pod) = claim.pod.as_deref() {
            let other = known.iter().find(|entry| entry.pod == hashed(pod));
            if let Some(other) = other.filter(|entry| self.is_of_pod(entry, pod)) {
                return self.claim(other.pair, claim);
            }
        }
        let start = hash(claim.state.as_os_str().as_encoded_bytes()) as usize;
        let some = (0..known.len().min(SAMPLE)).map(|step| (start + step) % known.len());
        let some: Vec<Entry> = some.map(|number| known[number].clone()).collect();
        self.drop_left_over(&mut known, some, proc)?;
        for pair in candidates(&claim.container) {
            let same: Vec<Entry> =
                known.iter().filter(|entry| entry.pair == pair).cloned().collect();
            self.drop_left_over(&mut known, same, proc)?;
            if !known.iter().any(|entry| entry.pair == pair) {
                return self.claim(pair, claim);
            }
        }
        Err(none_free())
    }

    fn is_of_pod(&self, entry: &Entry, pod: &str) -> bool {
        self.read(&entry.name).is_some_and(|other| other.pod.as_deref() == Some(pod))
    }

    fn claim(&self, pair: (u32, u32), claim: &Claim) -> Result<Lease> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let unique = now.map_or(0, |now| now.as_nanos() as u64)
            ^ hash(claim.state.as_os_str().as_encoded_bytes());
        let pod = claim.pod.as_deref().map_or(0, hashed);
        let name = format!("{}-{}-{pod:x}-{unique:x}", pair.0, pair.1);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR)
            .call(|| format!("openat({name})"))?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)
            .call(|| format!("flock({name})"))?;
        let file = File::from(file);
        (&file).write_all(&serde_json::to_vec(claim)?).map_err(|e| say(&e))?;
        Ok(Lease { categories: shown(pair), name, _held: file.into() })
    }

    fn lock(&self) -> Result<OwnedFd> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = rustix::fs::openat(&self.dir, LOCK, flags, Mode::RUSR | Mode::WUSR)
            .call(|| "openat(lock)")?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))
            .call(|| "flock(lock)")?;
        Ok(lock)
    }

    /// Of these, drop those that nobody is left to drop.
    fn drop_left_over(
        &self,
        known: &mut Vec<Entry>,
        suspects: Vec<Entry>,
        proc: &OwnedFd,
    ) -> Result<()> {
        for entry in suspects.into_iter().filter(|entry| self.is_ownerless(&entry.name)) {
            if !is_in_use(proc, &shown(entry.pair))? {
                remove(&self.dir, &entry.name)?;
                known.retain(|other| *other != entry);
            }
        }
        Ok(())
    }

    /// Nobody is making this container any more, and its state directory is not there.
    fn is_ownerless(&self, name: &str) -> bool {
        let Some(file) = self.open_entry(name) else { return false };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return false;
        }
        // What cannot be read was cut short when its maker was killed.
        let Some(claim) = self.read(name) else { return true };
        rustix::fs::statat(rustix::fs::CWD, &claim.state, AtFlags::SYMLINK_NOFOLLOW)
            .is_err_and(|e| matches!(e, Errno::NOENT | Errno::NOTDIR))
    }

    fn open_entry(&self, name: &str) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(&self.dir, name, flags, Mode::empty()).ok()
    }

    fn read(&self, name: &str) -> Option<Claim> {
        let mut bytes = Vec::new();
        File::from(self.open_entry(name)?).read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// Whether a process has these categories.
fn is_in_use(proc: &OwnedFd, categories: &str) -> Result<bool> {
    let end = format!(":{categories}");
    let dir = rustix::fs::openat(proc, ".", READ_DIR, Mode::empty()).call(|| "openat(/proc)")?;
    for entry in rustix::fs::Dir::read_from(&dir).call(|| "opendir(/proc)")? {
        let entry = entry.call(|| "readdir(/proc)")?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            continue;
        }
        // A process that is gone has none.
        let label = crate::procfs::read(proc, &format!("{name}/attr/current")).unwrap_or_default();
        if label.trim_end_matches(['\n', '\0']).ends_with(&end) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Give a pair back, by the name of its file in `dir`.
///
/// # Errors
/// The file cannot be removed. One that is gone is no error.
pub(super) fn release(dir: &Path, name: &str) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::open(dir, flags, Mode::empty()) {
        Ok(dir) => remove(&dir, name),
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e).call(|| format!("open({})", dir.display())).context("SELinux categories"),
    }
}

fn remove(dir: &OwnedFd, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e).call(|| format!("unlinkat({name})")).context("SELinux categories"),
    }
}

fn entries(dir: &OwnedFd) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for entry in rustix::fs::Dir::read_from(dir).call(|| "opendir()")? {
        let entry = entry.call(|| "readdir()")?;
        entries.extend(entry.file_name().to_str().ok().and_then(Entry::parse));
    }
    Ok(entries)
}

/// All pairs, from the one on that the id leads to: a container that is made again finds the same, as long as it is free.
fn candidates(id: &str) -> impl Iterator<Item = (u32, u32)> {
    let start = (hash(id.as_bytes()) % u64::from(PAIRS)) as u32;
    (0..PAIRS).map(move |step| pair((start + step) % PAIRS))
}

/// The pair with this number: c0,c1; c0,c2; ...
fn pair(mut number: u32) -> (u32, u32) {
    let mut first = 0;
    while number >= CATEGORIES - 1 - first {
        number -= CATEGORIES - 1 - first;
        first += 1;
    }
    (first, first + 1 + number)
}

fn shown((first, second): (u32, u32)) -> String {
    format!("c{first},c{second}")
}

fn none_free() -> anyhow::Error {
    anyhow!("all {PAIRS} pairs are taken")
}

fn hashed(pod: &str) -> u64 {
    hash(pod.as_bytes())
}

/// FNV-1a: no secret depends on it, it only has to be the same tomorrow.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> (PathBuf, OwnedFd) {
        let dir = std::env::temp_dir().join(format!("casemate-mcs-{name}-{}", std::process::id()));
        std::fs::remove_dir_all(&dir).ok();
        std::fs::create_dir_all(&dir).unwrap();
        (dir, crate::procfs::open().unwrap())
    }

    fn claim(container: &str, state: &Path, pod: Option<&str>) -> Claim {
        Claim {
            container: container.to_owned(),
            state: state.to_owned(),
            pod: pod.map(str::to_owned),
        }
    }

    #[test]
    fn every_pair_has_a_number() {
        assert_eq!((pair(0), pair(1022), pair(1023)), ((0, 1), (0, 1023), (1, 2)));
        assert_eq!(pair(PAIRS - 1), (1022, 1023));
        let mut all: Vec<_> = candidates("x").collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), PAIRS as usize);
    }

    #[test]
    fn two_containers_never_have_the_same_pair_and_a_pod_shares_one() {
        let (dir, proc) = scratch("unique");
        let pool = Pool::open(&dir.join("pool")).unwrap();
        // The same id in two state roots: both begin at the same pair.
        let one = pool.take(&claim("x", &dir, None), &proc).unwrap();
        let two = pool.take(&claim("x", &dir, None), &proc).unwrap();
        assert_ne!(one.categories, two.categories);
        let expected = Pool::expected(&dir.join("pool"), "x", None).unwrap();
        assert!(expected != one.categories && expected != two.categories);
        let first = pool.take(&claim("y", &dir, Some("pod")), &proc).unwrap();
        let second = pool.take(&claim("z", &dir, Some("pod")), &proc).unwrap();
        assert_eq!(first.categories, second.categories);
        drop((one, two, first, second));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn what_is_released_or_left_over_is_free_again() {
        let (dir, proc) = scratch("free");
        let path = dir.join("pool");
        let pool = Pool::open(&path).unwrap();
        let first = pool.take(&claim("x", &dir, None), &proc).unwrap();
        release(&path, &first.name).unwrap();
        release(&path, &first.name).unwrap();
        // Its maker was killed: nobody holds the file, and there is no state directory.
        let dead = pool.take(&claim("x", &dir.join("gone"), None), &proc).unwrap();
        assert_eq!(dead.categories, first.categories);
        let name = dead.name.clone();
        let other = pool.take(&claim("x", &dir, None), &proc).unwrap();
        assert_ne!(other.categories, dead.categories, "it is still being made");
        drop(dead);
        let again = pool.take(&claim("x", &dir, None), &proc).unwrap();
        assert_eq!(again.categories, first.categories);
        assert!(!path.join(name).exists());
        // A container that stands keeps its own.
        drop(again);
        let next = pool.take(&claim("x", &dir, None), &proc).unwrap();
        assert_ne!(next.categories, first.categories);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
