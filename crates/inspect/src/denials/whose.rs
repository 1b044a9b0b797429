//! To which container a process belongs, or belonged: by its uid, by its cgroup while it lives, by its label.

use crate::census::{self, Member};
use crate::names;
use crate::roots::everywhere;
use anyhow::Result;
use casemate_policy::spec::{IdMapping, Spec};
use casemate_runtime::procfs;
use casemate_runtime::request::Global;
use casemate_runtime::state::{past, StateRoot};
use casemate_runtime::ContainerId;
use rustix::fd::OwnedFd;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Ids below belong to people and services of the host: a container that maps one of them shares it.
const OF_CONTAINERS: u32 = 65536;

/// Where the cgroup file system is.
const CGROUPS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

/// A container that a record may be about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Its whole id.
    pub id: String,
    /// Its engine, as far as that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<&'static str>,
    /// What the engine calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// It has been deleted since.
    pub gone: bool,
}

/// What is known of one, to tell its processes by.
#[derive(Debug)]
struct Known {
    who: Candidate,
    uids: Vec<IdMapping>,
    cgroup: Option<PathBuf>,
    label: Option<String>,
    /// In milliseconds since the epoch.
    lived: (u64, u64),
    /// What its filter refuses is recorded; `None`: not known any more.
    recorded: Option<bool>,
}

/// The containers of this host, and those that have gone and are still remembered.
#[derive(Debug)]
pub struct Containers {
    known: Vec<Known>,
    proc: OwnedFd,
    /// What could not be looked at; a line each.
    pub problems: Vec<String>,
}

impl Containers {
    /// Whose process that is, or was: one container, or all of those that it may be.
    pub(super) fn of_process(
        &self,
        pid: Option<i32>,
        uid: Option<u32>,
        label: Option<&str>,
        time: u64,
    ) -> Vec<Candidate> {
        let lived = |known: &&Known| known.lived.0 <= time && time <= known.lived.1;
        let own = uid.filter(|uid| *uid >= OF_CONTAINERS);
        let by_uid: Vec<&Known> = self
            .known
            .iter()
            .filter(lived)
            .filter(|known| own.is_some_and(|uid| known.uids.iter().any(|range| has(range, uid))))
            .collect();
        // Containers of a pod share a range.
        let among: Vec<&Known> = match by_uid.as_slice() {
            [_] => return by_uid.into_iter().map(|known| known.who.clone()).collect(),
            [] => self.known.iter().filter(lived).collect(),
            _ => by_uid.clone(),
        };
        let cgroup = pid.and_then(|pid| self.cgroup_of(pid, time));
        let in_cgroup = |known: &&&Known| match (&known.cgroup, &cgroup) {
            (Some(container), Some(process)) => process.starts_with(container),
            _ => false,
        };
        let with_label =
            |known: &&&Known| known.label.as_deref().is_some_and(|own| Some(own) == label);
        let mut found: Vec<&Known> = among.iter().filter(in_cgroup).copied().collect();
        if found.is_empty() {
            found = among.iter().filter(with_label).copied().collect();
        }
        if found.is_empty() {
            found = by_uid;
        }
        found.into_iter().map(|known| known.who.clone()).collect()
    }

    /// Whether the kernel records what the filter of a container refuses.
    pub(super) fn recorded(&self, id: &str) -> Option<bool> {
        self.known.iter().find(|known| known.who.id == id)?.recorded
    }

    /// The cgroup of a process that lives and lived at that time already: a pid is given again.
    fn cgroup_of(&self, pid: i32, time: u64) -> Option<PathBuf> {
        // One that has ended, and one that cannot be read, is asked by its other signs.
        let stat = procfs::stat(&self.proc, pid).ok().flatten()?;
        if started(&self.proc, stat.start_time)? > time + 1000 {
            return None;
        }
        let text = procfs::read(&self.proc, &format!("{pid}/cgroup")).ok()?;
        let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
        Some(PathBuf::from(path))
    }
}

