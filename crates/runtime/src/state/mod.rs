//! What is kept about a container between commands: a directory per container below the state root.
//!
//! ```text
//! <root>/<id>/           locked (flock) while a command changes the container; mode 0711
//!     record.json        the record, written before anything else is made; replaced atomically by update
//!     init.json          who init is and what goes with it, written as soon as it exists; of one layout in all releases
//!     posture.json       what was read back before the program ran: the container is complete
//!     seccomp.bpf        the compiled filters, for exec
//!     decisions.json     what the policy changed, and why
//!     gate               socket: exists exactly while the container is created and not started
//! ```
//!
//! `<root>/@bundles/<id>` tells where the container's bundle lies, for other containers, unless an engine keeps it.
//! `<root>/@past/<id>` is what is kept of containers that have gone.
//!
//! Other runtimes may keep their containers in the same root; a directory without our record is not ours.

pub(crate) mod bundles;
mod container;
mod dir;
mod gate;
pub mod past;
mod record;
mod records;
mod root;
mod status;

pub(crate) use container::{open_cgroup, Container};
pub use dir::StateDir;
pub use record::{CgroupRecord, InitRecord, Record, SeccompRecord};
pub(crate) use record::{Held, FORMAT};
pub use root::StateRoot;
pub use status::Status;
