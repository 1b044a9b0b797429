//! Things of which no two live containers have the same, unless they belong to one pod: ranges of host ids ([`ids`]), pairs of
//! SELinux categories ([`categories`]).
//!
//! A pool is a directory, one for the host, whatever state root an engine uses. It holds an empty file `lock` and one small
//! file for each container that has something; what no file names is free. The files are made under the lock, and stay open
//! and locked by their maker until the container stands, so that whoever finds one can tell three cases apart: it is being
//! made (locked), it exists (its state directory does), or its runtime was killed halfway. The last kind is removed by whoever
//! comes across it, after a look at all processes: what any of them uses is not free, whatever the files say.
//!
//! What a container gets follows from its id, as long as that is free: a container that is started again finds the same.

pub(crate) mod brought;
pub(crate) mod categories;
mod claimant;
mod entries;
mod hash;
pub(crate) mod ids;
mod processes;
mod range;
#[cfg(test)]
mod tests;

use crate::hinted::hinted;
pub(crate) use claimant::Claimant;
use hash::hash_of;

use anyhow::{Context as _, Result};
use casemate_sys::Context as _;
use entries::{
    entries, fill, open_existing, owner, read, remove, unique, Entry, Owner, Resource, READ_DIR,
};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::path::Path;
use std::time::Duration;

const LOCK: &str = "lock";

/// How many files an allocation looks at for being left over, beside those in its way.
const SAMPLE: usize = 4;
/// How old a file is, in seconds, before it is looked at for that.
const AGE: u64 = 60;

/// How often [`forget`] looks for somebody who still uses what it would drop, and how long it waits in between.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

/// Whether some container has one.
type Had<R> = Box<dyn Fn(R) -> bool>;

/// Where they come from.
pub(crate) trait Supply {
    /// What it supplies.
    type Resource: Resource;

    /// All that there are, beginning with the one that the container's id points at.
    fn candidates(&self, container: &str) -> impl Iterator<Item = Self::Resource>;

    /// Whether containers have one by another way than from the pool. With `proc`, what is left over of that is dropped.
    ///
    /// # Errors
    /// The directory's files; the processes that may still use what is left over.
    fn had(&self, dir: &OwnedFd, proc: Option<&OwnedFd>) -> Result<Had<Self::Resource>>;

    /// All are taken: the error, with a hint.
    fn none_free(&self) -> anyhow::Error;

    /// Which of `suspects` some process uses.
    fn in_use(&self, proc: &OwnedFd, suspects: &[Self::Resource]) -> Result<Vec<Self::Resource>>;
}

/// Something that is the container's until it is released.
#[derive(Debug)]
pub(crate) struct Lease<R> {
    /// What it is.
    pub(crate) resource: R,
    /// The file's name: for the record.
    pub(crate) name: String,
    /// Locked while the container is made.
    _held: OwnedFd,
}

/// A pool.
#[derive(Debug)]
pub(crate) struct Pool<S> {
    dir: OwnedFd,
    supply: S,
}

type Entries<S> = Vec<Entry<<S as Supply>::Resource>>;

