//! The commands, one per file.

mod create;
mod delete;
mod end;
mod events;
mod exec;
mod explain;
mod kill;
mod list;
mod make;
mod owner;
mod pause;
mod permit;
mod policy;
mod run;
mod start;
pub mod survey;
mod unreadable;
mod update;

pub use create::create;
pub use delete::delete;
pub use events::{events, Event};
pub use exec::exec;
pub use explain::explain;
pub use kill::kill;
pub use list::{list, ps, state};
pub use pause::{pause, resume};
pub use permit::permit;
pub use policy::{policy, policy_in, ControlReport, PolicyReport};
pub use run::run;
pub use start::start;
pub use update::update;
