//! Which host ids processes use: asked only when a range looks left over.

use super::source::{Range, Span};
use crate::ids::read_map;
use anyhow::{Context as _, Result};
use casemate_policy::spec::IdMapping;
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;

/// User and group ids.
#[derive(Debug, Default)]
pub(super) struct InUse {
    uid: Vec<Span>,
    gid: Vec<Span>,
}

impl InUse {
    pub(super) fn meets(&self, range: Range) -> bool {
        self.uid.iter().any(|span| span.meets(range.uid))
            || self.gid.iter().any(|span| span.meets(range.gid))
    }
}

/// User and group ids that some process's user namespace maps, whole id space and own namespace left out.
pub(super) fn ids_in_use(proc: &OwnedFd) -> Result<InUse> {
    let flags =
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let dir = rustix::fs::openat(proc, ".", flags, rustix::fs::Mode::empty())
        .call(|| "openat(/proc)")
        .context("id ranges")?;
    let mut found = InUse::default();
    for entry in rustix::fs::Dir::read_from(&dir).call(|| "opendir(/proc)").context("id ranges")? {
        let entry = entry.call(|| "readdir(/proc)").context("id ranges")?;
        let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse::<i32>().ok())
        else {
            continue;
        };
        // A process that has ended meanwhile uses nothing.
        let (Ok(uid), Ok(gid)) = (read_map(proc, pid, "uid_map"), read_map(proc, pid, "gid_map"))
        else {
            continue;
        };
        let spans = |map: Vec<IdMapping>| {
            let own = map.into_iter().filter(|range| range.size < u32::MAX);
            own.map(|range| Span { first: range.host_id, count: range.size })
        };
        found.uid.extend(spans(uid));
        found.gid.extend(spans(gid));
    }
    Ok(found)
}
