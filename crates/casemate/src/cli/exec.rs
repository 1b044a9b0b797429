//! Flags of `exec`. Data only.

use std::ffi::OsString;

/// `exec`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct ExecArgs {
    /// Take the whole process, arguments included, from this OCI process file; the other
    /// process options are then ignored
    #[arg(short, long, value_name = "FILE", help_heading = "Process")]
    pub(crate) process: Option<OsString>,

    /// Working directory inside the container
    #[arg(long, value_name = "DIR", help_heading = "Process")]
    pub(crate) cwd: Option<String>,

    /// Add a variable to the environment; may be repeated
    #[arg(short, long, value_name = "KEY=VALUE", help_heading = "Process")]
    pub(crate) env: Vec<String>,

    /// Run as this numeric user and group
    #[arg(short, long, value_name = "UID[:GID]", help_heading = "Process")]
    pub(crate) user: Option<String>,

    /// Add a supplementary group, by number; may be repeated
    #[arg(short = 'g', long, value_name = "GID", help_heading = "Process")]
    pub(crate) additional_gids: Vec<String>,

    /// Give the process a pseudoterminal
    #[arg(short, long, help_heading = "Input and output")]
    pub(crate) tty: bool,

    /// Send the master end of the pseudoterminal to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", help_heading = "Input and output")]
    pub(crate) console_socket: Option<OsString>,

    /// Send a pidfd of the new process to this AF_UNIX socket
    #[arg(long, value_name = "SOCKET", help_heading = "Input and output")]
    pub(crate) pidfd_socket: Option<OsString>,

    /// Write the pid of the new process to this file
    #[arg(long, value_name = "FILE", help_heading = "Input and output")]
    pub(crate) pid_file: Option<OsString>,

    /// Pass N more file descriptors after the standard three
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Input and output")]
    pub(crate) preserve_fds: u32,

    /// Return as soon as the process runs
    #[arg(short, long, help_heading = "Input and output")]
    pub(crate) detach: bool,

    /// Forbid the process to gain privileges by execve
    #[arg(long, help_heading = "Confinement")]
    pub(crate) no_new_privs: bool,

    /// Add a capability, within the profile's ceiling; may be repeated
    #[arg(short, long, value_name = "CAPABILITY", help_heading = "Confinement")]
    pub(crate) cap: Vec<String>,

    /// AppArmor profile of the process
    #[arg(long, value_name = "PROFILE", help_heading = "Confinement")]
    pub(crate) apparmor: Option<String>,

    /// SELinux label of the process
    #[arg(long, value_name = "LABEL", help_heading = "Confinement")]
    pub(crate) process_label: Option<String>,

    /// Run in this cgroup below the container's own; may be repeated
    #[arg(long, value_name = "[CONTROLLERS:]PATH", help_heading = "Confinement")]
    pub(crate) cgroup: Vec<String>,

    /// Do not refuse a paused container
    #[arg(long)]
    pub(crate) ignore_paused: bool,

    /// Accepted for older callers' sake; has no effect here
    #[arg(long, hide = true)]
    pub(crate) no_subreaper: bool,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,

    /// The command and its arguments; flags after CONTAINER-ID belong to it
    #[arg(value_name = "COMMAND", trailing_var_arg = true)]
    pub(crate) command: Vec<String>,
}
