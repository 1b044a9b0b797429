//! What the floor is told of one container, and of the host beneath it.

use casemate_kernel::id_map::IdRange;
use casemate_kernel::mountinfo::Mount;
use casemate_kernel::status::Status;
use casemate_kernel::Fact;
use std::collections::BTreeMap;

/// One part of what can be seen. That nobody looked is said; it is never the same as "nothing there".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Part<T> {
    /// Cannot be known at that moment, or not from there.
    #[default]
    NotLooked,
    /// Somebody looked and could not read it: the operation and the error.
    Unreadable(String),
    /// This is it.
    Seen(T),
}

impl<T> Part<T> {
    /// From a reader.
    pub fn of<E: std::fmt::Display>(read: Result<T, E>) -> Self {
        match read {
            Ok(seen) => Self::Seen(seen),
            Err(error) => Self::Unreadable(error.to_string()),
        }
    }
}

/// The kinds of namespaces that a container must not share with the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespace {
    /// Mounts.
    Mount,
    /// Network.
    Network,
    /// Processes.
    Pid,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host name.
    Uts,
    /// Control groups.
    Cgroup,
    /// Ids and capabilities.
    User,
}

/// A resource limit; `u64::MAX` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What holds.
    pub soft: u64,
    /// How far it can be raised.
    pub hard: u64,
}

/// Who makes the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// Has CAP_SYS_ADMIN in the initial user namespace: could map any id of the host.
    pub privileged: bool,
    /// Effective user id.
    pub euid: u32,
}

/// The host, or whatever the runtime itself runs in.
#[derive(Clone, Debug, Default)]
pub struct Host<'t> {
    /// Its mounts.
    pub mounts: Vec<Mount<'t>>,
    /// Directories of engines that are not at their usual place, and the runtime's own.
    pub own_places: Vec<String>,
    /// The runtime's own program.
    pub program: Option<String>,
    /// Places for data that the node's policy names.
    pub data: Vec<String>,
}

/// One container.
pub struct Observed<'t> {
    /// Its mounts, as the host sees them.
    pub mounts: Part<Vec<Mount<'t>>>,
    /// The host's mounts.
    pub host: Part<Host<'t>>,
    /// Whether this kernel has a file of procfs or sysfs.
    pub kernel_has: &'t dyn Fn(&str) -> Fact,
    /// Its first process; of `exec`, the one that is added.
    pub status: Part<Status>,
    /// User ids, as the host sees them; empty: no user namespace of its own.
    pub uid_map: Part<Vec<IdRange>>,
    /// Group ids.
    pub gid_map: Part<Vec<IdRange>>,
    /// Which of its namespaces are the host's.
    pub namespaces: Part<BTreeMap<Namespace, bool>>,
    /// How many system call filters are loaded, and how many the configuration itself has.
    pub filters: Part<(u32, u32)>,
    /// RLIMIT_CORE, bytes.
    pub core_limit: Part<Limit>,
    /// kernel.core_pattern of the host.
    pub core_pattern: Part<String>,
    /// user.max_user_namespaces of the container's user namespace.
    pub max_user_namespaces: Part<u64>,
    /// /proc/PID/oom_score_adj.
    pub oom_score_adj: Part<i32>,
    /// Something decides which devices may be used, and lets pass only what is listed.
    pub devices_listed: Part<bool>,
    /// Who made it.
    pub caller: Caller,
    /// Why the ids of a user namespace could not be given to the container's files, as the runtime has found by trying.
    pub unmappable: Option<String>,
}

impl Observed<'_> {
    /// Nothing was looked at.
    #[must_use]
    pub fn nothing(caller: Caller) -> Self {
        Self {
            mounts: Part::NotLooked,
            host: Part::NotLooked,
            kernel_has: &|_| Fact::Yes,
            status: Part::NotLooked,
            uid_map: Part::NotLooked,
            gid_map: Part::NotLooked,
            namespaces: Part::NotLooked,
            filters: Part::NotLooked,
            core_limit: Part::NotLooked,
            core_pattern: Part::NotLooked,
            max_user_namespaces: Part::NotLooked,
            oom_score_adj: Part::NotLooked,
            devices_listed: Part::NotLooked,
            caller,
            unmappable: None,
        }
    }

    /// True when the container has a user namespace that is not the host's; `None`: nobody looked.
    pub(super) fn has_own_users(&self) -> Option<bool> {
        match &self.namespaces {
            Part::Seen(namespaces) => namespaces.get(&Namespace::User).map(|hosts| !hosts),
            _ => None,
        }
    }
}

impl std::fmt::Debug for Observed<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Observed").field("status", &self.status).finish_non_exhaustive()
    }
}