fn has(range: &IdMapping, uid: u32) -> bool {
    let first = range.host_id.0;
    let last = first.saturating_add(range.size.saturating_sub(1));
    first >= OF_CONTAINERS && (first..=last).contains(&uid)
}

/// When a process started, in milliseconds since the epoch, by what /proc/PID/stat says in ticks of 10 ms since the start of the
/// machine (proc_pid_stat(5)).
fn started(proc: &OwnedFd, ticks: u64) -> Option<u64> {
    let text = procfs::read(proc, "stat").ok()?;
    let boot =
        text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse::<u64>().ok()?;
    boot.checked_mul(1000)?.checked_add(ticks.checked_mul(10)?)
}

/// Looks at all containers of this host.
///
/// # Errors
/// /proc is not there.
pub fn of_this_host(global: &Global) -> Result<Containers> {
    let roots =
        if global.root_is_explicit { vec![global.root.clone()] } else { everywhere(global) };
    let mut containers =
        Containers { known: Vec::new(), proc: procfs::open()?, problems: Vec::new() };
    let census = census::take(&roots);
    containers.problems.extend(census.problems);
    for member in census.members.iter().filter(|member| member.foreign.is_none()) {
        match of_member(member) {
            Ok(known) => containers.known.extend(known),
            Err(error) => containers.problems.push(format!("{}: {error:#}", member.dir.display())),
        }
    }
    for root in roots.iter().filter(|root| root.exists()) {
        match of_past(root) {
            Ok(known) => containers.known.extend(known),
            Err(error) => containers.problems.push(format!("{}: {error:#}", root.display())),
        }
    }
    Ok(containers)
}

fn of_member(member: &Member) -> Result<Option<Known>> {
    let state = StateRoot::open(&member.root)?.container(&ContainerId::parse(&member.id)?)?;
    // Only being made, or gone meanwhile.
    let Some(record) = state.load()? else { return Ok(None) };
    let process = record.spec.process.as_ref();
    Ok(Some(Known {
        who: who(&member.id, &record.bundle, &record.spec, false)?,
        uids: record.uid_mappings.clone(),
        cgroup: record.cgroup.as_ref().and_then(|cgroup| below_the_root(&cgroup.path)),
        label: process.and_then(|process| {
            process.selinux_label.clone().or_else(|| process.apparmor_profile.clone())
        }),
        lived: (millis(&record.created)?, u64::MAX),
        recorded: Some(record.spec.extras().record_denials),
    }))
}

fn of_past(root: &Path) -> Result<Vec<Known>> {
    let mut found = Vec::new();
    for id in past::ids(root)? {
        // Forgotten meanwhile.
        let Some(past) = past::read(root, &id)? else { continue };
        found.push(Known {
            who: who(&past.id, &past.bundle, &past.naming, true)?,
            uids: past.naming.linux.uid_mappings.clone(),
            cgroup: None,
            label: None,
            lived: (millis(&past.created)?, millis(&past.ended)?),
            recorded: None,
        });
    }
    Ok(found)
}

fn who(id: &str, bundle: &Path, spec: &Spec, gone: bool) -> Result<Candidate> {
    let called = match names::of(id, bundle, spec) {
        // The files of its engine may have gone with it.
        Err(_) if gone => names::Called::default(),
        other => other?,
    };
    Ok(Candidate {
        id: id.to_owned(),
        engine: called.engine,
        name: called.name().map(ToOwned::to_owned),
        gone,
    })
}

/// A cgroup's directory, as /proc/PID/cgroup names it.
fn below_the_root(path: &Path) -> Option<PathBuf> {
    let inside = CGROUPS.iter().find_map(|root| path.strip_prefix(root).ok())?;
    (inside != Path::new("")).then(|| Path::new("/").join(inside))
}

fn millis(time: &str) -> Result<u64> {
    let time = humantime::parse_rfc3339_weak(time)?;
    let since = time.duration_since(std::time::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_millis())?)
}
