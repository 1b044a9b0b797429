//! The program to run and the identity, limits and scheduling it runs with (config.md, "Process").

use super::capability::CapSet;
use super::de::{is_default, maybe_object, non_empty, nullable, object, objects};
use serde::{Deserialize, Serialize};

/// `process`, and the file of `exec --process`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Process {
    /// Wants a pseudo terminal.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub terminal: bool,
    /// Its first size; ignored without a terminal.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub console_size: Option<ConsoleSize>,
    /// Who it runs as.
    #[serde(deserialize_with = "object")]
    pub user: User,
    /// Argument vector; never empty after the check.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub args: Vec<String>,
    /// `NAME=VALUE`, each with a `=`.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub env: Vec<String>,
    /// Working directory in the container, absolute.
    #[serde(deserialize_with = "nullable")]
    pub cwd: String,
    /// `None`: for init no capabilities at all, for `exec` those of the container.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Resource limits, each kind at most once.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub rlimits: Vec<Rlimit>,
    /// prctl(PR_SET_NO_NEW_PRIVS).
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub no_new_privileges: bool,
    /// AppArmor profile that must be loaded already.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub apparmor_profile: Option<String>,
    /// Added to the badness score, -1000 to 1000; `None` leaves the inherited value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adj: Option<i32>,
    /// sched_setattr(2).
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<Scheduler>,
    /// SELinux context.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub selinux_label: Option<String>,
    /// ioprio_set(2).
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub io_priority: Option<IoPriority>,
    /// CPUs of an `exec`ed process.
    #[serde(
        rename = "execCPUAffinity",
        deserialize_with = "object",
        skip_serializing_if = "is_default"
    )]
    pub exec_cpu_affinity: ExecCpuAffinity,
}

/// Rows and columns of a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsoleSize {
    /// Rows.
    #[serde(deserialize_with = "nullable")]
    pub height: u32,
    /// Columns.
    #[serde(deserialize_with = "nullable")]
    pub width: u32,
}

/// Ids as the container sees them. Names are never looked up (CVE-2016-3697).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct User {
    /// User id.
    #[serde(deserialize_with = "nullable")]
    pub uid: u32,
    /// Group id.
    #[serde(deserialize_with = "nullable")]
    pub gid: u32,
    /// File mode creation mask; `None` means 0022.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub umask: Option<u32>,
    /// Supplementary group ids.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub additional_gids: Vec<u32>,
}

/// The five sets of capabilities(7).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Capabilities {
    /// Upper bound for every later execve.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub bounding: CapSet,
    /// What the kernel checks.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub effective: CapSet,
    /// What files with inheritable bits may add.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub inheritable: CapSet,
    /// Upper bound of the effective set.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub permitted: CapSet,
    /// Kept across execve of ordinary files.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub ambient: CapSet,
}

impl Capabilities {
    /// Each set's JSON name and members.
    #[must_use]
    pub fn sets(&self) -> [(&'static str, &CapSet); 5] {
        [
            ("bounding", &self.bounding),
            ("effective", &self.effective),
            ("inheritable", &self.inheritable),
            ("permitted", &self.permitted),
            ("ambient", &self.ambient),
        ]
    }

    /// As [`Capabilities::sets`], to change them.
    pub fn sets_mut(&mut self) -> [(&'static str, &mut CapSet); 5] {
        [
            ("bounding", &mut self.bounding),
            ("effective", &mut self.effective),
            ("inheritable", &mut self.inheritable),
            ("permitted", &mut self.permitted),
            ("ambient", &mut self.ambient),
        ]
    }
}

/// One resource limit, setrlimit(2); `u64::MAX` is RLIM_INFINITY.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Which.
    #[serde(rename = "type")]
    pub kind: RlimitKind,
    /// Ceiling.
    pub hard: u64,
    /// What is enforced; at most `hard`.
    pub soft: u64,
}

/// The limits that Linux has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum RlimitKind {
    /// Address space, bytes.
    #[serde(rename = "RLIMIT_AS")]
    As,
    /// Core file, bytes.
    #[serde(rename = "RLIMIT_CORE")]
    Core,
    /// Processor time, seconds.
    #[serde(rename = "RLIMIT_CPU")]
    Cpu,
    /// Data segment, bytes.
    #[serde(rename = "RLIMIT_DATA")]
    Data,
    /// File size, bytes.
    #[serde(rename = "RLIMIT_FSIZE")]
    Fsize,
    /// Locks, count; without effect since Linux 2.4.25.
    #[serde(rename = "RLIMIT_LOCKS")]
    Locks,
    /// Locked memory, bytes.
    #[serde(rename = "RLIMIT_MEMLOCK")]
    Memlock,
    /// POSIX message queues, bytes.
    #[serde(rename = "RLIMIT_MSGQUEUE")]
    Msgqueue,
    /// Ceiling of the nice value, 20 minus it.
    #[serde(rename = "RLIMIT_NICE")]
    Nice,
    /// File descriptors, one more than the highest.
    #[serde(rename = "RLIMIT_NOFILE")]
    Nofile,
    /// Processes of the real user id, count.
    #[serde(rename = "RLIMIT_NPROC")]
    Nproc,
    /// Resident set, bytes; without effect since Linux 2.4.30.
    #[serde(rename = "RLIMIT_RSS")]
    Rss,
    /// Ceiling of the real-time priority.
    #[serde(rename = "RLIMIT_RTPRIO")]
    Rtprio,
    /// Real-time processor time without a blocking call, microseconds.
    #[serde(rename = "RLIMIT_RTTIME")]
    Rttime,
    /// Queued signals, count.
    #[serde(rename = "RLIMIT_SIGPENDING")]
    Sigpending,
    /// Stack, bytes.
    #[serde(rename = "RLIMIT_STACK")]
    Stack,
}

