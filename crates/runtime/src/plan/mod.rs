//! From the hardened spec to the plan: the last place that knows OCI types. Everything is parsed, looked up and
//! translated here, so that the container's side only has to act.

pub mod cgroup;
pub(crate) mod container;
pub(crate) mod devices;
mod filesystem;
pub(crate) mod handed_over;
pub(crate) mod hooks;
mod images;
pub(crate) mod listen_fds;
mod masks;
mod mount_context;
mod mounts;
pub(crate) mod namespaces;
pub(crate) mod process;
mod rootfs;
pub mod seccomp;

use casemate_policy::spec::Propagation;
use casemate_sandbox::plan::RootPropagation;
use casemate_sys::mount::propagation;

/// A propagation word as type and depth.
pub fn propagation_of(word: Propagation) -> (u64, bool) {
    match word {
        Propagation::Shared => (propagation::SHARED, false),
        Propagation::Rshared => (propagation::SHARED, true),
        Propagation::Slave => (propagation::SLAVE, false),
        Propagation::Rslave => (propagation::SLAVE, true),
        Propagation::Private => (propagation::PRIVATE, false),
        Propagation::Rprivate => (propagation::PRIVATE, true),
        Propagation::Unbindable => (propagation::UNBINDABLE, false),
        Propagation::Runbindable => (propagation::UNBINDABLE, true),
    }
}

/// `linux.rootfsPropagation`. Before the tree is built everything is cut off from the host in the asked way: `shared`
/// keeps the peers, for volumes whose mounts are to be seen on the host; nothing asked means slave, as in every runtime.
pub fn root_propagation(asked: Option<Propagation>) -> RootPropagation {
    match asked.map(propagation_of) {
        None => RootPropagation { before: propagation::SLAVE, after: None },
        // An unbindable host tree could not be bound from.
        Some((propagation::UNBINDABLE, deep)) => RootPropagation {
            before: propagation::PRIVATE,
            after: Some((propagation::UNBINDABLE, deep)),
        },
        Some((kind, deep)) => RootPropagation { before: kind, after: Some((kind, deep)) },
    }
}
