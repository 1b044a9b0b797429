//! Containers of other runtimes: finding them by their state directories, and what would change if casemate ran them.

mod comparison;
mod state;

pub use comparison::{compare, Change, Comparison, Row};
pub(crate) use state::read;
pub use state::{find, Found};
