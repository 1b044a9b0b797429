//! Arguments of `policy`.

use std::ffi::OsString;

/// `policy`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PolicyArgs {
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// show: what applies on this node; check: read files and say whether they can be used
    #[arg(value_name = "show|check")]
    pub(crate) action: String,

    /// check: the file to read in place of the node's own
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<OsString>,
}
