//! What comes to a container that runs: processes that `exec` adds, and limits that `update` brings.

use crate::asked;
use crate::generate::{added_process, new_resources, Rng};
use crate::{places, plan};
use casemate_policy::floor::{self, Caller, Limit, Observed, Part, Phase};
use casemate_policy::spec::{Process, Resources, RlimitKind};
use casemate_policy::{
    harden_process, harden_resources, CallerLimits, HardenedProcess, HardenedSpec, HostFacts,
    ProfileName,
};

/// What became of one of them.
pub(crate) enum Outcome {
    /// No such document.
    Unread,
    /// By this control.
    Refused(String),
    /// What is wrong with it.
    Made(Vec<String>),
}

/// A process for `exec`: no more than asked for, above the floor, and as the container is labelled.
pub(crate) fn process(rng: &mut Rng, container: &HardenedSpec, facts: &HostFacts) -> Outcome {
    let document = added_process(rng, &places());
    let Ok(asked) = Process::parse(document.to_string().as_bytes()) else { return Outcome::Unread };
    let facts = HostFacts { limits: limits_of_joining(&asked), ..facts.clone() };
    let made = match harden_process(asked.clone(), container, facts.limits) {
        Ok((made, _)) => made,
        Err(refusal) => return Outcome::Refused(refusal.decision.rule.to_string()),
    };
    let mut faults = claims(|claim| {
        asked::process(claim, &as_container(&asked, container), &made, &facts);
        labels(claim, container, &asked, &made);
        limits(claim, container, &made);
    });
    faults.extend(below_floor(container, &made, &facts));
    match harden_process((*made).clone(), container, facts.limits) {
        Ok((twice, _)) if twice == made => {}
        Ok(_) => faults.push("hardening again changes it".to_owned()),
        Err(refusal) => faults.push(format!("hardening again: {refusal}")),
    }
    Outcome::Made(faults.into_iter().map(|fault| format!("exec: {fault}")).collect())
}

/// Resources for `update`: no more than asked for, and no limit of the profile is lifted.
pub(crate) fn resources(rng: &mut Rng, container: &HardenedSpec, facts: &HostFacts) -> Outcome {
    let document = new_resources(rng, &places());
    let Ok(asked) = Resources::parse(document.to_string().as_bytes()) else {
        return Outcome::Unread;
    };
    let made = match harden_resources(asked.clone(), container, facts) {
        Ok((made, _)) => made,
        Err(refusal) => return Outcome::Refused(refusal.decision.rule.to_string()),
    };
    let mut faults = claims(|claim| {
        asked::resources(claim, Some(&joined(asked)), Some(&made));
        lifted(claim, container, &made, facts);
    });
    match harden_resources(made.clone(), container, facts) {
        Ok((twice, _)) if twice == made => {}
        Ok(_) => faults.push("hardening again changes it".to_owned()),
        Err(refusal) => faults.push(format!("hardening again: {refusal}")),
    }
    Outcome::Made(faults.into_iter().map(|fault| format!("update: {fault}")).collect())
}

/// The claims that do not hold.
fn claims(look: impl FnOnce(&mut dyn FnMut(bool, &str))) -> Vec<String> {
    let mut found = Vec::new();
    look(&mut |holds: bool, what: &str| {
        if !holds {
            found.push(what.to_owned());
        }
    });
    found
}

/// What a process that names no limit of its own inherits from who calls `exec`.
fn limits_of_joining(asked: &Process) -> CallerLimits {
    let given = |kind| asked.rlimits.iter().any(|limit| limit.kind == kind);
    CallerLimits {
        nofile: (!given(RlimitKind::Nofile)).then_some((1024, 1_048_576)),
        core: (!given(RlimitKind::Core)).then_some(u64::MAX),
        memlock: (!given(RlimitKind::Memlock)).then_some((64 << 20, u64::MAX)),
        oom_score_adj: asked.oom_score_adj.is_none().then_some(-999),
    }
}

/// The process with what it has from its container: labels whatever was asked for, and limits that it does not name.
fn as_container(asked: &Process, container: &HardenedSpec) -> Process {
    let mut process = asked.clone();
    let Some(init) = &container.process else { return process };
    // `baseline` leaves limits to the caller, as other runtimes do.
    let limits = init.rlimits.iter().filter(|_| container.profile() > ProfileName::Baseline);
    for limit in limits {
        if !process.rlimits.iter().any(|named| named.kind == limit.kind) {
            process.rlimits.push(*limit);
        }
    }
    process.apparmor_profile = init.apparmor_profile.clone().or(process.apparmor_profile);
    process.selinux_label = init.selinux_label.clone().or(process.selinux_label);
    process
}

