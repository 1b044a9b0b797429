//! `process.scheduler`: no priority over the host's own services.

use super::prelude::*;
use crate::spec::{
    IoPriority, IoPriorityClass, Rlimit, RlimitKind, Scheduler, SchedulerFlag, SchedulerPolicy,
};

/// **What.** Real-time classes, deadlines, negative nice values, utilisation clamps and the
/// real-time I/O class are refused, for the container's process and for those that `exec` adds.
/// RLIMIT_NICE and RLIMIT_RTPRIO, with which a process could obtain the same later, are lowered.
///
/// **Why.** A real-time process that never sleeps takes a CPU away from the host's own services
/// (sched(7)).
///
/// **What breaks.** Audio servers, industrial control, some databases' writers.
///
/// **Override.**
///
/// - `process.scheduler`: real-time and other priority over the host's own services
///
/// **In the profiles.**
///
/// - privileged: As the configuration asks.
/// - hardened: A real-time process that never sleeps takes a CPU away from the host's own services.
pub(crate) const PRIORITY: Control = Control {
    id: ControlId::Scheduler,
    name: "process.scheduler",
    allow: &["process.scheduler"],
    modes: [OFF, ON, ON, ON],
    severity: MEDIUM,
    summary: "no real-time scheduling, negative nice value or real-time disk access",
};

/// Real-time classes and negative nice values come before everything else that runs on the processor (sched(7)).
pub(crate) fn class(
    draft: &mut Draft<'_>,
    asked: Option<Scheduler>,
) -> Result<Option<Scheduler>, Refusal> {
    let pointer = "/process/scheduler";
    let fault = asked.as_ref().and_then(above_others);
    judge(draft, pointer, fault)?;
    Ok(asked)
}

fn above_others(asked: &Scheduler) -> Option<String> {
    let Scheduler { policy, nice, priority, flags, runtime: _, deadline: _, period: _ } = asked;
    match policy {
        SchedulerPolicy::Other | SchedulerPolicy::Batch | SchedulerPolicy::Idle => {}
        SchedulerPolicy::Fifo
        | SchedulerPolicy::Rr
        | SchedulerPolicy::Iso
        | SchedulerPolicy::Deadline => {
            return Some(format!(
                "process.scheduler.policy {policy:?} comes before the host's own"
            ));
        }
    }
    if *nice < 0 || *priority != 0 {
        return Some(format!("process.scheduler nice {nice}, priority {priority}"));
    }
    // Utilisation clamps ask the host's processors for a frequency.
    let reaches = |flag: &&SchedulerFlag| match flag {
        SchedulerFlag::ResetOnFork | SchedulerFlag::KeepPolicy | SchedulerFlag::KeepParams => false,
        SchedulerFlag::Reclaim
        | SchedulerFlag::DlOverrun
        | SchedulerFlag::UtilClampMin
        | SchedulerFlag::UtilClampMax => true,
    };
    let flag = flags.iter().find(reaches)?;
    Some(format!("process.scheduler.flags {flag:?}"))
}

/// The real-time class of disk access comes before everybody else's (ioprio_set(2)).
pub(crate) fn io(
    draft: &mut Draft<'_>,
    asked: Option<IoPriority>,
) -> Result<Option<IoPriority>, Refusal> {
    let fault = asked.and_then(|IoPriority { class, priority: _ }| match class {
        IoPriorityClass::RealTime => {
            Some("process.ioPriority IOPRIO_CLASS_RT comes before the host's own".to_owned())
        }
        IoPriorityClass::BestEffort | IoPriorityClass::Idle => None,
    });
    judge(draft, "/process/ioPriority", fault)?;
    Ok(asked)
}

fn judge(
    draft: &mut Draft<'_>,
    pointer: &'static str,
    fault: Option<String>,
) -> Result<(), Refusal> {
    let control = ControlId::Scheduler;
    let Some(fault) = fault else {
        draft.log.note(control, pointer, Verdict::Kept, "nothing comes before the host's own");
        return Ok(());
    };
    if let Some(source) = draft.allows("process.scheduler") {
        draft.log.waive(control, pointer, source, fault);
        return Ok(());
    }
    Err(draft.refuse(control, pointer, fault, Some("process.scheduler")))
}

/// RLIMIT_NICE and RLIMIT_RTPRIO are the same right, to be taken later (getrlimit(2)): 20 is nice 0.
pub(crate) fn limits(
    draft: &mut Draft<'_>,
    mut asked: Vec<Rlimit>,
) -> Result<Vec<Rlimit>, Refusal> {
    if draft.allows("process.scheduler").is_some() {
        return Ok(asked);
    }
    for (index, limit) in asked.iter_mut().enumerate() {
        let most = match limit.kind {
            RlimitKind::Nice => 20,
            RlimitKind::Rtprio => 0,
            _ => continue,
        };
        if limit.hard <= most && limit.soft <= most {
            continue;
        }
        let before = *limit;
        (limit.hard, limit.soft) = (before.hard.min(most), before.soft.min(most));
        let reason = "the right to a priority above the host's own services";
        let pointer = format!("/process/rlimits/{index}");
        let change = values(&before, limit);
        draft.log.change(ControlId::Scheduler, pointer, Verdict::Tightened, change, reason);
    }
    Ok(asked)
}
