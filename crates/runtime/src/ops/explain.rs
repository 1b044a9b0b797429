//! `explain`: what `create` would do and why, without doing it: steps 1 to 6, then a report.

use crate::decide::decide;
use crate::request::{ExplainRequest, Global};
use anyhow::Result;
use casemate_policy::spec::{unknown_properties, Spec};
use serde_json::{json, Value};

/// The report. Keys: `id`, `bundle`, `profile`, `overrides` (what differs from it, and by whose
/// word), `decisions` (what the policy changed and why), `warnings` (accepted but
/// probably mistakes), `unknownProperties` (ignored), `cgroup`, `spec` (the hardened configuration).
pub fn explain(global: &Global, request: &ExplainRequest) -> Result<Value> {
    let mut decided = decide(global, &request.bundle, request.config.as_ref(), &request.id)?;
    crate::userns::foretell(&mut decided, &request.id)?;
    let warnings = Spec::parse(&decided.bundle.config)?.warnings;
    Ok(json!({
        "id": request.id,
        "bundle": decided.bundle.dir,
        "profile": decided.spec.profile().as_str(),
        "overrides": decided.spec.overrides(),
        "decisions": decided.decisions,
        "warnings": warnings,
        "unknownProperties": unknown_properties(&decided.bundle.config)?,
        "cgroup": decided.cgroup.record()?,
        "spec": *decided.spec,
    }))
}
