//! The state root and a container's directory in it, by descriptor.

use super::record::{Held, InitRecord, LastResort, Record, FORMAT};
use crate::files::io_error_text;
use crate::hinted::{hinted, Hinted};
use crate::launch::verify::Posture;
use crate::ContainerId;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_sys::{socket, Context as _};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use serde::Deserialize;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

/// The directory that holds all containers.
#[derive(Debug)]
pub struct StateRoot {
    path: PathBuf,
    dir: Option<OwnedFd>,
}

/// One container's directory.
#[derive(Debug)]
pub struct StateDir {
    /// Container id.
    pub id: String,
    path: PathBuf,
    root: OwnedFd,
    dir: OwnedFd,
}

const RECORD: &str = "record.json";
const INIT: &str = "init.json";
const POSTURE: &str = "posture.json";
const GATE: &str = "gate";
/// What the policy changed, and why.
pub(super) const DECISIONS: &str = "decisions.json";
/// Everything that a container's directory usually holds, in the order in which it goes: a removal that is cut short leaves a
/// container of which less and less is known to have been, and never one of which it is not known what it is.
const FILES: [&str; 6] = [GATE, POSTURE, "seccomp.bpf", DECISIONS, INIT, RECORD];

const DIR: OFlags =
    OFlags::DIRECTORY.union(OFlags::RDONLY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

/// What an ordinary user is told who has no runtime directory and so is sent to root's.
fn own_place(error: anyhow::Error, message: String, path: &Path, is_denied: bool) -> anyhow::Error {
    const HINT: &str = "XDG_RUNTIME_DIR is not set: loginctl enable-linger and export XDG_RUNTIME_DIR=/run/user/$(id -u), or --root DIR";
    let is_user = path == Path::new("/run/casemate") && !rustix::process::geteuid().is_root();
    match is_denied && is_user {
        true => Hinted::new(message, HINT).because(error).into(),
        false => error.context(message),
    }
}

impl StateRoot {
    /// Open the root if it exists.
    pub fn open(path: &Path) -> Result<Self> {
        let dir = match rustix::fs::open(
            path,
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(dir) => {
                refuse_of_others(&dir, path)?;
                Some(dir)
            }
            Err(Errno::NOENT | Errno::NOTDIR) => None,
            Err(e) => {
                let error = casemate_sys::Error::new(format!("open(\"{}\")", path.display()), e);
                let message = "state root".to_owned();
                return Err(own_place(error.into(), message, path, e == Errno::ACCESS));
            }
        };
        Ok(Self { path: path.to_owned(), dir })
    }

    /// Open the root, making it (0700) when missing. `sticky`: below XDG_RUNTIME_DIR, so that a cleaner
    /// leaves it alone (XDG base directory specification).
    pub fn create(path: &Path, sticky: bool) -> Result<Self> {
        let found = Self::open(path)?;
        if found.dir.is_some() {
            return Ok(found);
        }
        use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
            let message = format!("make the state root {}", path.display());
            own_place(io_error_text(&error), message, path, denied)
        })?;
        if sticky {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o1700))
                .map_err(|e| io_error_text(&e))
                .with_context(|| format!("chmod {}", path.display()))?;
        }
        Self::open(path)
    }

    /// Whether the root exists.
    pub fn exists(&self) -> bool {
        self.dir.is_some()
    }

    /// Ids of all directories, ours or not.
    pub fn ids(&self) -> Result<Vec<ContainerId>> {
        let Some(dir) = &self.dir else { return Ok(Vec::new()) };
        let mut ids = Vec::new();
        for entry in rustix::fs::Dir::read_from(dir).call(|| "opendir(state root)")? {
            let entry = entry.call(|| "readdir(state root)")?;
            // A name that is no id is none of ours.
            ids.extend(
                entry.file_name().to_str().ok().and_then(|name| ContainerId::parse(name).ok()),
            );
        }
        ids.sort();
        Ok(ids)
    }

    fn dir(&self) -> Result<&OwnedFd> {
        self.dir.as_ref().ok_or_else(|| {
            anyhow!("container does not exist (no state root {})", self.path.display())
        })
    }

    /// Reserve an id: exactly one creator wins. The directory is locked until the returned value is dropped.
    pub fn reserve(&self, id: &ContainerId) -> Result<StateDir> {
        let root = self.dir()?;
        match rustix::fs::mkdirat(root, &**id, Mode::from_raw_mode(0o711)) {
            Ok(()) => {}
            Err(Errno::EXIST) => bail!("container with given ID already exists"),
            Err(e) => {
                return Err(e)
                    .call(|| format!("mkdirat({}, \"{id}\")", self.path.display()))
                    .context("state")
            }
        }
        let locked = self.container(id).and_then(|state| state.lock().map(|()| state));
        // What came of it so far is an empty directory, in whose place nobody could make a container. The first error is the
        // one to tell.
        locked.inspect_err(|_| {
            rustix::fs::unlinkat(root, &**id, AtFlags::REMOVEDIR).ok();
        })
    }

    /// Open the directory of an existing container, without looking at what is in it.
    pub fn container(&self, id: &ContainerId) -> Result<StateDir> {
        self.dir()?;
        self.find(id)?.ok_or_else(|| anyhow!("container does not exist"))
    }

    /// The same; `None` when there is no such directory.
    ///
    /// # Errors
    /// Whether there is one cannot be told, or it cannot be opened.
    pub fn find(&self, id: &ContainerId) -> Result<Option<StateDir>> {
        let Some(root) = &self.dir else { return Ok(None) };
        match rustix::fs::openat(root, &**id, DIR, Mode::empty()) {
            Ok(dir) => {
                let owner = rustix::fs::fstat(&dir).call(|| "fstat(state)")?.st_uid;
                let caller = rustix::process::geteuid().as_raw();
                if owner != caller {
                    bail!("state of {id}: belongs to uid {owner}, and you are uid {caller}");
                }
                let root = rustix::io::fcntl_dupfd_cloexec(root, 3).call(|| "dup(state root)")?;
                Ok(Some(StateDir { id: id.to_string(), path: self.path.join(id), root, dir }))
            }
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(e) => Err(e)
                .call(|| format!("openat({}, \"{id}\")", self.path.display()))
                .context("state"),
        }
    }
}

