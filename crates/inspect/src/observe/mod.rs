//! What a container's process looks like: read from a configuration ([`config`]), or from the kernel while
//! it runs ([`process`]). The same type for both, so that the same judgement applies to what was asked, what was decided
//! and what is.
//!
//! A field that is `None` could not be seen from there; that is not the same as "not set".

pub mod cgroup;
pub mod config;
pub mod evidence;
pub mod mountinfo;
mod place;
pub mod process;
pub mod sources;

pub use place::Place;

use casemate_policy::spec::{IdMapping, NamespaceKind};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Where it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A `config.json`, as given or as hardened.
    Config,
    /// /proc and the cgroup file system.
    Kernel,
}

/// The five capability sets, as masks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    /// Upper bound of every later execve.
    pub bounding: u64,
    /// What the kernel checks.
    pub effective: u64,
    /// What files with inheritable bits may add.
    pub inheritable: u64,
    /// Upper bound of the effective set.
    pub permitted: u64,
    /// Kept across execve.
    pub ambient: u64,
}

impl Capabilities {
    /// What is in any of them.
    pub fn any(&self) -> u64 {
        self.bounding | self.effective | self.inheritable | self.permitted | self.ambient
    }
}

/// One mount of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mount {
    /// Path in the container.
    pub point: String,
    /// File system type; `bind` in a configuration that does not say.
    pub kind: String,
    /// Path on the host that it shows, if it does.
    pub source: Option<String>,
    /// Options of the mount, as mountinfo has them.
    pub options: BTreeSet<String>,
    /// Its mounts reach the host.
    pub shared: bool,
}

impl Mount {
    /// Whether the mount has an option.
    pub fn has(&self, option: &str) -> bool {
        self.options.contains(option)
    }
}

/// A limit of the cgroup; `None` means that there is none.
pub type Limit = Option<u64>;

/// What the cgroup limits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// Tasks.
    pub pids: Limit,
    /// Bytes of memory.
    pub memory: Limit,
    /// Where memory runs out, all processes end together; `None` where that cannot be seen.
    pub oom_group: Option<bool>,
    /// Processor time is limited, or weighed.
    pub cpu: bool,
    /// Programs that decide about devices; `None` where that cannot be seen.
    pub device_programs: Option<usize>,
}

/// A fact that could not be read: what it would have shown is missing, which is a finding of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unread {
    /// Id of what was to be looked at: a control's, or a name of its own.
    pub what: &'static str,
    /// Other controls that would be judged by it.
    pub controls: &'static [&'static str],
    /// Why it could not be.
    pub why: String,
}

impl Unread {
    pub(crate) fn of(
        what: &'static str,
        controls: &'static [&'static str],
        why: &impl std::fmt::Display,
    ) -> Self {
        Self { what, controls, why: why.to_string() }
    }
}

