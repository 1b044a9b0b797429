//! What the floor is asked about a process that runs: the kernel's texts as they were read.

use super::place::Place;
use casemate_kernel::id_map::IdRange;
use casemate_kernel::mountinfo;
use casemate_kernel::status::Status;
use casemate_kernel::Fact;
use casemate_policy::floor::{
    self, Caller, Host, Limit, Namespace, Observed, Part, Phase, Violation,
};
use casemate_policy::spec::{IdMapping, NamespaceKind};
use casemate_policy::ProfileName;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};

/// Texts and numbers of one moment.
#[derive(Clone, Debug)]
pub struct Evidence {
    pub(super) mounts: Vec<u8>,
    pub(super) host: Vec<u8>,
    pub(super) status: Status,
    pub(super) uid_map: Vec<IdMapping>,
    pub(super) gid_map: Vec<IdMapping>,
    pub(super) namespaces: BTreeMap<NamespaceKind, Place>,
    /// RLIMIT_CORE, hard; `None`: could not be read.
    pub(super) core_limit: Option<u64>,
    pub(super) oom_score_adj: Part<i32>,
    /// `None`: cannot be seen by this user.
    pub(super) device_programs: Option<usize>,
    /// What only the record of a container tells.
    pub maker: Maker,
}

/// What the record tells, or what is assumed without one.
#[derive(Clone, Debug)]
pub struct Maker {
    /// Made by root of the host.
    pub privileged: bool,
    /// Its effective user id.
    pub euid: u32,
    /// Filters that the configuration has itself; `None`: they are not loaded yet.
    pub own_filters: Option<u32>,
    /// Why there is no user namespace, if that was decided.
    pub unmappable: Option<String>,
    /// The runtime's own directories.
    pub places: Vec<String>,
    /// Its own program.
    pub program: Option<String>,
    /// Places for data that the node's policy named when the container was made.
    pub data: Vec<String>,
    /// Names of overrides that the container has.
    pub granted: BTreeSet<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// What must not be.
    pub violations: Vec<Violation>,
    /// Mounts that may have come from the host since: where, of which type.
    pub propagated: Vec<(String, String)>,
}

impl Evidence {
    /// Whether this is above the floor of a profile. `granted`: names of overrides.
    #[must_use]
    pub fn ask(&self, profile: ProfileName, granted: &BTreeSet<String>) -> Answer {
        let namespaces = self
            .namespaces
            .iter()
            .filter_map(|(kind, place)| Some((namespace(*kind)?, *place == Place::Host)));
        let no_limit = || Part::Unreadable("/proc/PID/limits has no such line".to_owned());
        let limit = |hard| Limit { soft: hard, hard };
        let observed = Observed {
            mounts: Part::of(mountinfo::parse(&self.mounts)),
            host: Part::of(mountinfo::parse(&self.host).map(|mounts| Host {
                mounts,
                own_places: self.maker.places.clone(),
                program: self.maker.program.clone(),
                data: self.maker.data.clone(),
            })),
            kernel_has: &kernel_has,
            status: Part::Seen(self.status.clone()),
            uid_map: Part::Seen(self.uid_map.iter().map(IdRange::from).collect()),
            gid_map: Part::Seen(self.gid_map.iter().map(IdRange::from).collect()),
            namespaces: Part::Seen(namespaces.collect()),
            filters: self.filters(),
            core_limit: self.core_limit.map_or_else(no_limit, |hard| Part::Seen(limit(hard))),
            oom_score_adj: self.oom_score_adj.clone(),
            devices_listed: match self.device_programs {
                Some(programs) => Part::Seen(programs > 0),
                None => Part::NotLooked,
            },
            unmappable: self.maker.unmappable.clone(),
            ..Observed::nothing(Caller { privileged: self.maker.privileged, euid: self.maker.euid })
        };
        Answer {
            violations: floor::check(profile, granted, Phase::AfterExec, &observed),
            propagated: floor::propagated(&observed),
        }
    }

    fn filters(&self) -> Part<(u32, u32)> {
        let Some(own) = self.maker.own_filters else { return Part::NotLooked };
        match (self.status.seccomp_mode, self.status.seccomp_filters) {
            (0, _) => Part::Seen((0, own)),
            (_, Some(loaded)) => Part::Seen((loaded, own)),
            // Before Linux 5.9 the kernel does not count them.
            (_, None) => Part::NotLooked,
        }
    }
}

fn namespace(kind: NamespaceKind) -> Option<Namespace> {
    Some(match kind {
        NamespaceKind::Mount => Namespace::Mount,
        NamespaceKind::Network => Namespace::Network,
        NamespaceKind::Pid => Namespace::Pid,
        NamespaceKind::Ipc => Namespace::Ipc,
        NamespaceKind::Uts => Namespace::Uts,
        NamespaceKind::Cgroup => Namespace::Cgroup,
        NamespaceKind::User => Namespace::User,
        NamespaceKind::Time => return None,
    })
}

fn kernel_has(path: &str) -> Fact {
    match rustix::fs::lstat(path) {
        Ok(_) => Fact::Yes,
        Err(Errno::NOENT | Errno::NOTDIR) => Fact::No,
        Err(error) => Fact::Unreadable(format!("stat({path}): {error}")),
    }
}
