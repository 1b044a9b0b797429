//! `explain`: what `create` would do and why, without doing it: steps 1 to 6, then a report.

use crate::decide::decide;
use crate::request::{ExplainRequest, Global};
use anyhow::Result;
use casemate_policy::spec::Spec;
use casemate_policy::Decision;
use serde_json::{json, Value};

/// The report. Keys: `id`, `bundle`, `profile`, `overrides` (what differs from it, and by whose
/// word), `decisions` (what the policy changed and why, and which overrides leave it alone), `warnings` (accepted but
/// probably mistakes), `unknownProperties` (ignored), `cgroup`, `spec` (the hardened configuration).
pub fn explain(global: &Global, request: &ExplainRequest) -> Result<Value> {
    let mut decided = decide(global, &request.bundle, request.config.as_ref(), &request.id)?;
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

fn with_ways_around(decision: &Decision) -> Result<Value> {
    let mut value = serde_json::to_value(decision)?;
    let names = decision.ways_around();
    if !names.is_empty() {
        value["allow"] = json!(names);
    }
    Ok(value)
}