impl<S: Supply> Pool<S> {
    /// Open the pool in `dir`, making it when missing.
    ///
    /// # Errors
    /// The directory cannot be made, or is not root's alone: who can write there decides who shares with whom.
    pub(crate) fn open(dir: &Path, supply: S) -> Result<Self> {
        let about = || format!("{} {}", S::Resource::WHAT, dir.display());
        match rustix::fs::mkdir(dir, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e).call(|| "mkdir()").with_context(about),
        }
        let fd =
            rustix::fs::open(dir, READ_DIR, Mode::empty()).call(|| "open()").with_context(about)?;
        let st = rustix::fs::fstat(&fd).call(|| "fstat()").with_context(about)?;
        if st.st_uid != rustix::process::geteuid().as_raw() || st.st_mode & 0o077 != 0 {
            let message = format!("{}: must belong to root and be open to nobody else", about());
            return Err(hinted(message, "chmod 0700"));
        }
        Ok(Self { dir: fd, supply })
    }

    /// What such a container would get now. Takes and makes nothing.
    ///
    /// # Errors
    /// Nothing is free; the directory cannot be read.
    pub(crate) fn expected(dir: &Path, supply: &S, who: &Claimant) -> Result<S::Resource> {
        let mut candidates = supply.candidates(&who.container);
        let found = match rustix::fs::open(dir, READ_DIR, Mode::empty()) {
            Ok(dir) => {
                let known = entries(&dir)?;
                if let Some(shared) = of_pod(&dir, who, &known)? {
                    return Ok(shared);
                }
                let had = supply.had(&dir, None)?;
                let is_free = |one: &S::Resource| {
                    !known.iter().any(|entry| entry.resource.meets(*one)) && !had(*one)
                };
                candidates.find(is_free)
            }
            Err(Errno::NOENT) => candidates.next(),
            Err(e) => return Err(e).call(|| "open()").context(S::Resource::WHAT),
        };
        found.ok_or_else(|| supply.none_free())
    }

    /// Take what no live container has; what the pod has, if another container of it has something.
    ///
    /// # Errors
    /// Nothing is free; the directory's files.
    pub(crate) fn take(&self, who: &Claimant, proc: &OwnedFd) -> Result<Lease<S::Resource>> {
        let _lock = self.lock()?;
        let mut known = entries(&self.dir)?;
        if let Some(shared) = of_pod(&self.dir, who, &known)? {
            return self.claim(shared, who);
        }
        let some = self.sample(&known);
        self.drop_left_over(&mut known, some, proc)?;
        let had = self.supply.had(&self.dir, Some(proc))?;
        for candidate in self.supply.candidates(&who.container).filter(|one| !had(*one)) {
            let meets = |entry: &&Entry<S::Resource>| entry.resource.meets(candidate);
            let in_the_way: Entries<S> = known.iter().filter(meets).cloned().collect();
            if !in_the_way.is_empty() {
                self.drop_left_over(&mut known, in_the_way, proc)?;
            }
            if !known.iter().any(|entry| entry.resource.meets(candidate)) {
                return self.claim(candidate, who);
            }
        }
        Err(self.supply.none_free())
    }

    /// Take part in what another container has; `None` when nobody has it.
    ///
    /// # Errors
    /// The directory's files.
    pub(crate) fn share(
        &self,
        who: &Claimant,
        wanted: S::Resource,
    ) -> Result<Option<Lease<S::Resource>>> {
        let _lock = self.lock()?;
        let known: Entries<S> = entries(&self.dir)?;
        if !known.iter().any(|entry| entry.resource == wanted) {
            return Ok(None);
        }
        self.claim(wanted, who).map(Some)
    }

    fn claim(&self, resource: S::Resource, who: &Claimant) -> Result<Lease<S::Resource>> {
        let about = || format!("{} for {}", S::Resource::WHAT, who.container);
        let unique = unique();
        let (first, second) = resource.numbers();
        let (pod, state) = (who.pod_hash(), hash_of(&who.state));
        let name = format!("{first}-{second}-{pod:x}-{state:x}.{unique:x}");
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&self.dir, &name, flags, Mode::RUSR | Mode::WUSR)
            .call(|| format!("openat({name})"))
            .with_context(about)?;
        match fill(file, &name, who) {
            Ok(held) => Ok(Lease { resource, name, _held: held }),
            Err(why) => {
                remove::<S::Resource>(&self.dir, &name)?;
                Err(why).with_context(about)
            }
        }
    }

    fn lock(&self) -> Result<OwnedFd> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let lock = rustix::fs::openat(&self.dir, LOCK, flags, Mode::RUSR | Mode::WUSR)
            .call(|| "openat(lock)")
            .context(S::Resource::WHAT)?;
        rustix::io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive))
            .call(|| "flock(lock)")
            .context(S::Resource::WHAT)?;
        Ok(lock)
    }

    /// Of these entries, drop those that nobody is left to drop.
    fn drop_left_over(
        &self,
        known: &mut Entries<S>,
        mut suspects: Entries<S>,
        proc: &OwnedFd,
    ) -> Result<()> {
        suspects.retain(|entry| matches!(owner(&self.dir, &entry.name), Owner::Nobody));
        if suspects.is_empty() {
            return Ok(());
        }
        let resources: Vec<S::Resource> = suspects.iter().map(|entry| entry.resource).collect();
        let used = self.supply.in_use(proc, &resources)?;
        for entry in suspects {
            if used.contains(&entry.resource) {
                // To look at all processes takes time: not again soon. If that cannot be noted, it is only looked at again.
                let now = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
                let times = Timestamps { last_access: now, last_modification: now };
                rustix::fs::utimensat(&self.dir, &entry.name, &times, AtFlags::empty()).ok();
                continue;
            }
            remove::<S::Resource>(&self.dir, &entry.name)?;
            known.retain(|other| *other != entry);
        }
        Ok(())
    }

    /// A few entries, other ones each time: so that everything that is left over is found in the end. Only those that have
    /// been there for a while: most are what they look like.
    fn sample(&self, known: &Entries<S>) -> Entries<S> {
        // A clock before 1970 finds nothing old.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.unwrap_or_default();
        let start = now.subsec_micros() as usize;
        let some = (0..known.len().min(SAMPLE)).map(|step| &known[(start + step) % known.len()]);
        let is_old = |entry: &&Entry<S::Resource>| {
            let stat = rustix::fs::statat(&self.dir, &entry.name, AtFlags::SYMLINK_NOFOLLOW);
            // What cannot be looked at is left for another time.
            stat.is_ok_and(|st| st.st_mtime.unsigned_abs() + AGE < now.as_secs())
        };
        some.filter(is_old).cloned().collect()
    }
}

