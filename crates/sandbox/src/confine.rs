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

use crate::failure::Step;
use crate::landlock::Layer;
use crate::lsm;
use crate::plan::{ProcessPlan, SeccompFilter};
use crate::proto::{self, FromParent};
use crate::{Failure, StepResult};
use casemate_sys::{caps, process, sched, seccomp, Context};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

/// What loading a filter takes without no_new_privs.
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// When a filter is loaded. Decided by the plan alone: [`slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterSlot {
    /// While the parent still listens: a notifying filter, whose listener it takes, and filters without no_new_privs,
    /// whose loading is the last privileged operation.
    BeforeReady,
    /// Behind the gate, right before execve: the fewest system calls have to pass the filter.
    BeforeExec,
}

/// The slot of all filters of a process: they share one, or their order would change.
pub fn slot(no_new_privs: bool, filters: &[SeccompFilter]) -> FilterSlot {
    if needs_privilege(no_new_privs, filters) || filters.iter().any(SeccompFilter::notifies) {
        FilterSlot::BeforeReady
    } else {
        FilterSlot::BeforeExec
    }
}

fn needs_privilege(no_new_privs: bool, filters: &[SeccompFilter]) -> bool {
    !no_new_privs && !filters.is_empty()
}

/// The filters of a process and their slot.
#[derive(Debug)]
pub struct Filters {
    slot: FilterSlot,
    list: Vec<SeccompFilter>,
    /// Capabilities to give up once they are loaded.
    drop_after: u64,
    /// Where the kernel says how many there are.
    count: Option<FilterCount>,
}

/// What the kernel says about the filters of this process: its /proc/PID/status, opened while procfs can be reached, or
/// handed over by `start`: nothing that leads to the host is open while a container waits for it (CVE-2024-21626).
#[derive(Debug)]
pub struct FilterCount {
    status: OwnedFd,
    /// Whose it is: a hook's process has a copy of the descriptor, which shows its parent.
    pid: Pid,
}

/// Filters that are about to be loaded: how many there were, and room for what the kernel will say of them.
struct Counted<'a> {
    count: &'a FilterCount,
    before: u32,
    room: Vec<u8>,
}

impl FilterCount {
    /// `None`: there is nothing to count, or a filter lets no read(2) pass, and it could not be asked.
    pub fn open(filters: &[SeccompFilter], host_proc: impl AsFd) -> StepResult<Option<Self>> {
        if !can_be_counted(filters) {
            return Ok(None);
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let status = rustix::fs::openat(host_proc, "self/status", flags, Mode::empty())
            .call(|| "openat(/proc, \"self/status\")")
            .step("seccomp", || "linux.seccomp")?;
        Ok(Some(Self { status, pid: rustix::process::getpid() }))
    }

    /// The descriptor, which the payload must not have: it is close-on-exec.
    pub fn descriptor(&self) -> i32 {
        self.status.as_raw_fd()
    }

    fn start(&self) -> StepResult<Option<Counted<'_>>> {
        if rustix::process::getpid() != self.pid {
            return Ok(None);
        }
        let text = read_whole(&self.status).step("seccomp", || "linux.seccomp")?;
        // The line is missing before Linux 5.9. One that cannot be understood is no count, and no reason not to count.
        if !text.split(|byte| *byte == b'\n').any(|line| line.starts_with(FILTERS)) {
            return Ok(None);
        }
        let before = filters_in(&text).ok_or_else(|| {
            Failure::new("seccomp", "/proc/self/status: Seccomp_filters is no number".to_owned())
        })?;
        Ok(Some(Counted { count: self, before, room: vec![0; text.len() + 1024] }))
    }
}

fn can_be_counted(filters: &[SeccompFilter]) -> bool {
    !filters.is_empty() && filters.iter().all(|filter| filter.lets_read)
}

