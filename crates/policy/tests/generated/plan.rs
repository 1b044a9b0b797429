//! What the kernel would show of a hardened configuration once it is made: the floor's view of the plan. It is built from
//! the configuration and the host alone, and asks no control.

use crate::host::{escaped, join, rest_of, Host};
use casemate_kernel::id_map::IdRange;
use casemate_kernel::mountinfo::Mount;
use casemate_kernel::status::Status;
use casemate_kernel::{HostId, InnerId};
use casemate_policy::floor::{Namespace, Part};
use casemate_policy::mount_options::{attr, Depth, MountPlanFlags};
use casemate_policy::spec::{IdMapping, Mount as Asked, NamespaceKind, Process, Propagation};
use casemate_policy::{HardenedSpec, HostFacts};
use std::collections::BTreeMap;

/// Numbers of file systems that only the container has.
const OWN: u64 = 1000;

pub(crate) struct Table<'a> {
    host: &'a Host,
    spec: &'a HardenedSpec,
    facts: &'a HostFacts,
    lines: Vec<Line>,
}

/// One mount of the container.
struct Line {
    parent: usize,
    superblock: String,
    root: String,
    point: String,
    restrict: u64,
    shared: Option<u64>,
    fstype: String,
    data: String,
}

/// The text of the container's mountinfo; `None`: there is a mount that the kernel does not make, and so no container.
pub(crate) fn mountinfo(host: &Host, spec: &HardenedSpec, facts: &HostFacts) -> Option<String> {
    let mut table = Table { host, spec, facts, lines: Vec::new() };
    table.root();
    for mount in &spec.mounts {
        table.mount(mount)?;
    }
    for path in &spec.linux.masked_paths {
        table.mask(path);
    }
    for path in &spec.linux.readonly_paths {
        table.protect(path);
    }
    Some(table.lines.iter().enumerate().map(|(index, line)| line.text(index)).collect())
}

fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

impl Line {
    fn text(&self, index: usize) -> String {
        let flags = [
            (attr::NOSUID, "nosuid"),
            (attr::NODEV, "nodev"),
            (attr::NOEXEC, "noexec"),
            (attr::NOSYMFOLLOW, "nosymfollow"),
        ];
        let mut options = if self.restrict & attr::RDONLY != 0 { "ro" } else { "rw" }.to_owned();
        for (_, name) in flags.iter().filter(|(bit, _)| self.restrict & bit != 0) {
            options.push(',');
            options.push_str(name);
        }
        let shared = self.shared.map(|group| format!(" shared:{group}")).unwrap_or_default();
        format!(
            "{} {} {} {} {} {options}{shared} - {} none rw{}\n",
            500 + index,
            if index == 0 { 499 } else { 500 + self.parent },
            self.superblock,
            escaped(&self.root),
            escaped(&self.point),
            self.fstype,
            escaped(&self.data),
        )
    }
}

