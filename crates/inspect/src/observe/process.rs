//! What the kernel says about a process now: /proc/PID and its cgroup. Nothing of the process's own files is opened:
//! it may be hostile.

use super::evidence::{Evidence, Maker};
use super::mountinfo::{self, Line};
use super::{cgroup, Capabilities, Mount, Observation, Origin, Place, Unread};
use anyhow::{Context as _, Result};
use casemate_kernel::status::Status as KernelStatus;
use casemate_kernel::HostId;
use casemate_policy::floor::Part;
use casemate_policy::spec::{IdMapping, NamespaceKind};
use casemate_runtime::caller::{apparmor, selinux};
use casemate_runtime::hinted::hinted;
use casemate_runtime::procfs;
use casemate_sys::ns;
use casemate_sys::Context as _;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// How many descriptors of a process are looked at.
const MOST_DESCRIPTORS: usize = 4096;

/// Everything about one process.
///
/// # Errors
/// No such process; one that may not be looked at (another user's).
pub fn observe(proc: &OwnedFd, pid: i32, paths: &BTreeSet<String>) -> Result<Observation> {
    let (seen, status) = read_status(proc, pid)?;
    let uid_map = id_map(proc, pid, "uid_map")?;
    let gid_map = id_map(proc, pid, "gid_map")?;
    let tables = (procfs::read_bytes(proc, &format!("{pid}/mountinfo"))?, host_mounts(proc)?);
    let (lines, host) = (mountinfo::parse(&tables.0)?, mountinfo::parse(&tables.1)?);
    let namespaces = namespaces(proc, pid)?;
    let mut told = Told::default();
    let limits = unless_ended(procfs::read(proc, &format!("{pid}/limits")));
    let limits = told.or_default("rlimits", &["rlimits.core", "rlimits.defaults"], limits);
    let mounts = mounts(&lines, &host);
    let root = lines.iter().rev().find(|line| line.point == "/");
    let core_limit = hard_limit(&limits, "Max core file size");
    let oom_score_adj = oom_score_adj(proc, pid);
    let cgroup = cgroup::limits(&procfs::read(proc, &format!("{pid}/cgroup"))?);
    let cgroup = told.or_default("process.cgroup", BY_CGROUP, cgroup.map_err(Shown));
    let apparmor = label_of(apparmor(), || label(proc, pid, "apparmor/current"));
    let selinux = label_of(selinux(), || label(proc, pid, "current"));
    let escapes = unless_ended(descriptors(proc, pid, &lines));
    let inside = |map: &[IdMapping], id: u32| to_inside(map, id);
    let is_host = |map: &[IdMapping]| matches!(map, [one] if one.size == u32::MAX);
    let maker = Maker {
        // Of a container of somebody else's: whoever has a user namespace may have had no other ids to give.
        privileged: namespaces.get(&NamespaceKind::User) != Some(&Place::Private),
        euid: 0,
        own_filters: Some(0),
        unmappable: None,
        places: Vec::new(),
        program: None,
        data: Vec::new(),
        granted: BTreeSet::new(),
    };
    let evidence = Evidence {
        mounts: tables.0,
        host: tables.1,
        status: seen,
        uid_map: uid_map.clone(),
        gid_map: gid_map.clone(),
        namespaces: namespaces.clone(),
        core_limit,
        oom_score_adj: oom_score_adj.clone(),
        device_programs: cgroup.and_then(|limits| limits.device_programs),
        maker,
    };
    Ok(Observation {
        origin: Origin::Kernel,
        evidence: Some(Box::new(evidence)),
        uid: inside(&uid_map, status.uid),
        gid: inside(&gid_map, status.gid),
        groups: status.groups.iter().map(|group| inside(&gid_map, *group)).collect(),
        capabilities: status.capabilities,
        no_new_privileges: status.no_new_privileges,
        filters: status.filters,
        namespaces,
        uid_map: if is_host(&uid_map) { Vec::new() } else { uid_map },
        root_readonly: root
            .is_some_and(|line| line.options.contains("ro") || line.super_options.contains("ro")),
        root_shared: root.is_some_and(|line| reaches(line, &host)),
        masked: Vec::new(),
        readonly: Vec::new(),
        present: paths.clone(),
        apparmor: told.or_default("apparmor.profile", &["mac.any"], apparmor.map_err(Shown)),
        selinux: told.or_default("selinux.label", &["mac.any"], selinux.map_err(Shown)),
        core_limit,
        open_files: hard_limit(&limits, "Max open files"),
        oom_score_adj: match oom_score_adj {
            Part::Seen(score) => Some(score),
            // The floor has the reason.
            Part::NotLooked | Part::Unreadable(_) => None,
        },
        limits: cgroup,
        devices_listed: None,
        devices: device_binds(&mounts),
        sysctls: None,
        hooks: None,
        escapes: told.or_default("process.descriptors", &[], escapes),
        unread: told.0,
        mounts,
    })
}

