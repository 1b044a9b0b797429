//! The process: arguments, environment, limits, scheduling.

use super::lists;
use super::warn::warn;
use crate::spec::{Capabilities, Process, Rlimit, Scheduler, SchedulerPolicy, SpecError, Warning};

pub(super) fn check(process: &Process, warnings: &mut Vec<Warning>) -> Result<(), SpecError> {
    command(process)?;
    identity(process)?;
    rlimits(&process.rlimits)?;
    if let Some(capabilities) = &process.capabilities {
        unknown_capabilities(capabilities, warnings);
    }
    if let Some(scheduler) = &process.scheduler {
        scheduling(scheduler)?;
    }
    if let Some(priority) = process.io_priority.filter(|io| !(0..=7).contains(&io.priority)) {
        let message = format!("{} is not between 0 and 7", priority.priority);
        return Err(SpecError::new("process.ioPriority.priority", message));
    }
    affinity(process)
}

fn command(process: &Process) -> Result<(), SpecError> {
    if process.args.is_empty() {
        return Err(SpecError::new("process.args", "args must not be empty"));
    }
    if !process.cwd.starts_with('/') {
        let message = format!("cwd must be an absolute path, not {:?}", process.cwd);
        return Err(SpecError::new("process.cwd", message));
    }
    if let Some((i, message)) = environment(&process.env) {
        return Err(SpecError::new(format!("process.env[{i}]"), message));
    }
    // struct winsize has 16 bits for each.
    match process.console_size {
        Some(size) if size.height.max(size.width) > u32::from(u16::MAX) => Err(SpecError::new(
            "process.consoleSize",
            format!("{}x{} does not fit a terminal", size.height, size.width),
        )),
        _ => Ok(()),
    }
}

/// The first entry that is not `NAME=VALUE`, and what is wrong with it. The value is never quoted in a
/// message: it may be a secret, and messages end up in logs.
pub(super) fn environment(env: &[String]) -> Option<(usize, String)> {
    env.iter().enumerate().find_map(|(i, entry)| match entry.split_once('=') {
        None => Some((i, "environment variable has no '='".to_owned())),
        Some(("", _)) => Some((i, "environment variable has no name".to_owned())),
        Some((name, _)) if name.contains(['\n', '\r']) => {
            Some((i, "the name of an environment variable contains a line break".to_owned()))
        }
        Some(_) => None,
    })
}

fn identity(process: &Process) -> Result<(), SpecError> {
    if let Some(umask) = process.user.umask.filter(|umask| *umask > 0o777) {
        return Err(SpecError::new("process.user.umask", format!("{umask:#o} is above 0777")));
    }
    if let Some(score) = process.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        let message = format!("{score} is not between -1000 and 1000");
        return Err(SpecError::new("process.oomScoreAdj", message));
    }
    // Labels are written to /proc/self/attr as one line.
    let labels = [
        ("process.apparmorProfile", &process.apparmor_profile),
        ("process.selinuxLabel", &process.selinux_label),
    ];
    for (path, label) in labels {
        if label.as_deref().is_some_and(|label| label.chars().any(char::is_control)) {
            return Err(SpecError::new(path, "contains a control character"));
        }
    }
    Ok(())
}

fn rlimits(rlimits: &[Rlimit]) -> Result<(), SpecError> {
    for (i, limit) in rlimits.iter().enumerate() {
        if rlimits[..i].iter().any(|earlier| earlier.kind == limit.kind) {
            let message = "the same limit is set twice";
            return Err(SpecError::new(format!("process.rlimits[{i}].type"), message));
        }
        if limit.soft > limit.hard {
            let message = format!("soft limit {} is above hard limit {}", limit.soft, limit.hard);
            return Err(SpecError::new(format!("process.rlimits[{i}]"), message));
        }
    }
    Ok(())
}

fn unknown_capabilities(capabilities: &Capabilities, warnings: &mut Vec<Warning>) {
    for (set, members) in capabilities.sets() {
        for name in &members.unknown {
            let message = format!("{name:?} is not a known capability; it is left out");
            warn(warnings, format!("process.capabilities.{set}"), message);
        }
    }
}

fn scheduling(scheduler: &Scheduler) -> Result<(), SpecError> {
    let fail = |field: &str, message: &str| {
        Err(SpecError::new(format!("process.scheduler.{field}"), message))
    };
    let policy = scheduler.policy;
    if policy == SchedulerPolicy::Iso {
        return fail("policy", "SCHED_ISO is not implemented by any kernel");
    }
    if !(-20..=19).contains(&scheduler.nice) {
        return fail("nice", "must be between -20 and 19");
    }
    let real_time = matches!(policy, SchedulerPolicy::Fifo | SchedulerPolicy::Rr);
    match scheduler.priority {
        0 if real_time => return fail("priority", "SCHED_FIFO and SCHED_RR need 1 to 99"),
        0 => {}
        1..=99 if real_time => {}
        _ => return fail("priority", "only SCHED_FIFO and SCHED_RR have one, 1 to 99"),
    }
    let deadline = [scheduler.runtime, scheduler.deadline, scheduler.period];
    if policy != SchedulerPolicy::Deadline && deadline.iter().any(|value| *value != 0) {
        return fail("policy", "runtime, deadline and period need SCHED_DEADLINE");
    }
    Ok(())
}

fn affinity(process: &Process) -> Result<(), SpecError> {
    let lists = [
        ("initial", &process.exec_cpu_affinity.initial),
        ("final", &process.exec_cpu_affinity.after),
    ];
    for (field, list) in lists {
        if let Some(message) = list.as_deref().and_then(lists::problem) {
            return Err(SpecError::new(format!("process.execCPUAffinity.{field}"), message));
        }
    }
    Ok(())
}
