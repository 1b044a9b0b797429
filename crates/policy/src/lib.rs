//! From a bundle's spec to a hardened spec and the decisions that explain it.
//!
//! Pure: no file system, no environment, no clock, no system calls. What must be known about the host
//! comes in as plain data, so that the same input always gives the same container and every decision can
//! be tested and explained without running anything.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod admit;
mod check;
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
mod refusal;
mod similar;
pub mod spec;

pub use admit::{
    harden, harden_as, harden_process, harden_resources, harden_through, owners, ways_around,
    Owner, USUAL_CAPABILITIES,
};
pub use choose::{choose, CommandLine};
pub use control::{seccomp_features, Allow, Control, ControlId, Mode, Severity, CONTROLS};
pub use controls::descriptors::LeadsTo;
pub use controls::mounts::{is_layer, layers, usual, Usual};
pub use controls::seccomp::guarded_calls;
pub use controls::selinux::AutoLabel;
pub use controls::userns::AutoUserns;
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
pub use overrides::{
    AllowedHook, Choice, IdRange, Overrides, Source, TypeName, Values, ALLOW_PREFIX,
};
pub use planned::PlanFacts;
pub use profile::{optional_places, Profile, ProfileName, Tmpfs};
pub use refusal::{Refusal, Remedy};
pub use similar::nearest;
