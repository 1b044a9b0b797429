//! `explain`: what `create` would do and why, without doing it: steps 1 to 6, then a report.

use crate::decide::bundle::Bundle;
use crate::decide::{decide, Decided};
use crate::report::bounded;
use crate::request::{ExplainRequest, Global};
use crate::state::{past, Record, StateDir, StateRoot};
use crate::ContainerId;
use anyhow::{anyhow, Context as _, Error, Result};
use casemate_policy::spec::Spec;
use casemate_policy::{ways_around, Decision, Refusal, Source};
use serde_json::{json, Value};

/// The report. Keys: `id`, `bundle`, `profile`, `overrides` (what differs from it, and by whose
/// word), `decisions` (what the policy changed and why, and which overrides leave it alone), `warnings` (accepted but
/// probably mistakes), `unknownProperties` (ignored), `cgroup`, `spec` (the hardened configuration). Of a container whose
/// bundle is gone: what was decided when it was made.
///
/// # Errors
/// The configuration cannot be read, or `create` would refuse it: then with all reasons in full.
/// For a container whose bundle is gone: nothing was kept of what was decided.
pub fn explain(global: &Global, request: &ExplainRequest) -> Result<Value> {
    let state = match request.of_container {
        true => StateRoot::open(&global.root)?.find(&request.id)?,
        false => None,
    };
    let Some(state) = state else { return of_bundle(global, request) };
    match state.load()? {
        Some(record) => of_container(global, &request.id, &state, &record),
        None => of_bundle(global, request),
    }
}

/// The container's own bundle, called as it was when it was made.
fn of_container(
    global: &Global,
    id: &ContainerId,
    state: &StateDir,
    record: &Record,
) -> Result<Value> {
    let file = record.config_file();
    if !file.try_exists().with_context(|| format!("stat {}", file.display()))? {
        return recorded(id, state, record);
    }
    let mut global = global.clone();
    global.profile.get_or_insert_with(|| record.spec.profile().as_str().to_owned());
    let granted = record.spec.overrides().granted.iter();
    let by_line = granted.filter(|(_, by)| **by == Source::CommandLine);
    global.allow.extend(by_line.map(|(name, _)| name.clone()));
    let (bundle, config, id) = (record.bundle.clone(), record.config.clone(), id.clone());
    of_bundle(&global, &ExplainRequest { bundle, config, id, of_container: false })
}

/// What is kept of a container whose bundle is gone.
fn recorded(id: &ContainerId, state: &StateDir, record: &Record) -> Result<Value> {
    const FILE: &str = "decisions.json";
    let bytes = state.read_if_there(FILE)?;
    let gone = || anyhow!("{}: gone, and no {FILE} is kept", record.config_file().display());
    let decisions = past::decisions_in(&bytes.ok_or_else(gone)?).context(FILE)?;
    Ok(json!({
        "id": id,
        "bundle": record.bundle,
        "profile": record.spec.profile().as_str(),
        "overrides": record.spec.overrides(),
        "decisions": decisions,
        "warnings": ["the bundle is gone: this is what was decided when the container was made"],
        "spec": *record.spec,
    }))
}

fn of_bundle(global: &Global, request: &ExplainRequest) -> Result<Value> {
    let bundle = Bundle::open(&request.bundle, request.config.as_deref())?;
    let mut decided = decide(global, bundle, &request.id).map_err(in_full)?;
    crate::resolve::userns::predict(&mut decided, &request.id)?;
    crate::resolve::selinux::predict(&mut decided, &request.id)?;
    let spec = decided.bundle.spec()?;
    let Decided { choice, facts, .. } = &*decided;
    let ways = ways_around(&spec, choice, facts, &decided.decisions);
    let decisions = decided.decisions.iter().zip(ways).map(with_ways);
    let decisions = decisions.collect::<Result<Vec<_>>>()?;
    let Spec { mut warnings, unknown, .. } = spec;
    warnings.extend(decided.doubt.clone());
    Ok(json!({
        "id": request.id,
        "bundle": decided.bundle.dir,
        "profile": decided.spec.profile().as_str(),
        "overrides": decided.spec.overrides(),
        "decisions": decisions,
        "warnings": warnings,
        "unknownProperties": unknown,
        "cgroup": decided.cgroup.record()?,
        "spec": *decided.spec,
    }))
}

/// Whoever asks for reasons is told all of them in full.
fn in_full(error: Error) -> Error {
    match error.downcast_ref::<Refusal>() {
        Some(refusal) => Error::msg(bounded(refusal.in_full())),
        None => error,
    }
}

fn with_ways((decision, names): (&Decision, Vec<String>)) -> Result<Value> {
    let mut value = serde_json::to_value(decision)?;
    if !names.is_empty() {
        value["allow"] = json!(names);
    }
    Ok(value)
}