/// What another container of the same pod has.
fn of_pod<R: Resource>(dir: &OwnedFd, who: &Claimant, known: &[Entry<R>]) -> Result<Option<R>> {
    if who.pod.is_none() {
        return Ok(None);
    }
    for entry in known.iter().filter(|entry| entry.pod == who.pod_hash()) {
        let Some(bytes) = read(dir, &entry.name).context(R::WHAT)? else { continue };
        // What is not complete is being written by somebody who does not hold the lock, that is, by nobody: it was cut short.
        let Ok(other) = serde_json::from_slice::<Claimant>(&bytes) else { continue };
        if who.is_of_one_pod_with(&other) {
            return Ok(Some(entry.resource));
        }
    }
    Ok(None)
}

/// Give something back, by the name of its file in `dir`.
///
/// # Errors
/// The file cannot be removed. One that is gone is no error.
pub(crate) fn release<R: Resource>(dir: &Path, name: &str) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    match rustix::fs::open(dir, flags, Mode::empty()) {
        Ok(dir) => remove::<R>(&dir, name),
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e).call(|| format!("open({})", dir.display())).context(R::WHAT),
    }
}

/// Give back what the container with this state directory has, as the files themselves tell.
///
/// # Errors
/// The directory's files.
pub(crate) fn release_of<R: Resource>(dir: &Path, state: &OwnedFd) -> Result<()> {
    let Some(dir) = open_existing::<R>(dir)? else { return Ok(()) };
    let own = rustix::fs::fstat(state).call(|| "fstat()").context(R::WHAT)?;
    for entry in entries::<R>(&dir)? {
        let Some(bytes) = read(&dir, &entry.name).context(R::WHAT)? else { continue };
        // What is cut short is dropped by whoever comes across it.
        let Ok(who) = serde_json::from_slice::<Claimant>(&bytes) else { continue };
        match rustix::fs::statat(rustix::fs::CWD, &who.state, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(st) if (st.st_dev, st.st_ino) == (own.st_dev, own.st_ino) => {
                remove::<R>(&dir, &entry.name)?;
            }
            // Another container's, which may be anywhere.
            _ => {}
        }
    }
    Ok(())
}

/// Drop what was taken for a container with this state directory by a runtime that was killed before it made the directory.
/// What that one had started has ids of the range until it has noticed. If somebody keeps them, they stay taken, and whoever
/// wants them next looks again.
///
/// # Errors
/// The directory's files, or the processes that may still use what they name.
pub(crate) fn forget<S: Supply>(dir: &Path, supply: S, state: &Path) -> Result<()> {
    let Some(dir) = open_existing::<S::Resource>(dir)? else { return Ok(()) };
    let own = Some(hash_of(state));
    let is_own = |entry: &Entry<S::Resource>| entry.state == own;
    let pool = Pool { dir, supply };
    for _ in 0..LOOKS {
        // Nearly always there is none, and then nobody has to wait for the lock.
        if !entries(&pool.dir)?.iter().any(is_own) {
            return Ok(());
        }
        let lock = pool.lock()?;
        let mut known = entries(&pool.dir)?;
        let suspects: Entries<S> = known.iter().filter(|entry| is_own(entry)).cloned().collect();
        pool.drop_left_over(&mut known, suspects, &crate::procfs::open()?)?;
        drop(lock);
        if known.iter().any(is_own) {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// What is taken from the pool in `dir` now, or was by who did not give it back; nothing where nobody has made it.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn taken<R: Resource>(dir: &Path) -> Result<Vec<R>> {
    let about = || format!("{} {}", R::WHAT, dir.display());
    match rustix::fs::open(dir, READ_DIR, Mode::empty()) {
        Ok(fd) => Ok(entries(&fd)?.into_iter().map(|entry| entry.resource).collect()),
        Err(Errno::NOENT) => Ok(Vec::new()),
        Err(e) => Err(e).call(|| "open()").with_context(about),
    }
}
