//! Giving up privilege: label, personality, groups, ids, capabilities, no_new_privs, seccomp.
//!
//! The lattice that fixes the order: labels may need privilege, so they are requested first (they take effect at
//! execve). The bounding set needs CAP_SETPCAP, groups need CAP_SETGID, so both come before capset. Changing the uid
//! would empty the sets, so the permitted set is kept across it. no_new_privs comes before an unprivileged
//! seccomp filter, because it is what permits one; a container that must not have no_new_privs needs CAP_SYS_ADMIN for
//! the filter, so there the filter comes before the drop (seccomp(2)).

use crate::failure::Step;
use crate::lsm;
use crate::plan::{ProcessPlan, SeccompFilter};
use crate::proto::{self, FromParent};
use crate::StepResult;
use casemate_sys::{caps, process, sched, seccomp};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::Mode;

/// When a filter is loaded. Decided by the plan alone: [`slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterSlot {
    /// Before ids and capabilities are given up: without no_new_privs, loading is a privileged operation.
    BeforeDrop,
    /// After the drop, while the parent still listens: with no_new_privs and a notifying filter.
    BeforeReady,
    /// Behind the gate, right before execve: the fewest system calls have to pass the filter.
    BeforeExec,
}

/// The slot of all filters of a process: they share one, or their order would change.
pub fn slot(no_new_privs: bool, filters: &[SeccompFilter]) -> FilterSlot {
    if !no_new_privs {
        FilterSlot::BeforeDrop
    } else if filters.iter().any(SeccompFilter::notifies) {
        FilterSlot::BeforeReady
    } else {
        FilterSlot::BeforeExec
    }
}

/// The filters of a process and their slot.
#[derive(Debug)]
pub struct Filters {
    slot: FilterSlot,
    list: Vec<SeccompFilter>,
}

impl Filters {
    /// Take the filters of a plan.
    pub fn new(no_new_privs: bool, list: Vec<SeccompFilter>) -> Self {
        Self { slot: slot(no_new_privs, &list), list }
    }
}

/// Load the filters if this is their slot.
pub fn load_filters(filters: &Filters, now: FilterSlot, channel: &OwnedFd) -> StepResult<()> {
    if filters.slot != now {
        return Ok(());
    }
    for filter in &filters.list {
        let listener =
            seccomp::load(&filter.program, filter.flags).step("seccomp", || "linux.seccomp")?;
        if let Some(listener) = listener {
            // The parent copies the descriptor out of this process: write and read are all that the filter must let
            // pass for it.
            proto::send_listener(channel, listener.as_raw_fd())?;
            proto::await_parent(channel, FromParent::Taken)?;
        }
    }
    Ok(())
}

/// From root of the container's namespaces to the payload's identity.
pub fn drop_privilege(
    plan: &ProcessPlan,
    host_proc: impl AsFd,
    channel: &OwnedFd,
) -> StepResult<()> {
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
    enter_cwd_as_root(plan)?;
    let known = caps::known();
    caps::limit_bounding(plan.caps.bounding, known)
        .step("capabilities", || "process.capabilities.bounding")?;
    set_groups(plan)?;
    if slot(plan.no_new_privs, &plan.seccomp) == FilterSlot::BeforeDrop {
        let filters = Filters::new(plan.no_new_privs, plan.seccomp.clone());
        load_filters(&filters, FilterSlot::BeforeDrop, channel)?;
    }
    caps::keep_permitted().step("capabilities", || "process.capabilities")?;
    process::set_res_gid(plan.gid, plan.gid, plan.gid)
        .step("identity", || format!("process.user.gid {}", plan.gid))?;
    process::set_res_uid(plan.uid, plan.uid, plan.uid)
        .step("identity", || format!("process.user.uid {}", plan.uid))?;
    set_capabilities(plan, known)?;
    if plan.no_new_privs {
        caps::set_no_new_privs().step("no-new-privs", || "process.noNewPrivileges")?;
    }
    Ok(())
}

/// The directory may be closed to the payload's user but open to root, or the other way round (a network file system):
/// this is the first try, [`crate::exec::prepare`] makes the second and reports.
fn enter_cwd_as_root(plan: &ProcessPlan) -> StepResult<()> {
    match crate::exec::enter_cwd(&plan.cwd) {
        Err(e) if !crate::exec::is_permission(&e) => Err(e),
        _ => Ok(()),
    }
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
    caps::set(sets).step("capabilities", about)?;
    caps::set_ambient(plan.caps.ambient & sets.permitted & sets.inheritable)
        .step("capabilities", about)
}
