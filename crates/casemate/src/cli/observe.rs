//! Flags of the commands that change nothing on the host: list, ps, events, features, spec, explain.
//! Data only.

use std::ffi::OsString;

/// `list`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ListArgs {
    /// table or json
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: String,

    /// Print only the container ids, one per line
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Those of all state directories of this host too, whichever engine named them
    #[arg(short, long)]
    pub(crate) all_roots: bool,
}

/// `ps`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct PsArgs {
    /// table (the host's ps, filtered) or json (the pids)
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub(crate) format: String,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,

    /// Options for ps; its output must have a PID column [default: -ef]
    #[arg(value_name = "PS-OPTION", trailing_var_arg = true)]
    pub(crate) ps_options: Vec<OsString>,
}

/// `events`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct EventsArgs {
    /// Time between two samples, such as 500ms, 3s or 1m30s
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    pub(crate) interval: String,

    /// Print one sample and return
    #[arg(long)]
    pub(crate) stats: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,
}

/// `features` takes nothing.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct FeaturesArgs {}

/// `spec`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct SpecArgs {
    /// Directory to write config.json into [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<OsString>,

    /// Write this file in place of config.json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<OsString>,

    /// For an ordinary user: a user namespace with the caller's ids, no cgroup limits
    #[arg(long)]
    pub(crate) rootless: bool,
}

/// `explain`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ExplainArgs {
    /// Bundle: the directory that holds config.json [default: the working directory]
    #[arg(short, long, value_name = "DIR")]
    pub(crate) bundle: Option<OsString>,

    /// Read this file in place of the bundle's config.json
    #[arg(short = 'c', long, value_name = "FILE")]
    pub(crate) config: Option<OsString>,

    /// Read what 'docker inspect' or 'podman inspect' says of a container, from this file or from
    /// standard input (-), in place of a bundle
    #[arg(short, long, value_name = "FILE")]
    pub(crate) inspect: Option<OsString>,

    /// Leave out the configuration at the end of the text
    #[arg(long)]
    pub(crate) brief: bool,

    /// text or json
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: String,

    /// Id to assume for the container [default: the bundle directory's name]
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: Option<String>,
}
