//! Flags of the commands that judge: audit, compare, host-check. Data only.

use std::ffi::OsString;

/// `audit`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct AuditArgs {
    /// text, json or sarif
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// Also go through a standard, item by item: pss, cis, scc, 800-190, 8176, srg, or all; may be
    /// repeated
    #[arg(short, long, value_name = "NAME")]
    pub(crate) standard: Vec<String>,

    /// Leave out of the text what is in order: only findings, and what of a standard is not met
    #[arg(long)]
    pub(crate) brief: bool,

    /// Every container of this host, of all engines and runtimes: a line each, and how many there are;
    /// with --root, of that state directory
    #[arg(short, long)]
    pub(crate) all: bool,

    /// How exposed it is, as a number from 0 to 10, with each term of that
    #[arg(long)]
    pub(crate) score: bool,

    /// Exit with status 2 if there is a finding of this level or above: high, medium, low or any
    #[arg(long, value_name = "LEVEL", default_value = "none")]
    pub(crate) fail_on: String,

    /// With a bundle: read this file in place of its config.json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) config: Option<OsString>,

    /// Look at this process, whoever made it, in place of a bundle or a container
    #[arg(short, long, value_name = "PID")]
    pub(crate) pid: Option<i32>,

    /// A directory with a config.json, or a container: its id, the beginning of it, or what its
    /// engine calls it [default: the working directory]
    #[arg(value_name = "BUNDLE|CONTAINER")]
    pub(crate) target: Option<OsString>,
}

/// `why`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct WhyArgs {
    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// A container that is there, has gone or was refused: its id, the beginning of it, or what its
    /// engine calls it
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
}

/// `compare`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct CompareArgs {
    /// State directory of the other runtime; may be repeated [default: where runc, crun, docker and
    /// containerd keep theirs]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) runtime_root: Vec<OsString>,

    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// Id of a container of runc, crun or youki, or the beginning of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

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