impl Counted<'_> {
    /// Behind the filters: read(2) is all that they have to let pass, and no memory is asked for.
    fn compare(mut self, loaded: usize) -> StepResult<()> {
        let mut length = 0;
        while length < self.room.len() {
            let read = rustix::io::read(&self.count.status, &mut self.room[length..])
                .call(|| "read(/proc/self/status)")
                .step("seccomp", || "linux.seccomp")?;
            if read == 0 {
                break;
            }
            length += read;
        }
        let now = filters_in(&self.room[..length]);
        let wanted = u32::try_from(loaded).ok().and_then(|more| self.before.checked_add(more));
        if now.is_some() && now == wanted {
            return Ok(());
        }
        // What cannot be read is no number.
        let now = now.map_or_else(|| "no number".to_owned(), |now| now.to_string());
        let before = self.before;
        let message = format!(
            "linux.seccomp: {loaded} filters were loaded, and the kernel shows {now}, {before} of them from before"
        );
        Err(Failure::new("seccomp", message))
    }
}

/// From the start, without moving the descriptor's position.
fn read_whole(file: &OwnedFd) -> casemate_sys::Result<Vec<u8>> {
    let mut text = vec![0; 4096];
    let mut length = 0;
    loop {
        let read = rustix::io::pread(file, &mut text[length..], length as u64)
            .call(|| "pread(/proc/self/status)")?;
        length += read;
        if read == 0 {
            text.truncate(length);
            return Ok(text);
        }
        if length == text.len() {
            text.resize(2 * length, 0);
        }
    }
}

/// The line of /proc/PID/status.
const FILTERS: &[u8] = b"Seccomp_filters:";

/// The number of filters in the text of /proc/PID/status; `None`: no line says it, or that is no number.
fn filters_in(text: &[u8]) -> Option<u32> {
    let line = text.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(FILTERS))?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

impl Filters {
    /// Take the filters of a plan; `permitted` is what the payload may keep.
    pub fn new(
        no_new_privs: bool,
        permitted: u64,
        list: Vec<SeccompFilter>,
        count: Option<FilterCount>,
    ) -> Self {
        let kept = if needs_privilege(no_new_privs, &list) { CAP_SYS_ADMIN } else { 0 };
        Self { slot: slot(no_new_privs, &list), list, drop_after: kept & !permitted, count }
    }

    /// Whether they are loaded in this slot.
    pub fn are_loaded(&self, slot: FilterSlot) -> bool {
        self.slot == slot
    }

    /// Count them by this process's status, from now on.
    pub fn count_by(&mut self, status: Option<OwnedFd>) {
        let status = status.filter(|_| can_be_counted(&self.list));
        let pid = rustix::process::getpid();
        self.count = status.map(|status| FilterCount { status, pid });
    }
}

/// Load the filters if this is their slot.
pub fn load_filters(filters: &Filters, now: FilterSlot, channel: &OwnedFd) -> StepResult<()> {
    if filters.slot != now {
        return Ok(());
    }
    let about = || "process.capabilities";
    // Read before the filter is there, which then has to let capset pass but not capget.
    let after = match filters.drop_after {
        0 => None,
        gone => {
            let mut sets = caps::get().step("capabilities", about)?;
            sets.effective &= !gone;
            sets.permitted &= !gone;
            Some(sets)
        }
    };
    let counted = match &filters.count {
        Some(count) => count.start()?,
        None => None,
    };
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
    if let Some(counted) = counted {
        counted.compare(filters.list.len())?;
    }
    after.map_or(Ok(()), |sets| caps::set(sets).step("capabilities", about))
}

/// From root of the container's namespaces to the payload's identity; answers where the working directory stands.
pub fn drop_privilege(plan: &ProcessPlan, host_proc: impl AsFd) -> StepResult<Cwd> {
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

/// Whether the working directory has been entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cwd {
    /// It is where we are.
    Entered,
    /// Root may not; [`crate::exec::prepare`] tries as the payload's user, and reports.
    ClosedToRoot,
}

/// The directory may be closed to the payload's user but open to root (an image's WORKDIR /root with another USER), or the
/// other way round (a network file system): engines expect either to do.
fn enter_cwd_as_root(plan: &ProcessPlan) -> StepResult<Cwd> {
    match crate::exec::enter_cwd(&plan.cwd) {
        Ok(()) => Ok(Cwd::Entered),
        Err(e) if crate::exec::is_permission(&e) => Ok(Cwd::ClosedToRoot),
        Err(e) => Err(e),
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
