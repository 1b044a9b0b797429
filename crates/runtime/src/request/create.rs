//! `create`, `run` and `delete`: their flags, which are what is asked for.

use super::path;
use crate::ContainerId;
use std::path::PathBuf;

/// `create`, and the part of `run` that is the same.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct CreateRequest {
    /// Bundle: the directory that holds config.json [default: the working directory]
    #[arg(
        short,
        long,
        value_name = "DIR",
        value_parser = path::dir(),
        default_value = ".",
        hide_default_value = true,
        help_heading = "Bundle"
    )]
    pub bundle: PathBuf,

    /// Read this file instead of the bundle's config.json
    // -f is crun's letter, -c the one of `audit` and `explain`, where -f is --format.
    #[arg(
        short = 'f',
        visible_short_alias = 'c',
        long,
        value_name = "FILE",
        value_parser = path::file(),
        help_heading = "Bundle"
    )]
    pub config: Option<PathBuf>,

    /// Write the pid of the container's first process to this file
    #[arg(long, value_name = "FILE", value_parser = path::file(), help_heading = "Input and output")]
    pub pid_file: Option<PathBuf>,

    /// Send the master end of the pseudoterminal to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", value_parser = path::file(), help_heading = "Input and output")]
    pub console_socket: Option<PathBuf>,

    /// Send a pidfd of the container's first process to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", value_parser = path::file(), help_heading = "Input and output")]
    pub pidfd_socket: Option<PathBuf>,

    /// Pass N more file descriptors, after the standard three and those of $LISTEN_FDS
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Input and output")]
    pub preserve_fds: u32,

    /// Change the root with chroot instead of pivot_root. Weakens the container; only for hosts
    /// that run from their initramfs
    #[arg(long, help_heading = "Isolation")]
    pub no_pivot: bool,

    /// Leave the container in the caller's session keyring
    #[arg(long, help_heading = "Isolation")]
    pub no_new_keyring: bool,

    /// Name for the container, unique below --root; letters, digits and + - . _
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
}

/// `run`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct RunRequest {
    /// The create half.
    #[command(flatten)]
    pub create: CreateRequest,

    /// Return as soon as the container runs
    #[arg(short, long, help_heading = "Supervision")]
    pub detach: bool,

    /// Do not delete the container when its process ends
    #[arg(long, help_heading = "Supervision")]
    pub keep: bool,

    /// Do not adopt the orphans of the container's processes
    #[arg(long, help_heading = "Supervision")]
    pub no_subreaper: bool,
}

/// `delete`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct DeleteRequest {
    /// Kill the container if it is running; succeed if it does not exist
    #[arg(short, long)]
    pub force: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,
}