/// What every format of the record begins with.
#[derive(Deserialize)]
struct Head {
    format: String,
}

fn other_format(format: &str) -> anyhow::Error {
    let number =
        |format: &str| format.strip_prefix("casemate/").and_then(|n| n.parse::<u32>().ok());
    let newer = number(format) > number(FORMAT);
    let hint = "a newer release made the container: use that one; kill and delete --force work with this one, too";
    let message = format!("has format {format:?}, and this release reads {FORMAT:?}");
    if newer {
        hinted(message, hint)
    } else {
        anyhow!(message)
    }
}

/// Not inline, and in a box: the record is large, and each place that it comes by would have room for it on the stack.
#[inline(never)]
fn parse(bytes: &[u8]) -> serde_json::Result<Box<Record>> {
    serde_json::from_slice(bytes)
}

impl StateDir {
    /// Wait for, and take, the lock.
    pub fn lock(&self) -> Result<()> {
        Ok(rustix::fs::flock(&self.dir, FlockOperation::LockExclusive)
            .call(|| format!("flock({})", self.id))?)
    }

    /// Let go of the lock, before hooks or anything else that takes its time.
    pub fn unlock(&self) -> Result<()> {
        Ok(rustix::fs::flock(&self.dir, FlockOperation::Unlock)
            .call(|| format!("flock({})", self.id))?)
    }

