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
pub(crate) mod ids;
#[cfg(test)]
mod tests;

use crate::files::io_error_text;
use crate::hinted::hinted;
use anyhow::{Context as _, Result};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LOCK: &str = "lock";

/// How many files an allocation looks at for being left over, beside those in its way.
const SAMPLE: usize = 4;
/// How old a file is, in seconds, before it is looked at for that.
const AGE: u64 = 60;

/// How often [`forget`] looks for somebody who still uses what it would drop, and how long it waits in between.
const LOOKS: u32 = 200;
const PAUSE: Duration = Duration::from_millis(10);

const READ_DIR: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// What containers take from a pool.
pub(crate) trait Resource: Copy + PartialEq + std::fmt::Debug {
    /// The pool, as messages call it.
    const WHAT: &'static str;

    /// The two numbers that the name of its file begins with.
    fn numbers(self) -> (u32, u32);

    /// The other way round.
    fn of_numbers(first: u32, second: u32) -> Self;

    /// Two containers cannot have this one and that.
    fn meets(self, other: Self) -> bool;
}

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

/// Who wants something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claimant {
    /// Its id.
    pub(crate) container: String,
    /// Its state directory.
    pub(crate) state: PathBuf,
    /// The pod that it says it belongs to.
    pub(crate) pod: Option<String>,
    /// Inodes of the namespaces that it joins: what a pod really shares.
    #[serde(default)]
    pub(crate) joined: Vec<u64>,
}

impl Claimant {
    /// Containers of one pod name it, and share a namespace. The name alone is what anybody may put into an annotation.
    fn is_of_one_pod_with(&self, other: &Self) -> bool {
        let shares = other.joined.iter().any(|inode| self.joined.contains(inode));
        self.pod.is_some() && self.pod == other.pod && shares
    }

    fn pod_hash(&self) -> u64 {
        self.pod.as_deref().map_or(0, |pod| hash(pod.as_bytes()))
    }
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

/// A file of the directory, as its name tells: two numbers, pod, state directory, and a time that makes it unique.
#[derive(Clone, Debug, PartialEq)]
struct Entry<R> {
    resource: R,
    pod: u64,
    /// `None`: releases up to 0.2.0 did not write it.
    state: Option<u64>,
    name: String,
}

impl<R: Resource> Entry<R> {
    /// `None`: a file that is none of ours.
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.split('-');
        // A word that is no number makes the name none of ours.
        let mut number = || parts.next()?.parse().ok();
        let resource = R::of_numbers(number()?, number()?);
        let pod = u64::from_str_radix(parts.next()?, 16).ok()?;
        let state = parts.next()?.split_once('.').map(|(state, _)| state);
        // The name of an older release, or none of ours: nothing is told apart by it.
        let state = state.and_then(|state| u64::from_str_radix(state, 16).ok());
        Some(Self { resource, pod, state, name: name.to_owned() })
    }
}

/// Why a file of the directory is there.
enum Owner {
    /// It is being made, or it exists, or it cannot be told.
    Somebody,
    /// Its runtime was killed halfway.
    Nobody,
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

/// What makes a name different from those of other times. A clock before 1970 only makes names less different.
fn unique() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_nanos() as u64)
}

/// Lock the file, and write whose it is.
fn fill(file: OwnedFd, name: &str, who: &impl Serialize) -> Result<OwnedFd> {
    rustix::fs::flock(&file, FlockOperation::LockExclusive).call(|| format!("flock({name})"))?;
    let file = File::from(file);
    (&file).write_all(&serde_json::to_vec(who)?).map_err(|e| io_error_text(&e))?;
    Ok(file.into())
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

/// Whether somebody is making this container, or it exists. What cannot be told counts as somebody's: it is not taken away.
fn owner(dir: &OwnedFd, name: &str) -> Owner {
    let Ok(file) = open_entry(dir, name) else { return Owner::Somebody };
    if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Owner::Somebody;
    }
    let mut bytes = Vec::new();
    if File::from(file).read_to_end(&mut bytes).is_err() {
        return Owner::Somebody;
    }
    // What cannot be understood was cut short when its maker was killed.
    let Ok(who) = serde_json::from_slice::<Claimant>(&bytes) else { return Owner::Nobody };
    match rustix::fs::statat(rustix::fs::CWD, &who.state, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT | Errno::NOTDIR) => Owner::Nobody,
        _ => Owner::Somebody,
    }
}

fn open_entry(dir: &OwnedFd, name: &str) -> casemate_sys::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    rustix::fs::openat(dir, name, flags, Mode::empty()).call(|| format!("openat({name})"))
}

/// `None`: it is gone; who gives something back takes no lock.
fn read(dir: &OwnedFd, name: &str) -> Result<Option<Vec<u8>>> {
    let file = match open_entry(dir, name) {
        Err(error) if error.errno() == Errno::NOENT => return Ok(None),
        other => other?,
    };
    let mut bytes = Vec::new();
    File::from(file).read_to_end(&mut bytes).map_err(|e| io_error_text(&e))?;
    Ok(Some(bytes))
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

/// `None`: there is none, or it is root's alone, and an ordinary user's container has nothing in there.
fn open_existing<R: Resource>(dir: &Path) -> Result<Option<OwnedFd>> {
    match rustix::fs::open(dir, READ_DIR, Mode::empty()) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::NOENT | Errno::ACCESS) => Ok(None),
        Err(e) => Err(e).call(|| format!("open({})", dir.display())).context(R::WHAT),
    }
}

fn remove<R: Resource>(dir: &OwnedFd, name: &str) -> Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(e).call(|| format!("unlinkat({name})")).context(R::WHAT),
    }
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

fn entries<R: Resource>(dir: &OwnedFd) -> Result<Vec<Entry<R>>> {
    let dir = rustix::fs::Dir::read_from(dir).call(|| "opendir()").context(R::WHAT)?;
    let mut entries = Vec::new();
    for entry in dir {
        let entry = entry.call(|| "readdir()").context(R::WHAT)?;
        // Other files are none of ours.
        entries.extend(entry.file_name().to_str().ok().and_then(Entry::parse));
    }
    Ok(entries)
}

/// The processes that there are. One that ends meanwhile is for the caller to notice.
fn processes(proc: &OwnedFd) -> Result<Vec<i32>> {
    let dir = rustix::fs::openat(proc, ".", READ_DIR, Mode::empty()).call(|| "openat(/proc)")?;
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir).call(|| "opendir(/proc)")? {
        let entry = entry.call(|| "readdir(/proc)")?;
        // Names that are no numbers are no processes.
        found.extend(entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(found)
}

/// A file of a process; `None`: the process is gone.
fn of_process(proc: &OwnedFd, pid: i32, file: &str) -> Result<Option<String>> {
    match crate::procfs::read(proc, &format!("{pid}/{file}")) {
        Ok(text) => Ok(Some(text)),
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH) => Ok(None),
        // The kernel says so of the maps of a process that ends while they are opened (proc_id_map_open()).
        Err(error) if error.errno() == Errno::INVAL && is_gone(proc, pid) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn is_gone(proc: &OwnedFd, pid: i32) -> bool {
    let found = rustix::fs::statat(proc, pid.to_string(), AtFlags::SYMLINK_NOFOLLOW);
    matches!(found, Err(Errno::NOENT | Errno::SRCH))
}

fn hash_of(state: &Path) -> u64 {
    hash(state.as_os_str().as_encoded_bytes())
}

/// FNV-1a: no secret depends on it, it only has to be the same tomorrow.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
