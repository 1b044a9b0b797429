//! `explain`: what `create` would do and why, without doing it: steps 1 to 6, then a report.

use crate::bundle::Bundle;
use crate::decide::decide;
use crate::report::bounded;
use crate::request::{ExplainRequest, Global};
use anyhow::{Error, Result};
use casemate_policy::spec::Spec;
use casemate_policy::{Decision, Refusal};
use serde_json::{json, Value};

/// The report. Keys: `id`, `bundle`, `profile`, `overrides` (what differs from it, and by whose
/// word), `decisions` (what the policy changed and why, and which overrides leave it alone), `warnings` (accepted but
/// probably mistakes), `unknownProperties` (ignored), `cgroup`, `spec` (the hardened configuration).
pub fn explain(global: &Global, request: &ExplainRequest) -> Result<Value> {
    let bundle = Bundle::open(&request.bundle, request.config.as_deref())?;
    let mut decided = decide(global, bundle, &request.id).map_err(in_full)?;
    crate::userns::foretell(&mut decided, &request.id)?;
    crate::selinux::foretell(&mut decided, &request.id)?;
    let Spec { warnings, unknown, .. } = Spec::parse(&decided.bundle.config)?;
    Ok(json!({
        "id": request.id,
        "bundle": decided.bundle.dir,
        "profile": decided.spec.profile().as_str(),
        "overrides": decided.spec.overrides(),
        "decisions": decided.decisions.iter().map(with_ways_around).collect::<Result<Vec<_>>>()?,
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

fn with_ways_around(decision: &Decision) -> Result<Value> {
    let mut value = serde_json::to_value(decision)?;
    let names = decision.ways_around();
    if !names.is_empty() {
        value["allow"] = json!(names);
    }
    Ok(value)
}
