//! Lifecycle and state of containers: the parent's side.
//!
//! Commands are functions in [`ops`]. Making a container is: read the bundle ([`bundle`]), harden the spec (crate
//! `casemate-policy`), lower it to a plan ([`lower`]), reserve state ([`state`]) and a cgroup ([`cgroups`]), launch
//! (crate `casemate-sandbox`), answer its requests ([`supervise`]), read back what came out ([`verify`]), record.
//! Nothing here prints or exits.

mod apparmor;
pub mod audit_log;
pub mod bundle;
pub mod caller;
pub mod cgroups;
mod container_id;
mod decide;
mod digest;
mod facts;
pub mod foreground;
pub mod handed_over;
pub mod ids;
pub mod listen_fds;
pub mod lower;
pub mod namespaces;
pub mod netdev;
pub mod notify;
pub mod ops;
mod origin;
pub mod overlay;
mod pid_file;
mod policy_choice;
pub(crate) mod pool;
pub mod procfs;
pub mod report;
pub mod request;
mod room;
mod selinux;
pub mod state;
pub mod steps;
pub mod supervise;
pub mod survey;
pub mod undo;
mod userns;
pub mod verify;
pub mod warnings;

pub use casemate_policy::nearest;
pub use container_id::ContainerId;
