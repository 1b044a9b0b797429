//! Giving up privilege: label, personality, groups, ids, capabilities, no_new_privs, Landlock, seccomp.
//!
//! The lattice that fixes the order: labels may need privilege, so they are requested first (they take effect at
//! execve). The bounding set needs CAP_SETPCAP, groups need CAP_SETGID, so both come before capset. Changing the uid
//! would empty the sets, so the permitted set is kept across it. no_new_privs comes before an unprivileged
//! seccomp filter, because it is what permits one. A container that must not have no_new_privs needs CAP_SYS_ADMIN for
//! the filter (seccomp(2)): that one is kept until the filter is loaded, so that the program is looked up with the payload's
//! identity and before a filter could be in the way.
//!
//! The Landlock layer needs no_new_privs or CAP_SYS_ADMIN, and comes after the last write of ours (labels, in /proc). Its
//! rules are written before the ids change, because looking at the tree takes root's view of it.

use crate::cwd::{enter_cwd_as_root, Cwd};
use crate::failure::Step;
use crate::filters::{needs_privilege, CAP_SYS_ADMIN};
use crate::landlock::Layer;
use crate::plan::ProcessPlan;
use crate::{lsm, StepResult};
use casemate_sys::{caps, process, sched};
use rustix::fd::AsFd;
use rustix::fs::Mode;

/// From root of the container's namespaces to the payload's identity; answers where the working directory stands.
pub(crate) fn drop_privilege(plan: &ProcessPlan, host_proc: impl AsFd) -> StepResult<Cwd> {
    rustix::process::umask(Mode::from_raw_mode(plan.umask));
    if let Some(persona) = plan.personality {
        sched::set_personality(persona).step("personality", || "linux.personality")?;
    }
    if let Some(profile) = &plan.apparmor {
        lsm::apparmor_on_exec(&host_proc, profile)?;
    }
    if let Some(label) = &plan.selinux {
        lsm::selinux_on_exec(&host_proc, label)?;
    }
    let mut layer = match &plan.landlock {
        Some(landlock) => Some(Layer::prepare(landlock, &host_proc)?),
        None => None,
    };
    if !plan.no_new_privs {
        // Takes CAP_SYS_ADMIN then, which is about to go.
        layer.take().map_or(Ok(()), Layer::enforce)?;
    }
    let cwd = enter_cwd_as_root(plan)?;
    let known = caps::known();
    caps::limit_bounding(plan.caps.bounding, known)
        .step("capabilities", || "process.capabilities.bounding")?;
    set_groups(plan)?;
    caps::keep_permitted().step("capabilities", || "process.capabilities")?;
    process::set_res_gid(plan.gid, plan.gid, plan.gid)
        .step("identity", || format!("process.user.gid {}", plan.gid))?;
    process::set_res_uid(plan.uid, plan.uid, plan.uid)
        .step("identity", || format!("process.user.uid {}", plan.uid))?;
    set_capabilities(plan, known)?;
    if plan.no_new_privs {
        caps::set_no_new_privs().step("no-new-privs", || "process.noNewPrivileges")?;
    }
    layer.map_or(Ok(()), Layer::enforce)?;
    Ok(cwd)
}

fn set_groups(plan: &ProcessPlan) -> StepResult<()> {
    let Some(groups) = &plan.groups else { return Ok(()) };
    match process::set_groups(groups) {
        Err(_) if plan.groups_may_fail && groups.is_empty() => Ok(()),
        other => other.step("identity", || "process.user.additionalGids"),
    }
}

fn set_capabilities(plan: &ProcessPlan, known: u64) -> StepResult<()> {
    let about = || "process.capabilities";
    // What this namespace cannot give (a nested one, a limited bounding set) is left out, as every runtime does; what is
    // there in the end is read back and recorded.
    let have = caps::get().step("capabilities", about)?.permitted & known;
    let sets = caps::Sets {
        effective: plan.caps.effective & plan.caps.permitted & have,
        permitted: plan.caps.permitted & have,
        inheritable: plan.caps.inheritable & have,
    };
    let for_filters =
        if needs_privilege(plan.no_new_privs, &plan.seccomp) { CAP_SYS_ADMIN & have } else { 0 };
    caps::set(caps::Sets {
        effective: sets.effective | for_filters,
        permitted: sets.permitted | for_filters,
        inheritable: sets.inheritable,
    })
    .step("capabilities", about)?;
    caps::set_ambient(plan.caps.ambient & sets.permitted & sets.inheritable)
        .step("capabilities", about)
}
