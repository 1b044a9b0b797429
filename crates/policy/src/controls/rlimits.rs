//! `rlimits.defaults`: what a container would otherwise inherit from whoever started the engine.

use super::prelude::*;
use crate::spec::{Rlimit, RlimitKind};

/// **What.** If the configuration sets no limit of its own, RLIMIT_NOFILE is 1024 (soft) and
/// 1048576 (hard), and RLIMIT_MEMLOCK is 8 MiB. The limits never exceed the caller's.
///
/// **Why.** Otherwise a container inherits the limits that suit the engine, often none. It could
/// then occupy kernel memory with open files and locked pages.
///
/// **What breaks.** Programs that need more than 1024 open files and do not raise their soft limit.
///
/// **Override.**
///
/// - `rlimits.inherited`: the caller's limits as they are
///
/// Or set a limit: `--ulimit nofile=65536:65536`.
///
/// **In the profiles.**
///
/// - privileged: The caller's limits.
/// - baseline: The caller's limits.
/// - hardened: Engines run with limits that suit engines (often none). The limits never exceed the
///   caller's own.
pub(crate) const DEFAULTS: Control = Control {
    id: ControlId::DefaultRlimits,
    name: "rlimits.defaults",
    allow: &["rlimits.inherited"],
    modes: [OFF, OFF, ON, ON],
    severity: LOW,
    summary: "open files and locked memory are limited if the configuration sets no limit",
};

/// Never above the caller's own: raising takes a privilege that it may not have.
pub(crate) fn defaults(
    draft: &mut Draft<'_>,
    mut asked: Vec<Rlimit>,
) -> Result<Vec<Rlimit>, Refusal> {
    let (control, pointer) = (ControlId::DefaultRlimits, "/process/rlimits");
    if let Some(container) = draft.joining {
        return Ok(of_container(draft, container, asked));
    }
    if let Some(source) = draft.allows("rlimits.inherited") {
        draft.log.waive(control, pointer, source, "limits are the caller's");
        return Ok(asked);
    }
    let (profile, inherited) = (draft.profile, draft.facts.limits);
    let wanted = [
        (RlimitKind::Nofile, inherited.nofile, profile.nofile_limit),
        (RlimitKind::Memlock, inherited.memlock, profile.memlock_limit),
    ];
    let mut added = Vec::new();
    for (kind, own, (soft, hard)) in wanted {
        let (Some(own), false) = (own, asked.iter().any(|limit| limit.kind == kind)) else {
            continue;
        };
        let hard = hard.min(own.1);
        added.push(Rlimit { kind, hard, soft: soft.min(hard) });
    }
    if added.is_empty() {
        draft.log.note(control, pointer, Verdict::Kept, "set by the configuration");
        return Ok(asked);
    }
    let reason = "an engine's own limits say nothing about what its containers need";
    draft.log.change(control, "/process/rlimits/-", Verdict::Added, values(&(), &added), reason);
    asked.extend(added);
    Ok(asked)
}

/// A process that joins has the container's limits, and none above them.
fn of_container(
    draft: &mut Draft<'_>,
    container: &HardenedSpec,
    mut asked: Vec<Rlimit>,
) -> Vec<Rlimit> {
    let control = ControlId::DefaultRlimits;
    for own in container.process.iter().flat_map(|init| &init.rlimits) {
        match asked.iter_mut().find(|limit| limit.kind == own.kind) {
            None => {
                let reason = "a limit that is not given is the container's";
                let change = values(&(), own);
                draft.log.change(control, "/process/rlimits/-", Verdict::Added, change, reason);
                asked.push(*own);
            }
            Some(limit) if limit.hard > own.hard => {
                let before = *limit;
                (limit.hard, limit.soft) = (own.hard, before.soft.min(own.hard));
                let change = values(&before, limit);
                let reason = "not above the container's own";
                draft.log.change(control, "/process/rlimits", Verdict::Tightened, change, reason);
            }
            Some(_) => {}
        }
    }
    asked
}