/// What the limits of a cgroup are shown by.
const BY_CGROUP: &[&str] =
    &["pids.limit", "memory.limit", "cpu.limit", "devices.cgroup", "cgroup.own"];

/// What could not be read.
#[derive(Default)]
struct Told(Vec<Unread>);

impl Told {
    /// The answer; without one, what stands for nothing, and why there is none.
    fn or_default<T: Default, E: Display>(
        &mut self,
        what: &'static str,
        controls: &'static [&'static str],
        answer: Result<T, E>,
    ) -> T {
        answer.unwrap_or_else(|why| {
            self.0.push(Unread::of(what, controls, &why));
            T::default()
        })
    }
}

/// An error with its causes, in a line.
struct Shown(anyhow::Error);

impl Display for Shown {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{:#}", self.0)
    }
}

/// A process that has ended meanwhile has nothing to be found.
fn unless_ended<T: Default>(read: casemate_sys::Result<T>) -> casemate_sys::Result<T> {
    match read {
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH) => Ok(T::default()),
        other => other,
    }
}

/// The lines of /proc/PID/status that confinement shows in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Name of the program, up to 15 bytes.
    pub name: String,
    /// Effective user id, in the reader's namespace.
    pub uid: u32,
    /// Effective group id, in the reader's namespace.
    pub gid: u32,
    /// Supplementary groups, in the reader's namespace.
    pub groups: Vec<u32>,
    /// All five sets.
    pub capabilities: Capabilities,
    /// no_new_privs.
    pub no_new_privileges: bool,
    /// Loaded filters; 1 where the kernel does not count them.
    pub filters: usize,
}

impl Status {
    /// Reads it.
    ///
    /// # Errors
    /// No such process.
    pub fn read(proc: &OwnedFd, pid: i32) -> Result<Self> {
        Ok(read_status(proc, pid)?.1)
    }
}

/// As the kernel has it, and as reports do.
fn read_status(proc: &OwnedFd, pid: i32) -> Result<(KernelStatus, Status)> {
    let about = || format!("process {pid}");
    let text = procfs::read(proc, &format!("{pid}/status")).with_context(about)?;
    let seen = casemate_kernel::status::parse(&text).with_context(about)?;
    let name = text.lines().find_map(|line| line.strip_prefix("Name:"));
    let status = Status {
        name: name.unwrap_or_default().trim().to_owned(),
        uid: seen.uid[1],
        gid: seen.gid[1],
        groups: seen.groups.clone(),
        capabilities: Capabilities {
            inheritable: seen.inheritable,
            permitted: seen.permitted,
            effective: seen.effective,
            bounding: seen.bounding,
            ambient: seen.ambient,
        },
        no_new_privileges: seen.no_new_privs,
        filters: match (seen.seccomp_mode, seen.seccomp_filters) {
            (0, _) => 0,
            (_, count) => count.unwrap_or(1) as usize,
        },
    };
    Ok((seen, status))
}

/// A process that has ended meanwhile has none, and nothing is found in it.
fn oom_score_adj(proc: &OwnedFd, pid: i32) -> Part<i32> {
    let read = procfs::read(proc, &format!("{pid}/oom_score_adj"));
    match read {
        Ok(text) => {
            let none =
                |error| Part::Unreadable(format!("/proc/{pid}/oom_score_adj: {error}: {text:?}"));
            text.trim().parse().map_or_else(none, Part::Seen)
        }
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::SRCH) => Part::NotLooked,
        Err(error) => Part::Unreadable(error.to_string()),
    }
}

fn id_map(proc: &OwnedFd, pid: i32, file: &str) -> Result<Vec<IdMapping>> {
    casemate_runtime::ids::read_map(proc, pid, file)
}

/// The number that the process itself sees; the kernel's "nobody" for one that it does not have.
fn to_inside(map: &[IdMapping], id: u32) -> u32 {
    map.iter().find_map(|range| range.to_inner(HostId(id))).map_or(65534, |inner| inner.0)
}