/// One container, as seen.
#[derive(Clone, Debug, Serialize)]
pub struct Observation {
    /// Where it was read.
    pub origin: Origin,
    /// User id, as the container sees it.
    pub uid: u32,
    /// Group id, as the container sees it.
    pub gid: u32,
    /// Supplementary groups, as the container sees them.
    pub groups: Vec<u32>,
    /// The sets; all empty when none are given.
    pub capabilities: Capabilities,
    /// no_new_privs.
    pub no_new_privileges: bool,
    /// How many system call filters are, or will be, loaded.
    pub filters: usize,
    /// Whose namespaces.
    pub namespaces: BTreeMap<NamespaceKind, Place>,
    /// Ids of the container and of the host; empty when they are the same.
    pub uid_map: Vec<IdMapping>,
    /// All mounts, in their order.
    pub mounts: Vec<Mount>,
    /// The root file system is read-only.
    pub root_readonly: bool,
    /// The root's mounts reach the host.
    pub root_shared: bool,
    /// Paths that the configuration hides; from the kernel, the mounts tell.
    pub masked: Vec<String>,
    /// Paths that the configuration makes read-only.
    pub readonly: Vec<String>,
    /// Those of the paths that are worth hiding that this kernel has.
    pub present: BTreeSet<String>,
    /// AppArmor profile; empty: none.
    pub apparmor: Option<String>,
    /// SELinux label; empty: none.
    pub selinux: Option<String>,
    /// RLIMIT_CORE, hard; `None`: inherited.
    pub core_limit: Option<u64>,
    /// RLIMIT_NOFILE, hard; `None`: inherited.
    pub open_files: Option<u64>,
    /// oom_score_adj; `None`: inherited in a configuration, not seen in a process.
    pub oom_score_adj: Option<i32>,
    /// Limits of the cgroup; `None` without one.
    pub limits: Option<Limits>,
    /// Device rules are a list of what is allowed.
    pub devices_listed: Option<bool>,
    /// Host device nodes in the container beside the standard ones.
    pub devices: Vec<String>,
    /// Kernel parameters that the configuration sets; only a configuration knows.
    pub sysctls: Option<Vec<String>>,
    /// Programs that the configuration runs on the host; only a configuration knows.
    pub hooks: Option<Vec<String>>,
    /// Descriptors of directories that lie outside the container; only the kernel knows.
    pub escapes: Option<Vec<String>>,
    /// What could not be read.
    pub unread: Vec<Unread>,
    /// What the floor is asked about; only the kernel has it.
    #[serde(skip)]
    pub evidence: Option<Box<evidence::Evidence>>,
}

/// How far a path of the container is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// The kernel does not have it, or the container does not.
    Absent,
    /// Something else stands there.
    Hidden,
    /// It can be read.
    ReadOnly,
    /// It can be written, as far as its own permissions go.
    Open,
}

impl Observation {
    /// Whose namespace of this kind it is in; the host's when nothing else is known.
    pub fn place(&self, kind: NamespaceKind) -> Place {
        self.namespaces.get(&kind).copied().unwrap_or(Place::Host)
    }

    /// Whether what this control is judged by could not be read.
    pub fn is_unread(&self, id: &str) -> bool {
        self.unread.iter().any(|one| one.what == id || one.controls.contains(&id))
    }

    /// How far a path below /proc or /sys is closed.
    pub fn access(&self, path: &str) -> Access {
        if !self.present.contains(path) {
            return Access::Absent;
        }
        let below = |list: &[String]| list.iter().any(|known| covers(known, path));
        if below(&self.masked) {
            return Access::Hidden;
        }
        // The mount that the path lies in: the last of those with the longest name.
        let holder = self.mounts.iter().filter(|mount| covers(&mount.point, path));
        let Some(mount) = holder.max_by_key(|mount| mount.point.len()) else {
            return Access::Absent;
        };
        let shows = matches!(
            mount.kind.as_str(),
            "proc"
                | "sysfs"
                | "debugfs"
                | "tracefs"
                | "securityfs"
                | "bpf"
                | "pstore"
                | "selinuxfs"
        ) || mount
            .source
            .as_deref()
            .is_some_and(|source| covers("/proc", source) || covers("/sys", source));
        if !shows {
            return Access::Hidden;
        }
        if mount.has("ro") || below(&self.readonly) {
            return Access::ReadOnly;
        }
        Access::Open
    }
}

/// Whether `path` is `place` or lies below it.
pub fn covers(place: &str, path: &str) -> bool {
    let place = place.trim_end_matches('/');
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Those of `paths` that the running kernel has, or of which that cannot be told: they are worth hiding then, too.
pub fn present<'a>(paths: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let absent = |path: &str| matches!(rustix::fs::stat(path), Err(Errno::NOENT | Errno::NOTDIR));
    paths.into_iter().filter(|path| !absent(path)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_covers_itself_and_what_is_below_but_no_name_that_only_begins_so() {
        assert!(covers("/proc", "/proc") && covers("/proc", "/proc/kcore") && covers("/", "/x"));
        assert!(!covers("/proc/k", "/proc/kcore") && !covers("/proc/kcore", "/proc"));
    }
}
