//! `oom.score`: who is killed first when memory runs out.

use super::prelude::*;

/// **What.** A negative `oomScoreAdj`, set by the configuration or inherited from the caller,
/// becomes 0. The same is true of `exec`.
///
/// **Why.** With a negative score, the kernel kills the host's own services before the container
/// that uses up the memory.
///
/// **What breaks.** Kubernetes gives Guaranteed pods -997. They lose their advantage over the
/// node's services, but not over other pods.
///
/// **Override.**
///
/// - `oom.negative-score`: being spared when memory runs out
///
/// **In the profiles.**
///
/// - privileged: As the configuration asks.
/// - baseline: Guaranteed pods of Kubernetes have a negative score.
/// - hardened: With a negative score, or the engine's own inherited one, the kernel kills the
///   host's own services first. The container gets 0 instead.
pub(crate) const SCORE: Control = Control {
    id: ControlId::OomScore,
    name: "oom.score",
    allow: &["oom.negative-score"],
    modes: [OFF, WARN, ON, ON],
    severity: LOW,
    summary: "the host may kill the container before its own services when memory runs out",
};

pub(crate) fn adjust(draft: &mut Draft<'_>, asked: Option<i32>) -> Result<Option<i32>, Refusal> {
    let (control, pointer) = (ControlId::OomScore, "/process/oomScoreAdj");
    // What a process that joins does not say is the container's.
    let own = draft.joining.and_then(|container| container.process.as_ref());
    let asked = asked.or(own.and_then(|process| process.oom_score_adj));
    match (draft.allows("oom.negative-score"), asked, draft.facts.limits.oom_score_adj) {
        (Some(source), Some(..0), _) => {
            draft.log.waive(
                control,
                pointer,
                source,
                "the host kills others before this container",
            );
            Ok(asked)
        }
        (None, None, Some(..0)) => {
            let reason = "the caller's own score would protect the container at the host's expense";
            draft.log.change(control, pointer, Verdict::Added, values(&(), &0), reason);
            Ok(Some(0))
        }
        (None, Some(..0), _) => {
            let reason =
                "out of memory, the host must be able to kill the container before its own services";
            draft.log.change(control, pointer, Verdict::Tightened, values(&asked, &0), reason);
            Ok(Some(0))
        }
        _ => {
            draft.log.note(control, pointer, Verdict::Kept, "the host may kill the container");
            Ok(asked)
        }
    }
}
