//! What the floor is told of a hardened configuration: the names that it may know, and what the kernel would show of the
//! container if it did all that is planned.

mod facts;
mod table;

pub use facts::PlanFacts;

use crate::control::{ControlId, Mode, CONTROLS};
use crate::floor::{self, Host, Limit, Namespace, Observed, Part, Phase, Violation};
use crate::hardened::HardenedSpec;
use crate::spec::{DeviceRule, DeviceRuleKind, IdMapping, NamespaceKind, Process, RlimitKind};
use casemate_kernel::id_map::IdRange;
use casemate_kernel::status::Status;
use casemate_kernel::{mountinfo, Fact, InnerId, ParseError};
use std::collections::{BTreeMap, BTreeSet};

/// Overrides of file systems that only the floor knows by these names.
const MOUNT_TYPES: [&str; 3] = ["mounts.block", "mounts.network", "mounts.fuse"];

impl HardenedSpec {
    /// The names of overrides that the [`floor`](crate::floor) is to know of: those that were granted, and all of a control
    /// that the node's policy has switched off or to warnings.
    #[must_use]
    pub fn names_for_floor(&self) -> BTreeSet<String> {
        let overrides = self.overrides();
        let mut names: BTreeSet<String> = overrides.granted.keys().cloned().collect();
        let loosened =
            |id: ControlId| overrides.modes.contains_key(&id) && self.mode(id) != Mode::Enforce;
        for control in CONTROLS.iter().filter(|control| loosened(control.id)) {
            names.extend(control.allow.iter().map(|name| (*name).to_owned()));
            if control.id == ControlId::MountSources {
                names.extend(MOUNT_TYPES.map(str::to_owned));
            }
        }
        names
    }

    /// What the node's policy calls data. Without links: the floor compares with what the kernel shows.
    #[must_use]
    pub fn places_for_data(&self) -> Vec<String> {
        self.overrides().values.paths_data.clone().unwrap_or_default()
    }

    /// What of the plan is below the floor of its profile.
    ///
    /// # Errors
    /// A mountinfo of the host that cannot be read.
    pub fn below_floor(&self, facts: &PlanFacts<'_>) -> Result<Vec<Violation>, ParseError> {
        let host = mountinfo::parse(facts.host)?;
        let planned = table::of(self, facts, &host);
        let own_users =
            self.namespace(NamespaceKind::User).is_some() || self.extras().auto_userns.is_some();
        let process = self.process.as_ref();
        let own_filter = self.linux.seccomp.as_ref().is_some_and(|profile| !profile.is_empty());
        let default = u32::from(self.extras().default_seccomp);
        let observed = Observed {
            mounts: Part::Seen(planned.iter().map(table::Line::mount).collect()),
            host: Part::Seen(Host {
                mounts: host,
                own_places: facts.own_places.to_vec(),
                program: None,
                data: self.places_for_data(),
            }),
            kernel_has: &|_| Fact::Yes,
            status: process.map_or(Part::NotLooked, |process| Part::Seen(self.status(process))),
            uid_map: Part::Seen(self.linux.uid_mappings.iter().map(IdRange::from).collect()),
            gid_map: Part::Seen(self.linux.gid_mappings.iter().map(IdRange::from).collect()),
            namespaces: Part::Seen(self.shared(facts.host_namespaces, own_users)),
            filters: Part::Seen((default + u32::from(own_filter), u32::from(own_filter))),
            core_limit: process.map_or(Part::NotLooked, |process| Part::Seen(core(process))),
            max_user_namespaces: self.nested(),
            oom_score_adj: process
                .and_then(|process| process.oom_score_adj)
                .map_or(Part::NotLooked, Part::Seen),
            devices_listed: Part::Seen(self.lists_devices()),
            ..Observed::nothing(facts.caller)
        };
        Ok(floor::check(self.profile(), &self.names_for_floor(), Phase::Plan, &observed))
    }

    /// Ids are the host's where the maps are known.
    fn status(&self, process: &Process) -> Status {
        let id = |map: &[IdMapping], id: u32| {
            let host = map.iter().find_map(|range| range.to_host(InnerId(id)));
            // Nobody's: a process with an id that is not mapped cannot be started.
            let unmapped = if map.is_empty() { id } else { u32::MAX };
            host.map_or(unmapped, |host| host.0)
        };
        let mut status = Status {
            uid: [id(&self.linux.uid_mappings, process.user.uid); 4],
            gid: [id(&self.linux.gid_mappings, process.user.gid); 4],
            no_new_privs: process.no_new_privileges,
            ..Status::default()
        };
        if let Some(sets) = &process.capabilities {
            status.bounding = sets.bounding.mask;
            status.permitted = sets.permitted.mask;
            status.effective = sets.effective.mask;
            status.inheritable = sets.inheritable.mask;
            status.ambient = sets.ambient.mask;
        }
        status
    }

    fn shared(&self, hosts: &[NamespaceKind], own_users: bool) -> BTreeMap<Namespace, bool> {
        let is_hosts = |kind: NamespaceKind| match self.namespace(kind) {
            None => true,
            Some(namespace) => namespace.path.is_some() && hosts.contains(&kind),
        };
        // Whoever is in one that is joined gets the container's mounts.
        let joins_mounts =
            self.namespace(NamespaceKind::Mount).is_none_or(|namespace| namespace.path.is_some());
        BTreeMap::from([
            (Namespace::Mount, joins_mounts),
            (Namespace::Network, is_hosts(NamespaceKind::Network)),
            (Namespace::Pid, is_hosts(NamespaceKind::Pid)),
            (Namespace::Ipc, is_hosts(NamespaceKind::Ipc)),
            (Namespace::Uts, is_hosts(NamespaceKind::Uts)),
            (Namespace::Cgroup, is_hosts(NamespaceKind::Cgroup)),
            (Namespace::User, !own_users),
        ])
    }

    /// How many user namespaces can be made below one that is made for the container.
    fn nested(&self) -> Part<u64> {
        let made = self.namespace(NamespaceKind::User).is_some_and(|own| own.path.is_none())
            || self.extras().auto_userns.is_some();
        match (made, self.extras().no_nested_userns) {
            (true, true) => Part::Seen(0),
            (true, false) => Part::Seen(u64::MAX),
            (false, _) => Part::NotLooked,
        }
    }

    /// The first rule denies everything, and no later one allows a whole class.
    fn lists_devices(&self) -> bool {
        let rules = self.linux.resources.as_ref().map(|resources| resources.devices.as_slice());
        let Some((first, rest)) = rules.and_then(<[DeviceRule]>::split_first) else {
            return false;
        };
        let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
        let all = |rule: &DeviceRule| {
            matches!(rule.kind, None | Some(DeviceRuleKind::All))
                && any(rule.major)
                && any(rule.minor)
        };
        !first.allow && all(first) && !rest.iter().any(|rule| rule.allow && all(rule))
    }
}

fn core(process: &Process) -> Limit {
    let own = process.rlimits.iter().find(|limit| limit.kind == RlimitKind::Core);
    own.map_or(Limit { soft: u64::MAX, hard: u64::MAX }, |limit| Limit {
        soft: limit.soft,
        hard: limit.hard,
    })
}
