//! What an engine knows of a container's end, in its own files: a runtime sees no exit status, its caller does. Also the id
//! of a container that the runtime refused: there is nothing of it in any state root, but docker and podman keep its name.

use crate::names::{self, Called};
use anyhow::{Context as _, Result};
use casemate_policy::spec::Spec;
use casemate_runtime::files::read_regular;
use serde_json::Value;
use std::path::{Path, PathBuf};

/// containers/storage of root.
const OF_PODMAN: &str = "/var/lib/containers/storage/overlay-containers";

/// Where conmon leaves the exit status of a container of podman's.
const EXITS: &str = "/run/libpod/exits";

/// The end of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// Its exit status.
    pub(crate) status: Option<i64>,
    /// It met its memory limit.
    pub(crate) out_of_memory: bool,
    /// What the engine was told when it could not start it.
    pub(crate) error: Option<String>,
}

/// What the engine says about the end of a container that does not run.
///
/// # Errors
/// Its file is there and cannot be read.
pub(crate) fn end(id: &str, engine: Option<&str>, spec: &Spec) -> Result<End> {
    match engine {
        Some("docker") => {
            let record = names::docker_record(id, spec)?;
            Ok(record.as_ref().map(|record| of_docker(&record["State"])).unwrap_or_default())
        }
        Some("podman") => {
            let file = Path::new(EXITS).join(id);
            if !file.try_exists().with_context(|| file.display().to_string())? {
                return Ok(End::default());
            }
            let text = String::from_utf8_lossy(&read_regular(&file)?).trim().to_owned();
            let status = text.parse().with_context(|| file.display().to_string())?;
            Ok(End { status: Some(status), ..End::default() })
        }
        _ => Ok(End::default()),
    }
}

fn of_docker(state: &Value) -> End {
    // One that was never started has the status 0, or the one that docker makes of the error.
    let was_started = state["StartedAt"].as_str().is_some_and(|at| !at.starts_with("0001"));
    let error = state["Error"].as_str().filter(|error| !error.is_empty());
    End {
        status: state["ExitCode"].as_i64().filter(|_| was_started && state["Running"] != true),
        out_of_memory: state["OOMKilled"] == true,
        error: error.map(ToOwned::to_owned),
    }
}

/// The container that docker or podman knows by this name, or by an id that begins so, whether it was ever made.
///
/// # Errors
/// A file of theirs is there and cannot be read.
pub(crate) fn known(word: &str) -> Result<Option<(String, Called)>> {
    let is_meant = |id: &str, names: &[String]| {
        id == word
            || names.iter().any(|name| name == word)
            || (word.len() >= 12 && id.starts_with(word))
    };
    for (engine, list) in [("docker", docker_list()?), ("podman", podman_list()?)] {
        if let Some((id, names)) = list.into_iter().find(|(id, names)| is_meant(id, names)) {
            return Ok(Some((id, Called { engine: Some(engine), names })));
        }
    }
    Ok(None)
}

type List = Vec<(String, Vec<String>)>;

fn docker_list() -> Result<List> {
    let mut list = List::new();
    for dir in crate::roots::children(Path::new(names::DOCKER))? {
        let Some(record) = names::json(&dir.join("config.v2.json"))? else { continue };
        let name = record["Name"].as_str().map(|name| name.trim_start_matches('/').to_owned());
        if let Some(id) = record["ID"].as_str() {
            list.push((id.to_owned(), name.into_iter().collect()));
        }
    }
    Ok(list)
}

fn podman_list() -> Result<List> {
    let mut list = List::new();
    for file in ["containers.json", "volatile-containers.json"] {
        let path: PathBuf = Path::new(OF_PODMAN).join(file);
        let Some(Value::Array(all)) = names::json(&path)? else { continue };
        for one in &all {
            let names = one["names"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let names = names.map(ToOwned::to_owned).collect();
            list.extend(one["id"].as_str().map(|id| (id.to_owned(), names)));
        }
    }
    Ok(list)
}
