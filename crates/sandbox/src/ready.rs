//! A process that only has to pass the gate: everything is looked up, and nothing is open that it must
//! not have.

use crate::cwd::{enter_cwd, verify_cwd, Cwd};
use crate::environment::add_home;
use crate::failure::Step;
use crate::filters::{self, FilterCount, FilterSlot, Filters};
use crate::plan::ProcessPlan;
use crate::program::find_program;
use crate::{Failure, StepResult};
use casemate_sys::process::{self, ExecVectors};
use casemate_sys::{errno_text, signals};
use rustix::fd::OwnedFd;
use std::ffi::CString;

/// A process that only has to pass the gate.
#[derive(Debug)]
pub(crate) struct ReadyProcess {
    /// `None`: the container has no process, and must not be started.
    path: Option<CString>,
    vectors: ExecVectors,
    filters: Filters,
}

/// Look everything up that can fail, so that it fails while `create` still listens, and close what the payload must not
/// have. `ours`: descriptors of the protocol, close-on-exec, needed until then.
pub(crate) fn prepare(
    plan: ProcessPlan,
    cwd: Cwd,
    count: Option<FilterCount>,
    ours: &[i32],
) -> StepResult<ReadyProcess> {
    if cwd == Cwd::ClosedToRoot {
        enter_cwd(&plan.cwd)?;
    }
    verify_cwd(&plan.cwd)?;
    let ProcessPlan { args, mut env, uid, keep_fds, no_new_privs, seccomp, caps, .. } = plan;
    add_home(&mut env, uid);
    let path = if args.is_empty() { None } else { Some(find_program(&args, &env)?) };
    signals::reset()?;
    let ours: Vec<i32> =
        ours.iter().copied().chain(count.as_ref().map(FilterCount::descriptor)).collect();
    close_all_but(3 + keep_fds, &ours)?;
    Ok(ReadyProcess {
        path,
        vectors: ExecVectors::new(args, env),
        filters: Filters::new(no_new_privs, caps.permitted, seccomp, count),
    })
}

impl ReadyProcess {
    pub(crate) fn filters(&self) -> &Filters {
        &self.filters
    }

    /// As [`Filters::count_by`].
    pub(crate) fn count_by(&mut self, status: Option<OwnedFd>) {
        self.filters.count_by(status);
    }

    /// Load what filters are left and execute; returns only what went wrong.
    pub(crate) fn exec(&self, channel: &OwnedFd) -> Failure {
        if let Err(failure) = filters::load_filters(&self.filters, FilterSlot::BeforeExec, channel)
        {
            return failure;
        }
        let Some(path) = &self.path else {
            return Failure::new("exec", "process: is not set, so there is nothing to start");
        };
        let errno = process::execve(path, &self.vectors);
        let message = format!("exec {}: {}", path.to_string_lossy(), errno_text(errno));
        Failure { step: "exec".into(), message, hint: None, errno: errno.raw_os_error() }
    }
}

/// Close every descriptor from `first` on but `ours` (which are close-on-exec). For real, not by flag: what is closed
/// cannot be reached through /proc/self/fd while we wait at the gate (CVE-2024-21626).
fn close_all_but(first: u32, ours: &[i32]) -> StepResult<()> {
    // A negative number is no descriptor.
    let mut keep: Vec<u32> =
        ours.iter().filter_map(|fd| u32::try_from(*fd).ok()).filter(|fd| *fd >= first).collect();
    keep.sort_unstable();
    let mut next = first;
    for fd in keep {
        if fd > next {
            casemate_sys::fd::close_between(next, fd - 1).step("fds", || "close")?;
        }
        next = fd + 1;
    }
    casemate_sys::fd::close_between(next, u32::MAX).step("fds", || "close")
}