/// sched_setattr(2) arguments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scheduler {
    /// Scheduling class.
    pub policy: SchedulerPolicy,
    /// Nice value of SCHED_OTHER and SCHED_BATCH, -20 to 19.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub nice: i32,
    /// Static priority of SCHED_FIFO and SCHED_RR, 1 to 99.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub priority: i32,
    /// Flags.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub flags: Vec<SchedulerFlag>,
    /// SCHED_DEADLINE, nanoseconds.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub runtime: u64,
    /// SCHED_DEADLINE, nanoseconds.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub deadline: u64,
    /// SCHED_DEADLINE, nanoseconds.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub period: u64,
}

/// Scheduling classes, sched(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerPolicy {
    /// The default.
    #[serde(rename = "SCHED_OTHER")]
    Other,
    /// Real time, first in first out.
    #[serde(rename = "SCHED_FIFO")]
    Fifo,
    /// Real time, round robin.
    #[serde(rename = "SCHED_RR")]
    Rr,
    /// For batch work.
    #[serde(rename = "SCHED_BATCH")]
    Batch,
    /// Reserved by the kernel, never implemented.
    #[serde(rename = "SCHED_ISO")]
    Iso,
    /// Only when nothing else runs.
    #[serde(rename = "SCHED_IDLE")]
    Idle,
    /// Earliest deadline first.
    #[serde(rename = "SCHED_DEADLINE")]
    Deadline,
}

/// sched_setattr(2) flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SchedulerFlag {
    /// Children start with the default class.
    #[serde(rename = "SCHED_FLAG_RESET_ON_FORK")]
    ResetOnFork,
    /// Deadline threads may use bandwidth that others leave.
    #[serde(rename = "SCHED_FLAG_RECLAIM")]
    Reclaim,
    /// SIGXCPU on a deadline overrun.
    #[serde(rename = "SCHED_FLAG_DL_OVERRUN")]
    DlOverrun,
    /// Leave the class as it is.
    #[serde(rename = "SCHED_FLAG_KEEP_POLICY")]
    KeepPolicy,
    /// Leave the parameters as they are.
    #[serde(rename = "SCHED_FLAG_KEEP_PARAMS")]
    KeepParams,
    /// Utilisation clamp, lower end.
    #[serde(rename = "SCHED_FLAG_UTIL_CLAMP_MIN")]
    UtilClampMin,
    /// Utilisation clamp, upper end.
    #[serde(rename = "SCHED_FLAG_UTIL_CLAMP_MAX")]
    UtilClampMax,
}

/// ioprio_set(2) arguments; applied to the process group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IoPriority {
    /// Class.
    pub class: IoPriorityClass,
    /// Level within the class, 0 (first) to 7.
    #[serde(default, deserialize_with = "nullable")]
    pub priority: i32,
}

/// I/O scheduling classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum IoPriorityClass {
    /// Before all others.
    #[serde(rename = "IOPRIO_CLASS_RT")]
    RealTime,
    /// The default.
    #[serde(rename = "IOPRIO_CLASS_BE")]
    BestEffort,
    /// Only when nobody else needs the disk.
    #[serde(rename = "IOPRIO_CLASS_IDLE")]
    Idle,
}

/// CPU lists ("0-3,7") for a process added by `exec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecCpuAffinity {
    /// Before the process enters the container's cgroup.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub initial: Option<String>,
    /// After it.
    #[serde(
        rename = "final",
        deserialize_with = "non_empty",
        skip_serializing_if = "Option::is_none"
    )]
    pub after: Option<String>,
}
