//! A container whose record cannot be read: another release made it, or the file is damaged. What can still be done with it:
//! to be listed, to get a signal, to be removed. It stops where that would rest on a guess: then everything stays.

use super::end::{end, SIGKILL};
use crate::hinted::Hinted;
use crate::report::StateReport;
use crate::request::KillRequest;
use crate::resolve::{selinux, userns};
use crate::state::open_cgroup;
use crate::state::{CgroupRecord, Held, InitRecord, StateDir, StateRoot};
use crate::{procfs, ContainerId};
use anyhow::{bail, Context as _, Result};
use casemate_cgroup::{Cgroup, Hierarchy};
use casemate_sys::process;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use std::path::{Path, PathBuf};

/// What is known of it all the same.
pub(crate) struct Unreadable {
    state: StateDir,
    /// Why its record cannot be read.
    why: anyhow::Error,
    init: Option<InitRecord>,
    held: Option<Held>,
    proc: OwnedFd,
}

impl Unreadable {
    /// Look for it in init.json, in what of the record can be read, and at init itself.
    ///
    /// # Errors
    /// `why`, if there is nothing to go by.
    pub(crate) fn new(state: StateDir, why: anyhow::Error) -> Result<Self> {
        let proc = procfs::open()?;
        let (init, held) = match state.load_last_resort() {
            Ok(known) => (Some(known.init), known.held),
            // What could not be read first is what is told.
            Err(_) => (None, state.load_without_init().ok().flatten().map(|r| Held::of(&r))),
        };
        if init.is_none() && held.is_none() {
            return Err(stays(why, &state));
        }
        let mut found = Self { state, why, init, held, proc };
        if found.held.is_none() {
            found.held = found.held_by_init()?;
        }
        Ok(found)
    }

    /// Releases up to 0.2.0 keep the cgroup in the record alone. While init lives, the kernel knows it too; that it is the
    /// container's own is told by its name. `None`: it is not known.
    fn held_by_init(&self) -> Result<Option<Held>> {
        let Some((init, _pidfd)) = self.living()? else { return Ok(None) };
        let hierarchy = Hierarchy::discover()?;
        let inner = hierarchy.path_of(init.pid).context("container init")?;
        let Some(own) = named_after(&inner, &self.state.id) else { return Ok(None) };
        if hierarchy.own_path()?.starts_with(&own) {
            return Ok(None);
        }
        let path = hierarchy.locate(&own)?;
        let rootless = !rustix::process::geteuid().is_root();
        Ok(Some(Held { cgroup: Some(CgroupRecord { path, unit: None, before: None }), rootless }))
    }

    /// Init, with a pidfd, while it is there.
    fn living(&self) -> Result<Option<(InitRecord, OwnedFd)>> {
        let Some(init) = self.init else { return Ok(None) };
        Ok(init.open(&self.proc)?.map(|pidfd| (init, pidfd)))
    }

    fn cgroup(&self) -> Result<Option<Cgroup>> {
        let known = self.held.as_ref().and_then(|held| held.cgroup.as_ref());
        known.filter(|cgroup| cgroup.is_known()).map_or(Ok(None), open_cgroup)
    }

    /// Send a signal as `kill` does. SIGKILL is for every process: whether they would end with init is not known.
    pub(crate) fn signal(self, request: &KillRequest) -> Result<()> {
        if request.all || request.signal == SIGKILL {
            if let Some(cgroup) = self.cgroup()? {
                let sent = match request.signal {
                    SIGKILL => cgroup.kill_all(),
                    signal => cgroup.signal_all_raw(signal),
                };
                return sent.context("cgroup");
            }
        }
        if self.init.is_none() {
            return Err(self.why);
        }
        match self.living()?.map(|(_, init)| process::pidfd_signal(&init, request.signal)) {
            Some(Err(e)) if e.errno() != Errno::SRCH => Err(e.into()),
            Some(Ok(())) => Ok(()),
            _ if request.all => Ok(()),
            _ => bail!("container not running"),
        }
    }

    /// Remove it with all that it has. Its poststop hooks are not known.
    ///
    /// # Errors
    /// Why the record cannot be read, if something of it is to be found nowhere else.
    pub(crate) fn remove(self) -> Result<()> {
        let has_cgroup = |held: &Held| held.cgroup.as_ref().is_some_and(CgroupRecord::is_known);
        let Some(held) = self.held.clone().filter(|held| self.init.is_some() || has_cgroup(held))
        else {
            return Err(stays(self.why, &self.state));
        };
        end(self.living()?.map(|(_, pidfd)| pidfd), self.cgroup()?, false)?;
        if let Some(cgroup) = &held.cgroup {
            crate::launch::cgroups::remove(cgroup, held.rootless).context("cgroup")?;
        }
        userns::release_of(self.state.dir())?;
        selinux::release_of(self.state.dir())?;
        self.state.remove()
    }
}

/// The cgroup that bears the container's name, of those that lead to `inner`: `ID`, or `PREFIX-ID.scope` as engines name it.
fn named_after(inner: &Path, id: &str) -> Option<PathBuf> {
    let own = inner.ancestors().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.strip_suffix(".scope").unwrap_or(name);
        name.strip_suffix(id).is_some_and(|rest| rest.is_empty() || rest.ends_with('-'))
    });
    own.last().map(Path::to_owned)
}

fn stays(why: anyhow::Error, state: &StateDir) -> anyhow::Error {
    let message = format!("nothing is removed of {}", state.path().display());
    let hint = "what runs of it, and its cgroup, are not known: remove these, then the directory";
    Hinted::new(message, hint).because(why).into()
}

/// What `list` says of it. `created` has to be a time for callers to be able to read the whole list: the directory's.
pub(crate) fn report(root: &StateRoot, id: &ContainerId) -> StateReport {
    // The reason is told already; here everything that can be found is.
    let state = root.find(id).ok().flatten();
    let stat = state.as_ref().and_then(|state| rustix::fs::fstat(state.dir()).ok());
    let seconds = stat.as_ref().map_or(0, |st| st.st_mtime.unsigned_abs());
    let created = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let init = state.as_ref().and_then(|state| {
        let init = state.load_last_resort().ok()?.init;
        init.is_alive(procfs::open().ok()?).ok()?.then_some(init.pid)
    });
    StateReport {
        oci_version: String::new(),
        id: id.to_string(),
        pid: init.unwrap_or(0),
        status: "unreadable".to_owned(),
        bundle: String::new(),
        rootfs: String::new(),
        created: humantime::format_rfc3339_nanos(created).to_string(),
        annotations: Default::default(),
        owner: stat.map_or_else(String::new, |st| super::owner::user_name(st.st_uid)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_is_the_containers_own_if_it_bears_its_name() {
        let found = |inner: &str, id: &str| {
            named_after(Path::new(inner), id).map(|path| path.to_str().unwrap().to_owned())
        };
        assert_eq!(found("/c1", "c1").as_deref(), Some("/c1"));
        assert_eq!(found("/c1/deep/down", "c1").as_deref(), Some("/c1"));
        let scope = "/kubepods.slice/pod1.slice/crio-c1.scope";
        assert_eq!(found(&format!("{scope}/x"), "c1").as_deref(), Some(scope));
        assert_eq!(found("/user.slice/session-1.scope", "c1"), None);
        assert_eq!(found("/abc1", "c1"), None);
        assert_eq!(found("/", "c1"), None);
    }
}
