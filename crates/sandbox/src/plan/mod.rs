//! The plan: everything the container's first process will do, as data. Built and checked before clone3, moved into
//! the child by memory, interpreted there without parsing anything.
//!
//! Ids in here are what the step that uses them needs: `root` and `stdio` work before the user namespace is entered
//! and carry ids of the runtime's own namespace, `process` carries the container's.

mod hooks;
mod namespaces;
mod process;
mod tree;

pub use hooks::{Hook, HookGuard, HookState, Pin};
pub use namespaces::{Namespaces, Sysctl, TimeOffset, UserNamespace};
pub use process::{CapabilityPlan, Early, LandlockPlan, ProcessPlan, SeccompFilter};
pub use tree::{
    Content, DetachedTree, DeviceKind, DeviceNode, Layer, MountPlan, MountSource, OverlayPlan,
    RootPlan, RootPropagation, Upper,
};

use casemate_sys::tty::Size;
use rustix::fd::OwnedFd;

/// A container, ready to be launched.
#[derive(Debug)]
pub struct ContainerPlan {
    /// The runtime's own /proc, checked to be procfs. Everything written below /proc goes through it.
    pub host_proc: OwnedFd,
    /// Which namespaces, and how.
    pub namespaces: Namespaces,
    /// Done with the caller's privilege, before any namespace hides it.
    pub early: Early,
    /// Host name, if it is to be set.
    pub hostname: Option<String>,
    /// NIS domain name, if it is to be set.
    pub domainname: Option<String>,
    /// The network namespace is new: its loopback interface has to be set up.
    pub loopback: bool,
    /// Network devices are on their way: wait for them.
    pub await_devices: bool,
    /// Kernel parameters to write, in order.
    pub sysctls: Vec<Sysctl>,
    /// The tree.
    pub root: RootPlan,
    /// A terminal is to be made.
    pub terminal: Option<Size>,
    /// prestart or createRuntime hooks exist: stop and let the parent run them.
    pub parent_hooks: bool,
    /// createContainer hooks.
    pub create_container: Vec<Hook>,
    /// startContainer hooks.
    pub start_container: Vec<Hook>,
    /// State JSON for hooks of the container's side.
    pub hook_state: HookState,
    /// The program and its identity.
    pub process: ProcessPlan,
    /// What holds the process until `start`.
    pub gate: Gate,
}

/// A process to be added to a running container.
#[derive(Debug)]
pub struct ExecPlan {
    /// The runtime's own /proc, checked to be procfs.
    pub host_proc: OwnedFd,
    /// The container's init.
    pub init: OwnedFd,
    /// Kinds of namespaces to join, bits of `ns::flag`.
    pub join: u64,
    /// Done with the caller's privilege.
    pub early: Early,
    /// A terminal is to be made.
    pub terminal: Option<Size>,
    /// The program and its identity.
    pub process: ProcessPlan,
}

/// What holds a created container until it is started.
#[derive(Debug)]
pub enum Gate {
    /// The channel to the parent, which stays (`run`, `exec`).
    Channel,
    /// A listening socket that `start` connects to.
    Listener(OwnedFd),
}