/// The host's mounts: those of pid 1, or the caller's own where pid 1 may not be looked at; if these cannot be read either, that
/// is the error.
fn host_mounts(proc: &OwnedFd) -> Result<Vec<u8>> {
    match procfs::read_bytes(proc, "1/mountinfo") {
        Ok(table) => Ok(table),
        Err(_) => Ok(procfs::read_bytes(proc, "self/mountinfo")?),
    }
}

/// Why the kernel does not let this caller look (ptrace(2), "Ptrace access mode checking").
fn hint() -> &'static str {
    match rustix::process::geteuid().is_root() {
        true => "this needs CAP_SYS_PTRACE in the user namespace of that process, and all of its capabilities",
        false => "only root can look at other users' processes",
    }
}

fn namespaces(proc: &OwnedFd, pid: i32) -> Result<BTreeMap<NamespaceKind, Place>> {
    let mut found = BTreeMap::new();
    for (kind, file) in [
        (NamespaceKind::Pid, "pid"),
        (NamespaceKind::Network, "net"),
        (NamespaceKind::Mount, "mnt"),
        (NamespaceKind::Ipc, "ipc"),
        (NamespaceKind::Uts, "uts"),
        (NamespaceKind::User, "user"),
        (NamespaceKind::Cgroup, "cgroup"),
        (NamespaceKind::Time, "time"),
    ] {
        let own = match ns::inode(proc, &pid.to_string(), file) {
            Ok(Some(own)) => own,
            Ok(None) => continue,
            Err(error) => {
                return Err(hinted(format!("namespaces of process {pid}: {error}"), hint()))
            }
        };
        // For an ordinary user pid 1 is closed; then the caller's own namespaces stand for the host's.
        let host = ns::inode(proc, "1", file).or_else(|_| ns::inode(proc, "self", file))?;
        found.insert(kind, if host == Some(own) { Place::Host } else { Place::Private });
    }
    Ok(found)
}

fn mounts(lines: &[Line], host: &[Line]) -> Vec<Mount> {
    let mount = |line: &Line| {
        let virtual_kind = matches!(
            line.kind.as_str(),
            "proc" | "sysfs" | "tmpfs" | "devpts" | "mqueue" | "cgroup2" | "cgroup" | "overlay"
        );
        // A file system of the container's own is on no path of the host, unless the host has mounted the very same.
        let source = mountinfo::on_host(host, &line.device, &line.root)
            .filter(|_| !(virtual_kind && line.root == "/" && line.kind != "tmpfs"));
        let mut options = line.options.clone();
        options.extend(line.super_options.iter().filter(|o| o.starts_with("subset=")).cloned());
        if line.super_options.contains("ro") {
            options.insert("ro".to_owned());
        }
        Mount {
            point: line.point.clone(),
            kind: line.kind.clone(),
            source,
            options,
            shared: reaches(line, host),
        }
    };
    lines.iter().map(mount).collect()
}

/// Whether what is mounted below appears on the host: both are in one peer group.
fn reaches(line: &Line, host: &[Line]) -> bool {
    line.peers.is_some_and(|group| host.iter().any(|other| other.peers == Some(group)))
}

/// `None` where the module is off.
fn label_of(is_on: Result<bool>, read: impl FnOnce() -> Result<String>) -> Result<Option<String>> {
    is_on?.then(read).transpose()
}

fn label(proc: &OwnedFd, pid: i32, file: &str) -> Result<String> {
    let read = |name: &str| procfs::read(proc, &format!("{pid}/attr/{name}"));
    let text = match read(file) {
        // Before Linux 5.8 there is one file for all modules.
        Err(error) if error.errno() == Errno::NOENT => unless_ended(read("current")),
        other => unless_ended(other),
    };
    Ok(text?.trim_end_matches(['\0', '\n']).to_owned())
}

/// The hard limit of a line of /proc/PID/limits; unlimited is the largest number.
fn hard_limit(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(u64::MAX),
        // No number is no limit that could be shown: the floor says that there is none.
        number => number.parse().ok(),
    }
}

/// Devices that were bound from the host one by one, beside those that every container has.
fn device_binds(mounts: &[Mount]) -> Vec<String> {
    const USUAL: [&str; 10] =
        ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm"];
    let name = |mount: &Mount| mount.point.strip_prefix("/dev/").map(str::to_owned);
    mounts
        .iter()
        .filter(|mount| {
            mount.kind == "devtmpfs"
                || mount.source.as_deref().is_some_and(|s| super::covers("/dev", s))
        })
        .filter_map(name)
        .filter(|name| !USUAL.contains(&name.as_str()) && !name.starts_with("pts/"))
        .map(|name| format!("/dev/{name}"))
        .collect()
}

