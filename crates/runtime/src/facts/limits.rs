//! What a container would inherit from the caller: read only where its configuration does not say.

use crate::procfs;
use casemate_policy::spec::{Process, RlimitKind};
use casemate_policy::CallerLimits;
use rustix::fd::OwnedFd;
use rustix::process::{getrlimit, Resource};

/// `None` where the configuration sets a value itself, but for core dumps.
pub(super) fn of_caller(process: Option<&Process>, proc: &OwnedFd) -> CallerLimits {
    let Some(process) = process else { return CallerLimits::default() };
    let limit = |kind: RlimitKind, resource: Resource| {
        let given = process.rlimits.iter().any(|entry| entry.kind == kind);
        (!given).then(|| {
            let limit = getrlimit(resource);
            (limit.current.unwrap_or(u64::MAX), limit.maximum.unwrap_or(u64::MAX))
        })
    };
    let own_score = || procfs::read(proc, "self/oom_score_adj").ok()?.trim().parse().ok();
    CallerLimits {
        nofile: limit(RlimitKind::Nofile, Resource::Nofile),
        // Whatever the configuration has: nothing above the caller's own can be set.
        core: Some(getrlimit(Resource::Core).maximum.unwrap_or(u64::MAX)),
        memlock: limit(RlimitKind::Memlock, Resource::Memlock),
        oom_score_adj: if process.oom_score_adj.is_none() { own_score() } else { None },
    }
}
