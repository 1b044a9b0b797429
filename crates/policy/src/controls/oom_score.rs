//! `oom.score`: who is killed first when memory runs out.

use super::prelude::*;

pub(crate) const SCORE: Control = Control {
    id: ControlId::OomScore,
    name: "oom.score",
    allow: &["oom.negative-score"],
    modes: [OFF, WARN, ON, ON],
    summary: "the host may kill the container before its own services when memory runs out",
};

pub(crate) fn adjust(draft: &mut Draft<'_>, asked: Option<i32>) -> Result<Option<i32>, Refusal> {
    let (control, pointer) = (ControlId::OomScore, "/process/oomScoreAdj");
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
            let reason = "the caller's own would protect the container at the host's expense";
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
