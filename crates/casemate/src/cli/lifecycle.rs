//! Flags of the commands that move a container through its life. Data only; `exec` and `update`, which
//! have many, are in files of their own.

use std::ffi::OsString;

/// `create`, and the part of `run` that is the same.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct CreateArgs {
    /// Bundle: the directory that holds config.json [default: the working directory]
    #[arg(short, long, value_name = "DIR", help_heading = "Bundle")]
    pub(crate) bundle: Option<OsString>,

    /// Read this file in place of the bundle's config.json
    // -f is crun's letter, -c the one of `audit` and `explain`, where -f is --format.
    #[arg(
        short = 'f',
        visible_short_alias = 'c',
        long,
        value_name = "FILE",
        help_heading = "Bundle"
    )]
    pub(crate) config: Option<OsString>,

    /// Write the pid of the container's first process to this file
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) pid_file: Option<OsString>,

    /// Send the master end of the pseudoterminal to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", help_heading = "Input and output")]
    pub(crate) console_socket: Option<OsString>,

    /// Send a pidfd of the container's first process to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", help_heading = "Input and output")]
    pub(crate) pidfd_socket: Option<OsString>,

    /// Pass N more file descriptors, after the standard three and those of $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Input and output")]
    pub(crate) preserve_fds: u32,

    /// Change the root with chroot instead of pivot_root. Weakens the container; only for hosts
    /// that run from their initramfs
    #[arg(long, help_heading = "Isolation")]
    pub(crate) no_pivot: bool,

    /// Leave the container in the caller's session keyring
    #[arg(long, help_heading = "Isolation")]
    pub(crate) no_new_keyring: bool,

    /// Name for the container, unique below --root; of letters, digits and any of + - . _
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,
}

/// `create` alone.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct CreateOnlyArgs {
    #[command(flatten)]
    pub(crate) create: CreateArgs,

    /// Accepted for crun's and older callers' sake; has no effect here
    #[arg(long, hide = true)]
    pub(crate) no_subreaper: bool,
}

/// `run`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) create: CreateArgs,

    /// Return as soon as the container runs
    #[arg(short, long, help_heading = "Supervision")]
    pub(crate) detach: bool,

    /// Do not delete the container when its process ends
    #[arg(long, help_heading = "Supervision")]
    pub(crate) keep: bool,

    /// Do not adopt the orphans of the container's processes
    #[arg(long, help_heading = "Supervision")]
    pub(crate) no_subreaper: bool,
}

/// Commands that take a container and nothing else: start, state, pause, resume.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct IdArgs {
    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,
}

/// `kill`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct KillArgs {
    /// Signal every process of the container, not only its first one
    #[arg(short, long)]
    pub(crate) all: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,

    /// A number or a name in either case, with or without SIG [default: SIGTERM]
    #[arg(value_name = "SIGNAL")]
    pub(crate) signal: Option<String>,
}

/// `delete`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct DeleteArgs {
    /// Kill a container that still runs; succeed if there is none of that name
    #[arg(short, long)]
    pub(crate) force: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,
}
