//! Arguments of `policy`.

use std::ffi::OsString;

/// `policy`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PolicyArgs {
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// show: what applies on this node; check: read files and say whether they can be used; permit: let annotations ask
    /// for one more override
    #[arg(value_name = "show|check|permit")]
    pub(crate) action: String,

    /// check: the file to read in place of the node's own; permit: the override's name
    #[arg(value_name = "FILE|NAME")]
    pub(crate) subject: Option<OsString>,
}
