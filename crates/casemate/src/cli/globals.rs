//! The options that stand before the command. Data only: what they mean is decided in `request`.

use std::ffi::OsString;

/// Options of casemate itself, the same for every command.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct GlobalArgs {
    /// Directory for the state of containers [default: /run/casemate, or
    /// $XDG_RUNTIME_DIR/casemate for an ordinary user]
    #[arg(long, value_name = "DIR", help_heading = "State")]
    pub(crate) root: Option<OsString>,

    /// Append log lines to this file; it is created even if nothing is logged
    #[arg(long, value_name = "FILE", help_heading = "Logging")]
    pub(crate) log: Option<OsString>,

    /// Form of the log lines: text or json [default: text]
    #[arg(long, value_name = "FORMAT", help_heading = "Logging")]
    pub(crate) log_format: Option<String>,

    /// Least important lines to log: error, warning, info or debug [default: warning]
    #[arg(long, value_name = "LEVEL", help_heading = "Logging")]
    pub(crate) log_level: Option<String>,

    /// The same as --log-level debug
    #[arg(long, help_heading = "Logging")]
    pub(crate) debug: bool,

    /// Hardening profile for new containers: privileged, baseline, hardened or restricted
    /// [default: the node policy's, else hardened]
    #[arg(long, value_name = "NAME", help_heading = "Hardening")]
    pub(crate) profile: Option<String>,

    /// Override one control for a new container, such as rootfs.writable or capabilities.net_raw;
    /// repeatable, or several with commas
    #[arg(long, value_name = "NAME", help_heading = "Hardening", action = clap::ArgAction::Append)]
    pub(crate) allow: Vec<String>,

    /// Node policy to use in place of /etc/casemate, where that has none; for tests
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) policy_dir: Option<OsString>,

    /// Let systemd make the cgroups; cgroupsPath then reads SLICE:PREFIX:NAME
    #[arg(long, help_heading = "Cgroups")]
    pub(crate) systemd_cgroup: bool,

    /// Who makes the cgroups: cgroupfs, systemd or disabled; wins over --systemd-cgroup
    #[arg(long, value_name = "MANAGER", help_heading = "Cgroups")]
    pub(crate) cgroup_manager: Option<String>,

    /// Tolerate missing cgroup permissions: true, false or auto [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Cgroups")]
    pub(crate) rootless: Option<String>,

    /// Accepted for old callers; has no effect
    #[arg(long, value_name = "PATH", hide = true)]
    pub(crate) criu: Option<OsString>,

    /// Print the release, the commit and the specification it follows
    #[arg(short = 'v', long, short_alias = 'V')]
    pub(crate) version: bool,
}
