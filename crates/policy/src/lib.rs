//! From a bundle's spec to a hardened spec and the decisions that explain it.
//!
//! Pure: no file system, no environment, no clock, no system calls. What must be known about the host
//! comes in as plain data, so that the same input always gives the same container and every decision can
//! be tested and explained without running anything.

#![warn(clippy::missing_errors_doc)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admit;
mod auto;
mod check;
mod choice;
mod choose;
mod control;
mod controls;
mod decision;
mod engine;
mod error;
mod facts;
pub mod floor;
mod forbid;
mod hardened;
pub mod mount_options;
pub mod nesting;
mod node;
mod origin;
mod overrides;
mod planned;
mod profile;
mod read;
mod refusal;
mod similar;
mod source;
pub mod spec;

pub use admit::{
    harden, harden_as, harden_process, harden_resources, harden_through, owners, ways_around,
    Owner, USUAL_CAPABILITIES,
};
pub use auto::{AutoLabel, AutoUserns};
pub use choice::Choice;
pub use choose::{choose, CommandLine};
pub use control::{seccomp_features, Allow, Control, ControlId, Mode, Severity, CONTROLS};
pub use controls::descriptors::LeadsTo;
pub use controls::mounts::{is_layer, layers, usual, Usual};
pub use controls::seccomp::guarded_calls;
pub use decision::{Decision, Verdict};
pub use engine::{Engine, Label};
pub use error::PolicyError;
pub use facts::{
    is_below, BundleFact, CallerLimits, CorePattern, DefaultProfile, Engine as DataLayout,
    EngineFact, FileFact, FileKind, FilterFact, HookFile, HostFacts, LayerFact, LayerRole,
    MountFacts, Package, SelinuxFacts, SourceFact, SubMount, Use, Used, SIGNS, SOCKETS,
};
pub use hardened::{Extras, Hardened, HardenedProcess, HardenedSpec};
pub use node::{AuditPolicy, NodePolicy, Subject};
pub use origin::Origin;
pub use overrides::{AllowedHook, IdRange, Overrides, TypeName, Values};
pub use planned::PlanFacts;
pub use profile::{optional_places, Profile, ProfileName, Tmpfs};
pub use refusal::{Refusal, Remedy};
pub use similar::nearest;
pub use source::{Source, ALLOW_PREFIX};
