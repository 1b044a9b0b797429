//! Flags of the commands that judge: host-check. Data only.

use std::ffi::OsString;

/// `host-check`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct HostCheckArgs {
    /// Also read this engine's configuration, and say whether it is set up to use casemate:
    /// podman, docker, containerd, crio or kubernetes; may be repeated
    #[arg(short, long, value_name = "NAME")]
    pub(crate) engine: Vec<String>,

    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// Take the host's files from below this directory
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) host_root: Option<OsString>,
}
