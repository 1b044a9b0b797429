//! `rlimits.defaults` and `oom.score`: what a container would otherwise inherit from whoever started the engine.

use crate::control::ControlId;
use crate::decision::{Refusal, Verdict};
use crate::harden::{Draft, Log};
use crate::spec::{Process, Rlimit, RlimitKind};
use serde_json::{json, Value};

/// Rule `rlimits.defaults`. Never above the caller's own: raising takes a privilege that it may not have.
pub(crate) fn defaults(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::DefaultRlimits;
    let pointer = "/process/rlimits";
    if let Some(source) = draft.allows("rlimits.inherited") {
        draft.log.waive(rule, pointer, source, "limits are the caller's");
        return Ok(());
    }
    let (profile, inherited) = (draft.profile, draft.facts.limits);
    let Some(process) = &mut draft.spec.process else { return Ok(()) };
    let wanted = [
        (RlimitKind::Nofile, inherited.nofile, profile.nofile_limit),
        (RlimitKind::Memlock, inherited.memlock, profile.memlock_limit),
    ];
    let mut added = Vec::new();
    for (kind, own, (soft, hard)) in wanted {
        let (Some(own), false) = (own, process.rlimits.iter().any(|limit| limit.kind == kind))
        else {
            continue;
        };
        let hard = hard.min(own.1);
        added.push(Rlimit { kind, hard, soft: soft.min(hard) });
    }
    if added.is_empty() {
        draft.log.note(rule, pointer, Verdict::Kept, "set by the configuration");
        return Ok(());
    }
    process.rlimits.extend(&added);
    let reason = "an engine's own limits say nothing about what its containers need";
    let values = (Value::Null, json!(added));
    draft.log.change(rule, "/process/rlimits/-", Verdict::Added, values, reason);
    Ok(())
}

/// Rule `oom.score` for a container.
pub(crate) fn oom_score(draft: &mut Draft<'_>) -> Result<(), Refusal> {
    let rule = ControlId::OomScore;
    let inherited = draft.facts.limits.oom_score_adj;
    let allowed = draft.allows("oom.negative-score");
    let Some(process) = &mut draft.spec.process else { return Ok(()) };
    match (allowed, process.oom_score_adj, inherited) {
        (Some(source), Some(..0), _) => {
            let reason = "the host kills others before this container";
            draft.log.waive(rule, "/process/oomScoreAdj", source, reason);
        }
        (None, None, Some(..0)) => {
            process.oom_score_adj = Some(0);
            let reason = "the caller's own would protect the container at the host's expense";
            let values = (Value::Null, json!(0));
            draft.log.change(rule, "/process/oomScoreAdj", Verdict::Added, values, reason);
        }
        _ => raise(process, allowed.is_some(), &mut draft.log),
    }
    Ok(())
}

/// The same for a process that is added to a container.
pub(crate) fn raise(process: &mut Process, allowed: bool, log: &mut Log) {
    let (rule, pointer) = (ControlId::OomScore, "/process/oomScoreAdj");
    let score = process.oom_score_adj;
    if allowed || score.is_none_or(|score| score >= 0) {
        return log.note(rule, pointer, Verdict::Kept, "the host may kill the container");
    }
    process.oom_score_adj = Some(0);
    let reason =
        "out of memory, the host must be able to kill the container before its own services";
    log.change(rule, pointer, Verdict::Tightened, (json!(score), json!(0)), reason);
}
