//! What the kernel's texts and numbers mean: parsers of files below `/proc`, file system magics, mount attributes.
//!
//! Bytes in, data out. Nothing here opens a file, and a text that does not have the documented form is an error, never an
//! empty answer: controls rest on what these parsers return.

#![warn(clippy::missing_errors_doc)]

pub mod attr;
pub mod audit;
mod error;
pub mod fact;
pub mod id_map;
pub mod ids;
pub mod magic;
pub mod mount_tree;
pub mod mountinfo;
pub mod path;
pub mod status;
mod words;

pub use error::ParseError;
pub use fact::Fact;
pub use ids::{HostId, InnerId};
pub use mount_tree::MountTree;