    /// Whether another command holds the lock right now.
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
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        self.prepare(name, content)?;
        self.put_in_place(name)
    }

    /// The part of it that takes space.
    fn prepare(&self, name: &str, content: &[u8]) -> Result<()> {
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

    fn put_in_place(&self, name: &str) -> Result<()> {
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
    fn forget(&self, name: &str) {
        rustix::fs::unlinkat(&self.dir, format!(".{name}.new"), AtFlags::empty()).ok();
    }

    /// Store the record, and have `change` done that it tells of: both, or neither. There is room for it before the change
    /// begins.
    ///
    /// # Errors
    /// That of `change`, which takes itself back; or of the last step, after `back` was called.
    pub(crate) fn save_with(
        &self,
        record: &Record,
        change: impl FnOnce() -> Result<()>,
        back: impl FnOnce(),
    ) -> Result<()> {
        let bytes = serde_json::to_vec(record).with_context(|| format!("state of {}", self.id))?;
        self.prepare(RECORD, &bytes)?;
        change().inspect_err(|_| self.forget(RECORD))?;
        self.put_in_place(RECORD).inspect_err(|_| back())
    }

    /// Write a file that nobody reads before the record names it.
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

    /// Store the record of a container that is being made. In place, under the lock: replacing a file costs a flush on ext4,
    /// and every create would pay it.
    pub fn save_first(&self, record: &Record) -> Result<()> {
        self.write_new(
            RECORD,
            &[&serde_json::to_vec(record).with_context(|| format!("state of {}", self.id))?],
        )
    }

    /// Store who init is, and what of the record is needed to end the container.
    pub fn save_init(&self, init: &InitRecord, record: &Record) -> Result<()> {
        let file = LastResort { init: *init, held: Some(Held::of(record)) };
        self.write_new(INIT, &[&serde_json::to_vec(&file)?])
    }

    /// Store what was read back: the container is complete.
    pub fn save_posture(&self, posture: &Posture) -> Result<()> {
        self.write_new(POSTURE, &[&serde_json::to_vec(posture)?])
    }

    /// Whether the container's process was verified.
    pub fn is_complete(&self) -> Result<bool> {
        self.exists(POSTURE)
    }

    fn exists(&self, name: &str) -> Result<bool> {
        match rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e)
                .call(|| format!("statat(\"{name}\")"))
                .with_context(|| format!("state of {}", self.id)),
        }
    }

    /// Store the record.
    pub fn save(&self, record: &Record) -> Result<()> {
        let bytes = serde_json::to_vec(record).with_context(|| format!("state of {}", self.id))?;
        self.write(RECORD, &bytes)
    }

    /// Load the record; `None` when the directory has none (a create that was cut short, or another runtime's).
    pub fn load(&self) -> Result<Option<Box<Record>>> {
        let Some(mut record) = self.load_without_init()? else { return Ok(None) };
        record.init = self.load_init()?;
        Ok(Some(record))
    }

    /// The same, whatever is known of init: to remove a container by force.
    pub fn load_without_init(&self) -> Result<Option<Box<Record>>> {
        let about = || format!("state of {}: {RECORD}", self.id);
        let Some(bytes) = self.read_if_there(RECORD)? else {
            // Written before everything else and removed after it.
            if self.exists(INIT)? || self.is_complete()? {
                return Err(anyhow!("is missing")).with_context(about);
            }
            return Ok(None);
        };
        match parse(&bytes) {
            // The first record is written in place: its creator is still at it, or was killed over it.
            Err(error) if error.is_eof() && !self.exists(INIT)? && !self.is_complete()? => Ok(None),
            Ok(record) if record.format == FORMAT => Ok(Some(record)),
            Ok(record) => Err(other_format(&record.format)).with_context(about),
            // Of another layout, it says so in the one place that all have.
            Err(error) => match serde_json::from_slice::<Head>(&bytes) {
                Ok(head) if head.format != FORMAT => Err(other_format(&head.format)),
                _ => Err(error.into()),
            }
            .with_context(about),
        }
    }

    fn load_init(&self) -> Result<Option<InitRecord>> {
        let Some(bytes) = self.read_if_there(INIT)? else {
            if self.is_complete()? {
                bail!("state of {}: {INIT}: is missing", self.id);
            }
            return Ok(None);
        };
        match serde_json::from_slice(&bytes) {
            // Cut short in the middle of it, the creator was killed, and init has ended with it. A container that was
            // completed has an init, and may be running.
            Err(error) if error.is_eof() && !self.is_complete()? => Ok(None),
            other => other.map(Some).with_context(|| format!("state of {}: {INIT}", self.id)),
        }
    }

    /// What is known of a container whose record cannot be read.
    ///
    /// # Errors
    /// init.json is not there, or cannot be read either.
    pub(crate) fn load_last_resort(&self) -> Result<LastResort> {
        let bytes = self.read(INIT)?;
        serde_json::from_slice(&bytes).with_context(|| format!("state of {}: {INIT}", self.id))
    }

    /// Whether init waits behind the gate: created and not started. A `start` that was killed may have left the gate
    /// standing with nobody behind it, so it is knocked at: init lets a caller without a word go, and waits on.
    pub fn has_gate(&self) -> Result<bool> {
        let knock = || -> rustix::io::Result<()> {
            // Not blocking: the queue may be full while startContainer hooks run.
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
            let socket = rustix::net::socket_with(family, kind, flags, None)?;
            rustix::net::connect(&socket, &SocketAddrUnix::new(self.gate_path())?)
        };
        if !self.exists(GATE)? {
            return Ok(false);
        }
        match knock() {
            Ok(()) | Err(Errno::AGAIN) => Ok(true),
            Err(Errno::CONNREFUSED | Errno::NOENT) => Ok(false),
            Err(e) => Err(e).call(|| "connect()").with_context(|| format!("gate of {}", self.id)),
        }
    }

    /// Make the gate. Through /proc/self/fd, because a socket's path may have 107 bytes and a state root more.
    pub fn make_gate(&self) -> Result<OwnedFd> {
        socket::listen(&self.gate_path(), socket::Kind::SeqPacket)
            .with_context(|| format!("gate of {}", self.id))
    }

    /// Connect to the gate.
    pub fn connect_gate(&self) -> casemate_sys::Result<OwnedFd> {
        socket::connect(&self.gate_path(), socket::Kind::SeqPacket)
    }

    /// Take the gate away: the container is running.
    pub fn remove_gate(&self) -> Result<()> {
        match rustix::fs::unlinkat(&self.dir, GATE, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => {
                Err(e).call(|| "unlinkat(gate)").with_context(|| format!("gate of {}", self.id))
            }
        }
    }

    fn gate_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/gate", self.dir.as_fd().as_raw_fd()))
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

/// Nobody but the caller decides what is in it: programs that its records name are run with the caller's privilege (poststop
/// hooks, by `delete`). Who may write its parent can only put another directory of the caller's in its place.
fn refuse_of_others(dir: &OwnedFd, path: &Path) -> Result<()> {
    let st = rustix::fs::fstat(dir).call(|| "fstat(state root)")?;
    let root = path.display();
    let caller = rustix::process::geteuid().as_raw();
    if st.st_uid != caller {
        return Err(hinted(
            format!("state root {root}: belongs to uid {}, and you are uid {caller}", st.st_uid),
            "call as its owner, or choose another --root",
        ));
    }
    if st.st_mode & 0o002 != 0 {
        return Err(hinted(format!("state root {root}: everybody may write it"), "chmod 0700"));
    }
    // A group with the number of its user is that user's own (useradd(8), USERGROUPS_ENAB).
    if st.st_mode & 0o020 != 0 && st.st_gid != caller {
        let message = format!("state root {root}: its group {} may write it", st.st_gid);
        return Err(hinted(message, "chmod 0700"));
    }
    Ok(())
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
