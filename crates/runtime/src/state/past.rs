//! What is kept of containers that have gone: who they were, with which profile, and what was decided about them. A container that
//! died under an engine has been deleted by the time that somebody asks why.
//!
//! `<root>/@past/<id>`, root's alone as all of the state root: the decisions as they were, and a line of JSON. No environment, no
//! arguments: nothing of the configuration is kept but what its engine calls the container by. Bounded in number and size, and
//! gone with the next boot. Nothing depends on it: what cannot be kept is not, and the container goes all the same.
//!
//! It is the container's own file of decisions, moved in place of being removed: that costs `delete` the least.

use super::dir::{StateDir, DECISIONS};
use super::record::Record;
use super::root::StateRoot;
use anyhow::{Context as _, Result};
use casemate_policy::spec::Spec;
use casemate_policy::{Engine, Overrides};
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::ffi::{CStr, CString};
use std::path::{Path, PathBuf};
use tracing::debug;

/// The directory in the state root. It is no container's: an id has no such character.
pub(super) const DIR: &str = "@past";

/// So many containers are remembered.
pub const MOST: usize = 256;

/// So many more may be there before the oldest go: looking at the age of all is not for every `delete`.
const SLACK: usize = 32;

/// More bytes of decisions are not kept.
const LARGEST: u64 = 64 << 10;

/// More bytes of names are not kept: engines' have some hundred, and who makes a container chooses its annotations.
const LONGEST: usize = 16 << 10;

/// Room for the names of as many containers as are there, with ids of 64 digits: one look into the directory.
const NAMES: usize = 32 << 10;

/// By what engines say who they are, and what a container is called. No other annotation: pods keep all sorts of things in those.
const NAMING: [&str; 9] = [
    "io.container.manager",
    "io.kubernetes.container.name",
    "io.kubernetes.cri.container-name",
    "io.kubernetes.cri.container-type",
    "io.kubernetes.cri.sandbox-name",
    "io.kubernetes.cri.sandbox-namespace",
    "io.kubernetes.pod.name",
    "io.kubernetes.pod.namespace",
    "nerdctl/name",
];

/// What docker mounts from beside its own record of a container.
const OF_DOCKER: [&str; 3] = ["/etc/hostname", "/etc/hosts", "/etc/resolv.conf"];

/// A container that has gone.
#[derive(Debug, Serialize, Deserialize)]
pub struct Past {
    /// Container id.
    pub id: String,
    /// Where its bundle was.
    pub bundle: PathBuf,
    /// The engine that made the configuration, as far as that was certain.
    #[serde(default)]
    pub engine: Option<Engine>,
    /// When it was made: RFC 3339, UTC.
    pub created: String,
    /// When it was deleted: the same.
    pub ended: String,
    /// Its profile.
    pub profile: String,
    /// What differed from that.
    #[serde(default)]
    pub overrides: Overrides,
    /// Of the configuration what says how its engine calls it.
    #[serde(default)]
    pub naming: Spec,
    /// What was decided; `None`: too much to be kept, or nothing was.
    #[serde(skip)]
    pub decisions: Option<Value>,
}

/// Keep what is to be kept of a container, just before its directory goes.
pub(crate) fn keep(state: &StateDir, record: &Record) {
    if let Err(error) = try_to_keep(state, record) {
        debug!("nothing is kept of container {}: {error:#}", state.id);
    }
}

fn try_to_keep(state: &StateDir, record: &Record) -> Result<()> {
    let mut line = vec![b'\n'];
    serde_json::to_writer(&mut line, &of(record))?;
    line.push(b'\n');
    if line.len() > LONGEST {
        anyhow::bail!("its names take more than {LONGEST} bytes");
    }
    state.hand_over(DECISIONS, DIR, &line, LARGEST)?;
    prune(state)
}

/// The decisions in a file of them. A `delete` that was cut short has left its line behind them.
///
/// # Errors
/// It begins with no JSON.
pub fn decisions_in(bytes: &[u8]) -> serde_json::Result<Value> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter();
    // Nothing at all is no JSON either.
    values.next().unwrap_or_else(|| serde_json::from_slice(bytes))
}

