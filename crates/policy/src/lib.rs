//! From a bundle's spec to a hardened spec and the decisions that explain it.
//!
//! Pure: no file system, no environment, no clock, no system calls. What must be known about the host
//! comes in as plain data, so that the same input always gives the same container and every decision can
//! be tested and explained without running anything.

mod check;
mod control;
mod decision;
mod facts;
mod harden;
mod hardened;
pub mod mount_options;
mod overrides;
mod profile;
mod rules;
pub mod spec;

pub use control::{seccomp_features, Allow, Control, Mode, RuleId, CONTROLS};
pub use decision::{Decision, Refusal, Remedy, Verdict};
pub use facts::{
    CallerLimits, FileFact, FileKind, HostFacts, Place, PlaceFact, Reach, SourceFact, ENGINE_DATA,
    PLACES, SOCKETS,
};
pub use harden::{harden, harden_as, harden_process};
pub use hardened::{Extras, Hardened, HardenedProcess, HardenedSpec};
pub use overrides::{Choice, Overrides, Source, ALLOW_PREFIX};
pub use profile::{parse_node_policy, NodePolicy, PolicyError, Profile, ProfileName, Tmpfs};
