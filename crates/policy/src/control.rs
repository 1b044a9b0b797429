//! The table of controls: what each is called, how its overrides are called, and what it does in each profile.
//!
//! A control is one file of `controls`; here is what they have in common. Values (lists, limits) belong to `Profile`.
//! The documents take what they say about a control from its row and from the comment above it (`hack/docs --write`).

mod allow;
mod id;
mod list;
mod mode;
mod names;
mod row;
mod table;

pub use allow::Allow;
pub use id::ControlId;
pub use mode::{Mode, Severity};
pub(crate) use mode::{HIGH, LOW, MEDIUM, OFF, ON, WARN};
pub(crate) use names::all_names;
pub use names::seccomp_features;
pub use row::Control;
pub use table::CONTROLS;
