//! `state`, `list`, `ps`: questions that change nothing.

use super::owner::user_name;
use super::unreadable;
use crate::report::{ListReport, StateReport};
use crate::request::Global;
use crate::state::Container;
use crate::state::{StateRoot, Status};
use crate::ContainerId;
use anyhow::{bail, Result};

/// The annotation that shows which ids a container was given, as lines of /proc/PID/uid_map.
const MAPPING: &str = "org.casemate.uid-map";

/// One container's state.
///
/// # Errors
/// The container does not exist, or its record cannot be read; whether its process lives cannot be
/// told.
pub fn state(global: &Global, id: &ContainerId) -> Result<StateReport> {
    report(&Container::load(global, id)?, String::new())
}

fn report(container: &Container, owner: String) -> Result<StateReport> {
    let status = container.status()?;
    let record = &container.record;
    let mut annotations = record.spec.annotations.clone();
    if record.id_range.is_some() {
        // Whose processes these are on the host: root of the container is none of the users that ps can name.
        annotations.insert(MAPPING.to_owned(), crate::resolve::userns::shown(&record.spec));
    }
    Ok(StateReport {
        oci_version: record.spec.oci_version.clone(),
        id: record.id.clone(),
        pid: record.init.filter(|_| status.is_alive()).map_or(0, |init| init.pid),
        status: status.name().to_owned(),
        bundle: record.bundle.to_string_lossy().into_owned(),
        rootfs: record.rootfs.to_string_lossy().into_owned(),
        created: record.created.clone(),
        annotations,
        owner,
    })
}

/// All containers of the state root. Directories of other runtimes are passed over; containers that cannot be read are among
/// the others, and why is told beside them.
///
/// # Errors
/// The state root cannot be opened or read, belongs to somebody else, or is missing although the
/// caller has named it.
pub fn list(global: &Global) -> Result<ListReport> {
    let root = StateRoot::open(&global.root)?;
    if !root.exists() && global.root_is_explicit {
        bail!("state root {}: no such file or directory", global.root.display());
    }
    let mut answer = ListReport::default();
    for id in root.ids()? {
        let found = entry(&root, &id);
        answer.containers.extend(found.unwrap_or_else(|e| {
            answer.problems.push(format!("load container {id}: {e:#}"));
            Some(unreadable::report(&root, &id))
        }));
    }
    Ok(answer)
}

/// `None`: deleted while we looked, a file, or another runtime's.
fn entry(root: &StateRoot, id: &ContainerId) -> Result<Option<StateReport>> {
    let Some(state) = root.find(id)? else { return Ok(None) };
    let Some(record) = state.load()? else { return Ok(None) };
    let container = Container { state, record, proc: crate::procfs::open()? };
    let owner = user_name(container.record.owner);
    report(&container, owner).map(Some)
}

/// Pids of all processes of a container, in the runtime's pid namespace; none for a stopped one.
///
/// # Errors
/// The container does not exist, its record cannot be read, or its cgroup cannot be listed.
pub fn ps(global: &Global, id: &ContainerId) -> Result<Vec<i32>> {
    let container = Container::load(global, id)?;
    if container.status()? == Status::Stopped {
        return Ok(Vec::new());
    }
    match container.cgroup()? {
        Some(cgroup) => Ok(cgroup.procs(true)?),
        None => Ok(container.record.init.iter().map(|init| init.pid).collect()),
    }
}
