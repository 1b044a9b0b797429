//! `exec`: its flags, which are what is asked for.

use super::{ids, path};
use crate::ContainerId;
use std::path::PathBuf;

/// `exec`.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct ExecRequest {
    /// Take the whole process, arguments included, from this OCI process file; the other
    /// process options are then ignored
    #[arg(short, long, value_name = "FILE", value_parser = path::file(), help_heading = "Process")]
    pub process: Option<PathBuf>,

    /// Working directory inside the container
    #[arg(long, value_name = "DIR", help_heading = "Process")]
    pub cwd: Option<String>,

    /// Add a variable to the environment; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Process")]
    pub env: Vec<String>,

    /// Run as this numeric user and group
    // Read strictly: what cannot be read must not become 0 (CVE-2026-30892).
    #[arg(short, long, value_name = "UID[:GID]", value_parser = ids::user, help_heading = "Process")]
    pub user: Option<(u32, Option<u32>)>,

    /// Add a supplementary group, by number; may be repeated
    #[arg(
        short = 'g',
        long,
        value_name = "GID",
        value_parser = ids::group,
        help_heading = "Process"
    )]
    pub additional_gids: Vec<u32>,

    /// Give the process a pseudoterminal
    #[arg(short, long, help_heading = "Input and output")]
    pub tty: bool,

    /// Send the master end of the pseudoterminal to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", value_parser = path::file(), help_heading = "Input and output")]
    pub console_socket: Option<PathBuf>,

    /// Send a pidfd of the new process to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", value_parser = path::file(), help_heading = "Input and output")]
    pub pidfd_socket: Option<PathBuf>,

    /// Write the pid of the new process to this file
    #[arg(long, value_name = "FILE", value_parser = path::file(), help_heading = "Input and output")]
    pub pid_file: Option<PathBuf>,

    /// Pass N more file descriptors after the standard three
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Input and output")]
    pub preserve_fds: u32,

    /// Return as soon as the process runs
    #[arg(short, long, help_heading = "Input and output")]
    pub detach: bool,

    /// Prevent the process from gaining privileges by execve
    #[arg(long, help_heading = "Confinement")]
    pub no_new_privs: bool,

    /// Add a capability, within the profile's ceiling; may be repeated
    // To the bounding, effective and permitted set, never to the inheritable one (CVE-2022-29162).
    #[arg(short, long = "cap", value_name = "CAPABILITY", help_heading = "Confinement")]
    pub caps: Vec<String>,

    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE", help_heading = "Confinement")]
    pub apparmor: Option<String>,

    /// SELinux label of the process
    #[arg(long, value_name = "LABEL", help_heading = "Confinement")]
    pub process_label: Option<String>,

    /// Run in this cgroup below the container's own; may be repeated
    #[arg(long, value_name = "[CONTROLLERS:]PATH", help_heading = "Confinement")]
    pub cgroup: Vec<String>,

    /// Accept a paused container
    #[arg(long)]
    pub ignore_paused: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub id: ContainerId,

    /// The command and its arguments; flags after CONTAINER-ID belong to it
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub args: Vec<String>,
}
