//! The state root: the directory that holds all containers.

use super::dir::{StateDir, DIR};
use crate::files::io_error_text;
use crate::hinted::{hinted, Hinted};
use crate::ContainerId;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// The directory that holds all containers.
#[derive(Debug)]
pub struct StateRoot {
    path: PathBuf,
    dir: Option<OwnedFd>,
}

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
    ///
    /// # Errors
    /// It is there and cannot be opened, belongs to another user, or others may write it.
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
    ///
    /// # Errors
    /// It cannot be made; otherwise as [`StateRoot::open`].
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
    ///
    /// # Errors
    /// The directory cannot be read.
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
    ///
    /// # Errors
    /// There is a container of this id already, there is no state root, or the directory cannot be
    /// made (ENOSPC) or locked.
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
    ///
    /// # Errors
    /// There is no such container or no state root; otherwise as [`StateRoot::find`].
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