fn of(record: &Record) -> Past {
    let now = humantime::format_rfc3339_nanos(std::time::SystemTime::now());
    Past {
        id: record.id.clone(),
        bundle: record.bundle.clone(),
        engine: record.engine,
        created: record.created.clone(),
        ended: now.to_string(),
        profile: record.spec.profile().as_str().to_owned(),
        overrides: record.spec.overrides().clone(),
        naming: naming(record),
        decisions: None,
    }
}

/// What it is called by, and the uids that its processes had: the kernel's records have nothing else to know them by.
fn naming(record: &Record) -> Spec {
    let spec: &Spec = &record.spec;
    let annotations = spec.annotations.iter().filter(|(key, _)| NAMING.contains(&key.as_str()));
    let mounts = spec.mounts.iter().filter(|m| OF_DOCKER.contains(&m.destination.as_str()));
    let mut naming = Spec {
        annotations: annotations.map(|(key, value)| (key.clone(), value.clone())).collect(),
        mounts: mounts.cloned().collect(),
        ..Spec::default()
    };
    naming.linux.cgroups_path.clone_from(&spec.linux.cgroups_path);
    naming.linux.uid_mappings.clone_from(&record.uid_mappings);
    naming
}

/// The oldest go, down to [`MOST`].
fn prune(state: &StateDir) -> Result<()> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(state.root(), DIR, flags, Mode::empty()).call(|| "open(@past)")?;
    let mut count = 0;
    each_name(&dir, |_| count += 1)?;
    if count <= MOST + SLACK {
        return Ok(());
    }
    let mut names = Vec::with_capacity(count);
    rustix::fs::seek(&dir, SeekFrom::Start(0)).call(|| "lseek(@past)")?;
    each_name(&dir, |name| names.push(name.to_owned()))?;
    let age = |name: CString| {
        let st = rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW);
        // Another `delete` has removed it.
        st.ok().map(|st| ((st.st_mtime, st.st_mtime_nsec), name))
    };
    let mut aged: Vec<_> = names.into_iter().filter_map(age).collect();
    aged.sort();
    for (_, name) in &aged[..aged.len().saturating_sub(MOST)] {
        match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error).call(|| "unlinkat(@past)").map_err(Into::into),
        }
    }
    Ok(())
}

/// Nothing is allocated for the names: mostly they are only counted.
fn each_name(dir: &OwnedFd, mut with: impl FnMut(&CStr)) -> Result<()> {
    let mut buffer = Vec::with_capacity(NAMES);
    let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry.call(|| "readdir(@past)")?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            with(entry.file_name());
        }
    }
    Ok(())
}

/// What is kept of a container of this state root; `None`: nothing.
///
/// # Errors
/// The root cannot be used, or what is kept cannot be read.
pub fn read(root: &Path, id: &str) -> Result<Option<Past>> {
    StateRoot::open(root)?;
    let path = root.join(DIR).join(id);
    let about = || path.display().to_string();
    if !path.try_exists().with_context(about)? {
        return Ok(None);
    }
    let bytes = crate::files::read_regular(&path)?;
    let mut lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let last = lines.next_back().unwrap_or_default();
    let mut past: Past = serde_json::from_slice(last).with_context(about)?;
    past.decisions = lines.next().map(serde_json::from_slice).transpose().with_context(about)?;
    Ok(Some(past))
}

/// Ids of all that something is kept of, in order.
///
/// # Errors
/// The root cannot be used, or not be read.
pub fn ids(root: &Path) -> Result<Vec<String>> {
    StateRoot::open(root)?;
    let dir = root.join(DIR);
    if !dir.try_exists().with_context(|| dir.display().to_string())? {
        return Ok(Vec::new());
    }
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        Ok(entry?.file_name().to_string_lossy().into_owned())
    };
    let entries = std::fs::read_dir(&dir).with_context(|| dir.display().to_string())?;
    let mut ids: Vec<String> = entries.map(name).collect::<Result<_>>()?;
    ids.sort();
    Ok(ids)
}
