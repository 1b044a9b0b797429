//! Ranges and rows of host ids, and those that processes have.

use super::entries::Resource;
use super::processes::{of_process, processes};
use anyhow::Result;
use casemate_kernel::id_map;
use rustix::fd::OwnedFd;
use serde::{Deserialize, Serialize};

/// Ids in one range: what images use, `nobody` (65534) included.
pub(crate) const SIZE: u32 = 65536;

/// A range of host ids for one container: [`SIZE`] from these on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    /// First user id.
    pub(crate) uid: u32,
    /// First group id.
    pub(crate) gid: u32,
}

impl Resource for Range {
    const WHAT: &'static str = "id ranges";

    fn numbers(self) -> (u32, u32) {
        (self.uid, self.gid)
    }

    fn of_numbers(uid: u32, gid: u32) -> Self {
        Self { uid, gid }
    }

    fn meets(self, other: Self) -> bool {
        self.uid.abs_diff(other.uid) < SIZE || self.gid.abs_diff(other.gid) < SIZE
    }
}

/// A row of ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// The first.
    pub(crate) first: u32,
    /// How many.
    pub(crate) count: u32,
}

impl Span {
    pub(super) fn ranges(self) -> u32 {
        self.count / SIZE
    }

    /// Some of it is in the range that begins there.
    pub(super) fn meets(self, first: u32) -> bool {
        self.meets_span(Self { first, count: SIZE })
    }

    pub(super) fn meets_span(self, other: Self) -> bool {
        let end = |span: Self| u64::from(span.first) + u64::from(span.count);
        u64::from(other.first) < end(self) && u64::from(self.first) < end(other)
    }
}

/// User and group ids that some process's user namespace maps; who has the whole id space has taken none of it.
pub(super) struct Mapped {
    uid: Vec<Span>,
    gid: Vec<Span>,
}

impl Mapped {
    /// Of all processes.
    ///
    /// # Errors
    /// They cannot be looked at.
    pub(super) fn by_processes(proc: &OwnedFd) -> Result<Self> {
        let (mut uid, mut gid) = (Vec::new(), Vec::new());
        for pid in processes(proc)? {
            for (file, spans) in [("uid_map", &mut uid), ("gid_map", &mut gid)] {
                let Some(text) = of_process(proc, pid, file)? else { continue };
                let map = id_map::parse(&text)?;
                let own = map.into_iter().filter(|range| range.count < u32::MAX);
                spans.extend(own.map(|range| Span { first: range.outside.0, count: range.count }));
            }
        }
        Ok(Self { uid, gid })
    }

    /// Some process has one of these.
    pub(super) fn meets(&self, uid: &[Span], gid: &[Span]) -> bool {
        let met = |of: &[Span], these: &[Span]| {
            these.iter().any(|one| of.iter().any(|span| span.meets_span(*one)))
        };
        met(&self.uid, uid) || met(&self.gid, gid)
    }
}