/// Who joins has the labels that the container has.
fn labels(
    claim: &mut dyn FnMut(bool, &str),
    container: &HardenedSpec,
    asked: &Process,
    made: &Process,
) {
    let Some(init) = &container.process else { return };
    let pairs = [
        (&init.apparmor_profile, &made.apparmor_profile, &asked.apparmor_profile),
        (&init.selinux_label, &made.selinux_label, &asked.selinux_label),
    ];
    for (own, made, asked) in pairs {
        let wanted = if own.is_some() { own } else { asked };
        claim(made == wanted, "the label is not the container's");
    }
}

/// `exec` only narrows; to the kernel 1 is less than 0 for a core that goes to a program.
fn limits(claim: &mut dyn FnMut(bool, &str), container: &HardenedSpec, made: &Process) {
    if container.profile() < ProfileName::Hardened {
        return;
    }
    for own in container.process.iter().flat_map(|init| &init.rlimits) {
        let most = if own.kind == RlimitKind::Core { own.hard.max(1) } else { own.hard };
        let above = made.rlimits.iter().any(|limit| limit.kind == own.kind && limit.hard > most);
        claim(!above, "a limit above the container's own");
    }
}

fn below_floor(container: &HardenedSpec, made: &HardenedProcess, facts: &HostFacts) -> Vec<String> {
    let limit = made.rlimits.iter().find(|limit| limit.kind == RlimitKind::Core);
    let core = limit.map(|limit| Limit { soft: limit.soft, hard: limit.hard });
    let inherited = facts.limits.core.map(|hard| Limit { soft: hard, hard });
    let score = made.oom_score_adj.or(facts.limits.oom_score_adj);
    let caller = Caller { privileged: facts.can_make_user_namespace, euid: facts.euid };
    let seen = Observed {
        status: plan::status_of(container, made),
        uid_map: plan::ids(container, &container.linux.uid_mappings),
        gid_map: plan::ids(container, &container.linux.gid_mappings),
        namespaces: Part::Seen(plan::namespaces(container, facts)),
        filters: plan::filters(container),
        core_limit: core.or(inherited).map_or(Part::NotLooked, Part::Seen),
        oom_score_adj: score.map_or(Part::NotLooked, Part::Seen),
        unmappable: facts.unmappable.clone(),
        ..Observed::nothing(caller)
    };
    let names = container.names_for_floor();
    let found = floor::check(container.profile(), &names, Phase::Plan, &seen);
    found.iter().map(ToString::to_string).collect()
}

/// Two spellings of a limit are one, the lower (what is no number is for the kernel to refuse).
fn joined(mut asked: Resources) -> Resources {
    let number = |text: &String| match text.trim() {
        "max" => Some(-1),
        text => text.parse().ok(),
    };
    if let Some(written) = asked.unified.get("pids.max").and_then(number) {
        let pids = asked.pids.get_or_insert_default();
        pids.limit = match pids.limit {
            Some(typed) if typed > 0 && (written <= 0 || typed < written) => Some(typed),
            _ => Some(written),
        };
    }
    asked
}

/// Limits that the profile insists on are not lifted, and no file is written that reaches beyond the container's cgroup.
/// Written apart from the controls; the names of files are the kernel's (cgroup-v2.rst).
fn lifted(
    claim: &mut dyn FnMut(bool, &str),
    container: &HardenedSpec,
    made: &Resources,
    facts: &HostFacts,
) {
    const REACHING: [&str; 8] = [
        "cgroup.procs",
        "cgroup.threads",
        "cgroup.subtree_control",
        "cgroup.type",
        "cgroup.freeze",
        "cgroup.kill",
        "cpuset.cpus.partition",
        "cpuset.cpus.exclusive",
    ];
    let granted = container.names_for_floor();
    let reaching = |name: &String| name.contains(['/', '\0']) || REACHING.contains(&name.as_str());
    let any = made.unified.keys().any(reaching);
    claim(!any || granted.contains("cgroup.any-file"), "a file that is no limit");
    if container.profile() != ProfileName::Restricted {
        return;
    }
    let none = |limit: Option<i64>| limit.is_some_and(|limit| limit <= 0);
    let memory = none(made.memory.limit) && facts.has_controller("memory");
    claim(!memory || granted.contains("memory.unlimited"), "memory is not limited any more");
    let pids = none(made.pids.and_then(|pids| pids.limit));
    claim(!pids || granted.contains("pids.unlimited"), "tasks are not limited any more");
}
