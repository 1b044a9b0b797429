//! The checked configuration: the OCI runtime specification 1.3 for Linux, as Rust types.
//!
//! These types are what `config.json` means, not how it is spelt: defaults are filled in, there is no
//! `Option<bool>`, and names with a fixed set of values are enumerations. They stop at meaning: what is
//! *possible on this host* (a path that exists, an inode of the right namespace type) is not known here.
//! Properties of other platforms (`windows`, `solaris`, `vm`, `zos`) and unknown ones are ignored, as the
//! specification demands; [`Spec::unknown`] lists them.

mod capability;
mod configuration;
pub(crate) mod de;
mod error;
mod hooks;
mod linux;
mod mount;
mod process;
mod resources;
mod seccomp;

pub use crate::check::sysctl::Sysctl;
pub use capability::{CapSet, Capability};
pub use configuration::{Root, Spec, Warning};
pub use error::SpecError;
pub use hooks::{Hook, Hooks};
pub use linux::{
    Clock, Device, DeviceKind, IntelRdt, Linux, MemoryPolicy, MemoryPolicyFlag, MemoryPolicyMode,
    Namespace, NamespaceKind, NetDevice, Personality, PersonalityDomain, Propagation, TimeOffset,
};
pub use mount::{IdMapping, Mount};
pub use process::{
    Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, IoPriorityClass, Process, Rlimit,
    RlimitKind, Scheduler, SchedulerFlag, SchedulerPolicy, User,
};
pub use resources::{
    BlockIo, Cpu, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority, Memory, Network,
    Pids, Rdma, Resources, ThrottleDevice, WeightDevice,
};
pub use seccomp::{SeccompArg, SeccompProfile, SeccompSyscall};
