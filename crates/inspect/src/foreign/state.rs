//! Finding containers of other runtimes by their state directories.
//!
//! Their files are read, never written; a runtime's own format is taken apart only as far as it says where the bundle
//! and the first process are.

use crate::names::SHORTEST;
use crate::roots::{children, of_others};
use anyhow::{bail, Context as _, Result};
use casemate_runtime::files::read_regular;
use casemate_runtime::hinted::hinted;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A container of another runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its whole id.
    pub id: String,
    /// The runtime that made it.
    pub runtime: &'static str,
    /// Its state directory.
    pub state: PathBuf,
    /// Its bundle, if the state says.
    pub bundle: Option<PathBuf>,
    /// Its first process, if it still runs.
    pub pid: Option<i32>,
}

/// Finds a container by its id or the beginning of it, below `roots`, or where runtimes usually keep theirs.
///
/// # Errors
/// None, or more than one, of that name.
pub fn find(id: &str, roots: &[PathBuf]) -> Result<Found> {
    let usual = of_others();
    let roots = if roots.is_empty() { &usual } else { roots };
    let mut found: Vec<Found> = Vec::new();
    let mut closed = Vec::new();
    let children = |root: &PathBuf| {
        // Another user's may be closed, and the container be elsewhere.
        children(root).unwrap_or_else(|error| {
            closed.push(format!("{error:#}"));
            Vec::new()
        })
    };
    for dir in roots.iter().flat_map(children) {
        let Some(name) = dir.file_name().and_then(|name| name.to_str()) else { continue };
        let matches = name == id || (id.len() >= SHORTEST && name.starts_with(id));
        if matches && !found.iter().any(|other| other.id == name) {
            found.extend(read(name, &dir)?);
        }
    }
    if let Some(exact) = found.iter().position(|container| container.id == id) {
        return Ok(found.swap_remove(exact));
    }
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 if !closed.is_empty() => {
            bail!(
                "no container {id} of another runtime, as far as can be seen: {}",
                closed.join("; ")
            )
        }
        0 => Err(hinted(
            format!("no container {id} of another runtime"),
            "name its state directory with --runtime-root, or a process with 'audit --pid'",
        )),
        several => Err(hinted(format!("{several} containers begin with {id}"), "more of the id")),
    }
}

/// A state directory; `None` when it is none that is known here.
pub(crate) fn read(id: &str, dir: &Path) -> Result<Option<Found>> {
    for (file, take) in
        [("state.json", of_runc as Take), ("status", of_crun), ("state.json", of_youki)]
    {
        let path = dir.join(file);
        // Another user may have put a pipe there, for which a plain read would wait.
        if !path.try_exists().with_context(|| path.display().to_string())? {
            continue;
        }
        let bytes = read_regular(&path)?;
        let value: Value = serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: not the state of a container", path.display()))?;
        if let Some((runtime, bundle, pid)) = take(&value) {
            let pid = pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0);
            let pid = pid.filter(|pid| Path::new(&format!("/proc/{pid}")).exists());
            let state = dir.to_owned();
            return Ok(Some(Found { id: id.to_owned(), runtime, state, bundle, pid }));
        }
    }
    Ok(None)
}

type Take = fn(&Value) -> Option<(&'static str, Option<PathBuf>, Option<i64>)>;

/// runc keeps its own configuration; the bundle is one of its labels.
fn of_runc(state: &Value) -> Option<(&'static str, Option<PathBuf>, Option<i64>)> {
    let labels = state.get("config")?.get("labels").and_then(Value::as_array);
    let mut labels = labels.into_iter().flatten().filter_map(Value::as_str);
    let bundle = labels.find_map(|label| label.strip_prefix("bundle=")).map(PathBuf::from);
    Some(("runc", bundle, state["init_process_pid"].as_i64()))
}

fn of_crun(state: &Value) -> Option<(&'static str, Option<PathBuf>, Option<i64>)> {
    let bundle = state.get("bundle")?.as_str().map(PathBuf::from);
    Some(("crun", bundle, state["pid"].as_i64()))
}

fn of_youki(state: &Value) -> Option<(&'static str, Option<PathBuf>, Option<i64>)> {
    state.get("ociVersion")?;
    Some(("youki", state["bundle"].as_str().map(PathBuf::from), state["pid"].as_i64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn states_of_other_runtimes_are_told_apart() {
        let runc =
            json!({"id": "x", "init_process_pid": 7, "config": {"labels": ["a=b", "bundle=/b"]}});
        let crun = json!({"pid": 8, "bundle": "/c", "rootfs": "/c/rootfs"});
        let youki = json!({"ociVersion": "1.0.2", "pid": 9, "bundle": "/d"});
        assert_eq!(of_runc(&runc), Some(("runc", Some("/b".into()), Some(7))));
        assert_eq!(of_crun(&crun), Some(("crun", Some("/c".into()), Some(8))));
        assert_eq!(of_runc(&youki), None);
        assert_eq!(of_youki(&youki), Some(("youki", Some("/d".into()), Some(9))));
    }
}
