//! The seccomp filters of a process: when they are loaded, and counting what the kernel has loaded.

use crate::failure::Step;
use crate::plan::SeccompFilter;
use crate::proto::{self, FromParent};
use crate::{Failure, StepResult};
use casemate_sys::{caps, seccomp, Context};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::process::Pid;

/// What loading a filter takes without no_new_privs.
pub(crate) const CAP_SYS_ADMIN: u64 = 1 << 21;

/// When a filter is loaded. Decided by the plan alone: [`slot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FilterSlot {
    /// While the parent still listens: a notifying filter, whose listener it takes, and filters without no_new_privs,
    /// whose loading is the last privileged operation.
    BeforeReady,
    /// Behind the gate, right before execve: the fewest system calls have to pass the filter.
    BeforeExec,
}

/// The slot of all filters of a process: they share one, or their order would change.
pub(crate) fn slot(no_new_privs: bool, filters: &[SeccompFilter]) -> FilterSlot {
    if needs_privilege(no_new_privs, filters) || filters.iter().any(SeccompFilter::notifies) {
        FilterSlot::BeforeReady
    } else {
        FilterSlot::BeforeExec
    }
}

pub(crate) fn needs_privilege(no_new_privs: bool, filters: &[SeccompFilter]) -> bool {
    !no_new_privs && !filters.is_empty()
}

/// The filters of a process and their slot.
#[derive(Debug)]
pub(crate) struct Filters {
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
pub(crate) struct FilterCount {
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
    pub(crate) fn open(
        filters: &[SeccompFilter],
        host_proc: impl AsFd,
    ) -> StepResult<Option<Self>> {
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
    pub(crate) fn descriptor(&self) -> i32 {
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
    pub(crate) fn new(
        no_new_privs: bool,
        permitted: u64,
        list: Vec<SeccompFilter>,
        count: Option<FilterCount>,
    ) -> Self {
        let kept = if needs_privilege(no_new_privs, &list) { CAP_SYS_ADMIN } else { 0 };
        Self { slot: slot(no_new_privs, &list), list, drop_after: kept & !permitted, count }
    }

    /// Whether they are loaded in this slot.
    pub(crate) fn are_loaded(&self, slot: FilterSlot) -> bool {
        self.slot == slot
    }

    /// Count them by this process's status, from now on.
    pub(crate) fn count_by(&mut self, status: Option<OwnedFd>) {
        let status = status.filter(|_| can_be_counted(&self.list));
        let pid = rustix::process::getpid();
        self.count = status.map(|status| FilterCount { status, pid });
    }
}

/// Load the filters if this is their slot.
pub(crate) fn load_filters(
    filters: &Filters,
    now: FilterSlot,
    channel: &OwnedFd,
) -> StepResult<()> {
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