/// Descriptors of directories on mounts that the process cannot reach by any path: the way out of CVE-2024-21626.
fn descriptors(
    proc: &OwnedFd,
    pid: i32,
    mounts: &[Line],
) -> casemate_sys::Result<Option<Vec<String>>> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let call = || format!("openat(/proc, \"{pid}/fd\")");
    let dir = rustix::fs::openat(proc, format!("{pid}/fd"), flags, Mode::empty()).call(call)?;
    let mut found = Vec::new();
    for entry in rustix::fs::Dir::read_from(&dir).call(call)?.take(MOST_DESCRIPTORS) {
        let entry = entry.call(call)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        match rustix::fs::statat(&dir, entry.file_name(), AtFlags::empty()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) != FileType::Directory => continue,
            // Closed meanwhile.
            Err(Errno::NOENT) => continue,
            // A file system that does not let us look may hold a directory.
            Ok(_) | Err(_) => {}
        }
        // A descriptor that was closed meanwhile leads nowhere.
        let info = unless_ended(procfs::read(proc, &format!("{pid}/fdinfo/{name}")))?;
        let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
        if mount.is_some_and(|id: u64| !mounts.iter().any(|line| line.id == id)) {
            let target = rustix::fs::readlinkat(&dir, entry.file_name(), Vec::new());
            let target = target.map(|t| t.to_string_lossy().into_owned());
            let target = target.unwrap_or_else(|error| format!("cannot be read: {error}"));
            found.push(format!("{name} -> {target}"));
        }
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use casemate_kernel::InnerId;

    #[test]
    fn own_process_can_be_looked_at_and_sits_in_its_own_namespaces() {
        let proc = procfs::open().unwrap();
        let pid = std::process::id() as i32;
        let seen = observe(&proc, pid, &BTreeSet::new()).unwrap();
        assert_eq!(seen.origin, Origin::Kernel);
        assert!(seen.mounts.iter().any(|mount| mount.point == "/"));
        assert!(seen.core_limit.is_some());
        assert!(Status::read(&proc, i32::MAX).is_err());
    }

    #[test]
    fn a_score_that_cannot_be_read_is_told_and_that_of_an_ended_process_is_not() {
        let proc = procfs::open().unwrap();
        assert!(matches!(oom_score_adj(&proc, std::process::id() as i32), Part::Seen(_)));
        assert_eq!(oom_score_adj(&proc, i32::MAX), Part::NotLooked);
        // A directory in place of procfs stands for a file that cannot be read: reading its entry fails with EISDIR.
        let dir = std::env::temp_dir().join(format!("casemate-oom-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("1/oom_score_adj")).unwrap();
        std::fs::create_dir_all(dir.join("2")).unwrap();
        std::fs::write(dir.join("2/oom_score_adj"), "much\n").unwrap();
        let proc = OwnedFd::from(std::fs::File::open(&dir).unwrap());
        for pid in [1, 2] {
            let Part::Unreadable(why) = oom_score_adj(&proc, pid) else { panic!("{pid}") };
            assert!(why.contains("oom_score_adj"), "{why}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn descriptors_that_cannot_be_listed_are_not_none() {
        let dir = std::env::temp_dir().join(format!("casemate-fds-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("1")).unwrap();
        std::fs::write(dir.join("1/fd"), "").unwrap();
        let proc = OwnedFd::from(std::fs::File::open(&dir).unwrap());
        let seen = |pid| unless_ended(descriptors(&proc, pid, &[]));
        assert_eq!(seen(1).unwrap_err().errno(), Errno::NOTDIR);
        assert_eq!(seen(2).unwrap(), None);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn host_numbers_become_those_of_the_container() {
        let map = [IdMapping { container_id: InnerId(0), host_id: HostId(1_000_000), size: 65536 }];
        assert_eq!(to_inside(&map, 1_000_033), 33);
        assert_eq!(to_inside(&map, 33), 65534);
    }

    #[test]
    fn hard_limits_are_read_from_their_column() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max core file size        0                    unlimited            bytes     \n\
                    Max open files            1024                 4096                 files     \n";
        assert_eq!(hard_limit(text, "Max core file size"), Some(u64::MAX));
        assert_eq!(hard_limit(text, "Max open files"), Some(4096));
    }
}