impl Table<'_> {
    /// The line of the mount on which a path lies: each was seen at its place when it was made, and hid what was there.
    fn on(&self, path: &str) -> usize {
        self.lines.iter().rposition(|line| rest_of(path, &line.point).is_some()).unwrap_or(0)
    }

    fn add(&mut self, mut line: Line) {
        line.parent = self.on(&line.point);
        self.lines.push(line);
    }

    fn own(&self) -> String {
        format!("0:{}", OWN + self.lines.len() as u64)
    }

    fn of_host(mount: &Mount<'_>) -> String {
        format!("{}:{}", mount.superblock.major, mount.superblock.minor)
    }

    fn root(&mut self) {
        let readonly = if self.spec.root.readonly { attr::RDONLY } else { 0 };
        let found = self.host.find(&self.spec.root.path).unwrap();
        let shared = match self.spec.linux.rootfs_propagation {
            Some(Propagation::Shared | Propagation::Rshared) => found.mount.shared,
            _ => None,
        };
        self.lines.push(Line {
            parent: 0,
            superblock: Self::of_host(found.mount),
            root: found.inside.clone(),
            point: "/".to_owned(),
            restrict: readonly,
            shared,
            fstype: found.mount.fstype.to_owned(),
            data: String::new(),
        });
    }

    fn mount(&mut self, asked: &Asked) -> Option<()> {
        let flags = MountPlanFlags::parse(&asked.options).unwrap();
        let point = clean(&asked.destination);
        if flags.bind.is_some() {
            return self.bind(asked, &flags, &point);
        }
        if flags.remount {
            let at = self.on(&point);
            let line = self.lines.get_mut(at).filter(|line| line.point == point)?;
            line.restrict = changed(line.restrict, &flags, true);
            return Some(());
        }
        let kind = asked.kind.clone().unwrap_or_default();
        let kind = if kind == "cgroup" { "cgroup2".to_owned() } else { kind };
        if !self.kernel_mounts(&kind) {
            return None;
        }
        let layers = flags.data.iter().filter(|_| kind == "overlay").map(|option| {
            let value = option.value.clone().unwrap_or_default();
            format!(",{}={value}", option.key)
        });
        let subset = flags.data.iter().filter(|o| kind == "proc" && o.key == "subset");
        let data = layers.collect::<String>() + if subset.count() > 0 { ",subset=pid" } else { "" };
        let line = Line {
            parent: 0,
            superblock: self.new_superblock(&kind),
            root: self.top(&kind).to_owned(),
            point,
            restrict: changed(0, &flags, true),
            shared: None,
            fstype: kind,
            data,
        };
        self.add(line);
        Some(())
    }

    /// The kernel has the type, and lets this caller mount it (FS_USERNS_MOUNT).
    fn kernel_mounts(&self, kind: &str) -> bool {
        // FUSE needs an open descriptor, which no runtime hands in.
        const OF_ALL: [&str; 8] =
            ["cgroup2", "devpts", "mqueue", "overlay", "proc", "ramfs", "sysfs", "tmpfs"];
        const OF_NONE: [&str; 6] = ["", "none", "bind", "nosuchfs", "Proc", "proc.x"];
        let ordinary = self.facts.euid != 0 || !self.facts.in_initial_userns;
        !OF_NONE.contains(&kind) && (!ordinary || OF_ALL.contains(&kind))
    }

    /// Where the host sees that it begins: the cgroup file system with the root of the namespace in which it was mounted.
    fn top(&self, kind: &str) -> &'static str {
        let hosts = is_hosts(self.spec, self.facts, NamespaceKind::Cgroup);
        match kind {
            "cgroup2" if !hosts => "/a/b",
            _ => "/",
        }
    }

    /// A file system that there is only one of is the host's where the namespace that it belongs to is.
    fn new_superblock(&self, kind: &str) -> String {
        let of = |name: &str| {
            let mount = self.host.mounts.iter().find(|mount| mount.fstype == name);
            mount.map(Self::of_host)
        };
        let hosts = |kind| is_hosts(self.spec, self.facts, kind);
        let single = match kind {
            "proc" => hosts(NamespaceKind::Pid),
            "mqueue" => hosts(NamespaceKind::Ipc),
            "sysfs" => hosts(NamespaceKind::Network),
            "tmpfs" | "ramfs" | "overlay" | "devpts" | "hugetlbfs" => false,
            // On a device of the container's own: the host's root, mounted once more, is the floor's alone to find.
            "btrfs" | "ext4" | "nfs4" => false,
            _ => true,
        };
        single.then(|| of(kind)).flatten().unwrap_or_else(|| self.own())
    }

    fn bind(&mut self, asked: &Asked, flags: &MountPlanFlags, point: &str) -> Option<()> {
        let source = asked.source.clone().unwrap_or_default();
        let found = self.host.find(&source)?;
        let keeps = flags.propagation.last().map(|propagation| match propagation {
            Propagation::Shared => (true, false),
            Propagation::Rshared => (true, true),
            _ => (false, false),
        });
        let (one, all) = keeps.unwrap_or_default();
        let line = |root: String, point: String, mount: &Mount<'_>, first: bool| Line {
            parent: 0,
            superblock: Self::of_host(mount),
            root,
            point,
            restrict: changed(mount.restrictions(), flags, first),
            shared: mount.shared.filter(|_| if first { one } else { all }),
            fstype: mount.fstype.to_owned(),
            data: String::new(),
        };
        let first = line(found.inside.clone(), point.to_owned(), found.mount, true);
        self.add(first);
        if flags.bind != Some(Depth::Recursive) {
            return Some(());
        }
        let below: Vec<Mount<'static>> = self.host.below(&found.path).copied().collect();
        // What is a namespace's name is left out of containers by the runtime.
        for mount in below.iter().filter(|mount| mount.fstype != "nsfs" || self.spec.is_verbatim())
        {
            let at = String::from_utf8_lossy(mount.point).into_owned();
            let rest = rest_of(&at, &found.path).unwrap_or_default();
            let root = String::from_utf8_lossy(mount.root).into_owned();
            self.add(line(root, format!("{point}{rest}"), mount, false));
        }
        Some(())
    }

    fn mask(&mut self, path: &str) {
        if path.contains('*') {
            return;
        }
        let line = Line {
            parent: 0,
            superblock: self.own(),
            root: "/".to_owned(),
            point: clean(path),
            restrict: attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC,
            shared: None,
            fstype: "tmpfs".to_owned(),
            data: String::new(),
        };
        self.add(line);
    }

    fn protect(&mut self, path: &str) {
        let point = clean(path);
        let below = &self.lines[self.on(&point)];
        let rest = rest_of(&point, &below.point).unwrap_or_default();
        if !rest.is_empty() && below.root.starts_with("/dev/null")
            || below.root == "/null" && !rest.is_empty()
        {
            // Below a file there is nothing.
            return;
        }
        let line = Line {
            parent: 0,
            superblock: below.superblock.clone(),
            root: join(&below.root, rest),
            point,
            restrict: below.restrict | attr::RDONLY,
            shared: None,
            fstype: below.fstype.clone(),
            data: below.data.clone(),
        };
        self.add(line);
    }
}

