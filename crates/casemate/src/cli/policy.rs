//! Arguments of `policy`.

use std::ffi::OsString;

/// `policy`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PolicyArgs {
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// simulate: state directory to look in; may be repeated [default: where casemate, runc, crun,
    /// docker, containerd and rootless engines keep theirs]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) runtime_root: Vec<OsString>,

    /// show: what applies on this node; check: read files and say whether they can be used; permit:
    /// let annotations ask for one more override; simulate: which running containers would be
    /// refused or changed before they are started again
    #[arg(value_name = "show|check|permit|simulate")]
    pub(crate) action: String,

    /// check: the file to read in place of the node's own; permit: the override's name, or several
    /// with commas
    #[arg(value_name = "FILE|NAME")]
    pub(crate) subject: Option<OsString>,
}
