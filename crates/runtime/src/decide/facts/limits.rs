//! What a container would inherit from the caller: read only where its configuration does not say.

use crate::procfs;
use anyhow::{Context as _, Result};
use casemate_policy::spec::{Process, RlimitKind};
use casemate_policy::CallerLimits;
use casemate_sys::process::rlimit;
use rustix::fd::OwnedFd;
use rustix::process::Resource;

/// `None` where the configuration sets a value itself, but for core dumps.
pub(super) fn of_caller(process: Option<&Process>, proc: &OwnedFd) -> Result<CallerLimits> {
    let Some(process) = process else { return Ok(CallerLimits::default()) };
    let limit = |kind: RlimitKind, resource: Resource| {
        let given = process.rlimits.iter().any(|entry| entry.kind == kind);
        (!given).then(|| rlimit(resource as u32)).transpose()
    };
    // A limit that is none is RLIM_INFINITY.
    Ok(CallerLimits {
        nofile: limit(RlimitKind::Nofile, Resource::Nofile)?,
        // Whatever the configuration has: nothing above the caller's own can be set.
        core: Some(rlimit(Resource::Core as u32)?.1),
        memlock: limit(RlimitKind::Memlock, Resource::Memlock)?,
        ..of_joining(process, proc)?
    })
}

/// Of a process that is added to a container: what is not given otherwise comes from that.
pub(crate) fn of_joining(process: &Process, proc: &OwnedFd) -> Result<CallerLimits> {
    let own_score = match process.oom_score_adj {
        None => Some(own_score(proc)?),
        Some(_) => None,
    };
    Ok(CallerLimits { oom_score_adj: own_score, ..CallerLimits::default() })
}

fn own_score(proc: &OwnedFd) -> Result<i32> {
    let text = procfs::read(proc, "self/oom_score_adj")?;
    text.trim().parse().with_context(|| format!("/proc/self/oom_score_adj {text:?}"))
}