fn changed(before: u64, flags: &MountPlanFlags, first: bool) -> u64 {
    let all = flags.recursive_attrs;
    let restrict = before & !all.clear | all.set;
    match first {
        true => restrict & !flags.attrs.clear | flags.attrs.set,
        false => restrict,
    }
}

pub(crate) fn is_hosts(spec: &HardenedSpec, facts: &HostFacts, kind: NamespaceKind) -> bool {
    match spec.linux.namespaces.iter().find(|namespace| namespace.kind == kind) {
        None if kind == NamespaceKind::User => spec.extras().auto_userns.is_none(),
        None => true,
        Some(namespace) => namespace.path.is_some() && facts.host_namespaces.contains(&kind),
    }
}

pub(crate) fn namespaces(spec: &HardenedSpec, facts: &HostFacts) -> BTreeMap<Namespace, bool> {
    let kinds = [
        (Namespace::Mount, NamespaceKind::Mount),
        (Namespace::Network, NamespaceKind::Network),
        (Namespace::Pid, NamespaceKind::Pid),
        (Namespace::Ipc, NamespaceKind::Ipc),
        (Namespace::Uts, NamespaceKind::Uts),
        (Namespace::Cgroup, NamespaceKind::Cgroup),
        (Namespace::User, NamespaceKind::User),
    ];
    kinds.into_iter().map(|(seen, kind)| (seen, is_hosts(spec, facts, kind))).collect()
}

pub(crate) fn ids(spec: &HardenedSpec, map: &[IdMapping]) -> Part<Vec<IdRange>> {
    let user = spec.linux.namespaces.iter().find(|n| n.kind == NamespaceKind::User);
    let range =
        |m: &IdMapping| IdRange { inside: m.container_id, outside: m.host_id, count: m.size };
    match user {
        // Maps that are given too are those of the namespace, or it is not joined.
        Some(namespace) if namespace.path.is_some() && map.is_empty() => Part::NotLooked,
        Some(_) => Part::Seen(map.iter().map(range).collect()),
        None if spec.extras().auto_userns.is_some() => {
            Part::Seen(vec![IdRange { inside: InnerId(0), outside: HostId(655_360), count: 65536 }])
        }
        None => Part::Seen(Vec::new()),
    }
}

pub(crate) fn status(spec: &HardenedSpec) -> Part<Status> {
    spec.process.as_ref().map_or(Part::NotLooked, |process| status_of(spec, process))
}

/// Of a process in this container.
pub(crate) fn status_of(spec: &HardenedSpec, process: &Process) -> Part<Status> {
    let mut status = Status { no_new_privs: process.no_new_privileges, ..Status::default() };
    if let Some(sets) = &process.capabilities {
        status.bounding = sets.bounding.mask;
        status.permitted = sets.permitted.mask;
        status.effective = sets.effective.mask;
        status.inheritable = sets.inheritable.mask;
        status.ambient = sets.ambient.mask;
    }
    let outside = |map: &Part<Vec<IdRange>>, id: u32| match map {
        Part::Seen(map) if map.is_empty() => id,
        Part::Seen(map) => {
            let host = map.iter().find_map(|range| range.to_host(InnerId(id)));
            host.map_or(u32::MAX, |host| host.0)
        }
        _ => id,
    };
    let (uids, gids) = (ids(spec, &spec.linux.uid_mappings), ids(spec, &spec.linux.gid_mappings));
    status.uid = [outside(&uids, process.user.uid); 4];
    status.gid = [outside(&gids, process.user.gid); 4];
    status.groups = process.user.additional_gids.iter().map(|id| outside(&gids, *id)).collect();
    Part::Seen(status)
}

/// Filters that would be loaded, and how many are the configuration's own.
pub(crate) fn filters(spec: &HardenedSpec) -> Part<(u32, u32)> {
    let own = u32::from(spec.linux.seccomp.as_ref().is_some_and(|filter| !filter.is_empty()));
    Part::Seen((own + u32::from(spec.extras().default_seccomp), own))
}

/// True when what the kernel is asked to let pass is a list: some devices that no list has are refused.
pub(crate) fn lists_devices(spec: &HardenedSpec) -> bool {
    use casemate_policy::spec::DeviceRuleKind::{All, Block, Char};
    let rules = spec.linux.resources.as_ref().map_or(&[][..], |resources| &resources.devices);
    [(Block, 4001, 1), (Char, 4002, 2), (Char, 4003, 3)].into_iter().any(|(kind, major, minor)| {
        let same = |given: Option<i64>, number: i64| given.is_none_or(|n| n == -1 || n == number);
        let last = rules.iter().rev().find(|rule| {
            rule.kind.is_none_or(|k| k == All || k == kind)
                && same(rule.major, major)
                && same(rule.minor, minor)
                && rule.access.contains('w')
        });
        !last.is_some_and(|rule| rule.allow)
    })
}
