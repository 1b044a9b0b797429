//! What the kernel was asked to do and said that it did, compared with what it shows: a kernel, or a filter around us, that
//! answers 0 and does nothing is noticed.

use super::read::{self, KINDS};
use crate::procfs;
use crate::resolve::ids::IdMaps;
use anyhow::{bail, Context as _, Result};
use casemate_kernel::id_map::IdRange;
use casemate_policy::spec::IdMapping;
use casemate_sandbox::plan::{Early, Namespaces, UserNamespace};
use casemate_sys::{ns, Context as _};
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// Namespaces, limits and id maps as planned.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    /// Kinds that must not be our own.
    pub(super) new: u64,
    /// Kinds that are joined, and the inode of which one.
    pub(super) joined: Vec<(u64, u64)>,
    /// A process whose namespaces of these kinds are joined.
    pub(super) peer: Option<(i32, u64)>,
    /// Resource, soft, hard.
    pub(super) limits: Vec<(u32, u64, u64)>,
    /// Limits may have come out lower.
    pub(super) limits_may_shrink: bool,
    /// The caller has no privilege over the process.
    pub(super) by_ordinary_user: bool,
    /// Of the container's user namespace; empty: it has none.
    pub(super) maps: IdMaps,
}

impl Claims {
    pub(super) fn of(early: &Early, maps: &IdMaps) -> Self {
        Self {
            limits: early.rlimits.clone(),
            limits_may_shrink: early.rlimits_may_shrink,
            maps: maps.clone(),
            ..Self::default()
        }
    }

    /// The namespaces that the plan joins, once all of them are there.
    pub(super) fn join(&mut self, plan: &Namespaces, pid: Option<&OwnedFd>) -> Result<()> {
        use casemate_sys::ns::flag;
        let user = match &plan.user {
            UserNamespace::EnterLast(fd) => Some((flag::USER, fd)),
            _ => None,
        };
        let listed = plan.join.iter().map(|(kind, fd)| (*kind, fd));
        let all = listed.chain(user).chain(pid.map(|fd| (flag::PID, fd)));
        for (kind, fd) in all {
            let st = rustix::fs::fstat(fd).call(|| "fstat(namespace)")?;
            self.joined.push((kind, st.st_ino));
        }
        Ok(())
    }

    /// The process is to be where `pid` is, in namespaces of these kinds.
    pub(super) fn follow(&mut self, pid: i32, kinds: u64) {
        self.peer = Some((pid, kinds));
    }

    /// Which kinds of namespaces the process has in common with us. `None`: an ordinary user is not shown those of a process
    /// that has more capabilities than it (ptrace(2), the access mode checks), as root of the container's namespace has.
    pub(super) fn verify_namespaces(&self, proc: &OwnedFd, pid: i32) -> Result<Option<u64>> {
        let mut shared = 0;
        if self.by_ordinary_user {
            match ns::inode(proc, &pid.to_string(), "mnt") {
                Err(error) if error.errno() == Errno::ACCESS => return Ok(None),
                other => other?,
            };
        }
        for (kind, file) in KINDS {
            let Some(own) = ns::inode(proc, &pid.to_string(), file)? else { continue };
            if ns::inode(proc, "self", file)? == Some(own) {
                shared |= kind;
            }
            if self.new & shared & kind != 0 {
                bail!("the {file} namespace is not a new one, as planned");
            }
            let joined = self.joined.iter().find(|(joined, _)| *joined == kind);
            if joined.is_some_and(|(_, inode)| *inode != own) {
                bail!("the {file} namespace is not the one to be joined");
            }
            let Some((peer, _)) = self.peer.filter(|(_, kinds)| kinds & kind != 0) else {
                continue;
            };
            if ns::inode(proc, &peer.to_string(), file)? != Some(own) {
                bail!("the {file} namespace is not the container's");
            }
        }
        Ok(Some(shared))
    }

    /// `text`: /proc/PID/limits.
    pub(super) fn verify_limits(&self, text: &str) -> Result<()> {
        for (index, (number, soft, hard)) in self.limits.iter().enumerate() {
            if self.limits[index + 1..].iter().any(|(later, _, _)| later == number) {
                continue;
            }
            let (seen_soft, seen_hard) = read::limit(text, *number)?;
            let equal = (seen_soft, seen_hard) == (*soft, *hard);
            let lower = seen_soft <= *soft && seen_hard <= *hard;
            let as_planned = equal || (self.limits_may_shrink && lower);
            if !as_planned {
                bail!("resource limit {number} is {seen_soft}:{seen_hard}, planned {soft}:{hard}");
            }
        }
        Ok(())
    }

    /// What the process has is what was planned, for a container with a user namespace of its own.
    pub(super) fn verify_maps(&self, uid: &[IdRange], gid: &[IdRange]) -> Result<()> {
        let pairs = [("uid", &self.maps.uid, uid), ("gid", &self.maps.gid, gid)];
        for (name, planned, seen) in pairs {
            let range = |one: &IdMapping| (one.container_id, one.host_id, one.size);
            let mut planned: Vec<_> = planned.iter().map(range).collect();
            let mut seen: Vec<_> =
                seen.iter().map(|one| (one.inside, one.outside, one.count)).collect();
            planned.sort_unstable();
            seen.sort_unstable();
            if !planned.is_empty() && planned != seen {
                bail!("the {name} map is not the planned one");
            }
        }
        Ok(())
    }
}

/// Both maps of a process.
pub(super) fn maps(proc: &OwnedFd, pid: i32) -> Result<(Vec<IdRange>, Vec<IdRange>)> {
    Ok((read::id_map(proc, pid, "uid_map")?, read::id_map(proc, pid, "gid_map")?))
}

/// /proc/PID/limits.
pub(super) fn limits(proc: &OwnedFd, pid: i32) -> Result<String> {
    procfs::read(proc, &format!("{pid}/limits")).context("resource limits")
}
