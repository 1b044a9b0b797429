//! What a caller may ask of the runtime: typed requests, already parsed, not yet resolved.
//!
//! The command line (crate `casemate`) fills these in; nothing here touches the host. Relative paths
//! have been made absolute against the caller's working directory before they get here.

use crate::ContainerId;
use std::path::PathBuf;

/// Names of a profile and of overrides are known: a wrong one is an error also where nothing is asked of them.
///
/// # Errors
/// The first that is unknown, with what may have been meant.
pub fn known_names(profile: Option<&str>, allow: &[String]) -> anyhow::Result<()> {
    Ok(casemate_policy::CommandLine { profile, allow }.check()?)
}

/// Which driver makes cgroups. The choice is stored at create time; later commands read it from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CgroupManager {
    /// Directories in the cgroup2 file system.
    Cgroupfs,
    /// Transient scopes over D-Bus.
    Systemd,
    /// No cgroup at all: the container stays in the caller's (podman's `--cgroups=disabled`).
    Disabled,
}

/// `--rootless`: whether missing cgroup permissions are tolerated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rootless {
    /// Decide from the caller's ids and user namespace.
    Auto,
    /// Always.
    Yes,
    /// Never.
    No,
}

/// The global options, resolved: every command gets them.
#[derive(Clone, Debug)]
pub struct Global {
    /// Absolute state directory.
    pub root: PathBuf,
    /// True when the caller named it with `--root`.
    pub root_is_explicit: bool,
    /// True when it is the default inside `$XDG_RUNTIME_DIR`: whoever creates it sets the sticky bit,
    /// which keeps `tmpfiles` style cleaners from removing it (XDG base directory specification).
    pub root_in_xdg_runtime_dir: bool,
    /// `--systemd-cgroup` or `--cgroup-manager`.
    pub cgroup_manager: CgroupManager,
    /// `--rootless`.
    pub rootless: Rootless,
    /// `--profile`; `None`: the node policy's choice, else the built-in default.
    pub profile: Option<String>,
    /// `--allow`: overrides, one name each.
    pub allow: Vec<String>,
    /// `--policy-dir`: another directory in place of `/etc/casemate`; absolute.
    pub policy_dir: Option<PathBuf>,
    /// `--debug`.
    pub debug: bool,
}

/// `create`, and the part of `run` that is the same.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    /// The container's id.
    pub id: ContainerId,
    /// Absolute bundle directory.
    pub bundle: PathBuf,
    /// `--config`: another file in place of `<bundle>/config.json`; absolute.
    pub config: Option<PathBuf>,
    /// `--console-socket`.
    pub console_socket: Option<PathBuf>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<PathBuf>,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--no-pivot`.
    pub no_pivot: bool,
    /// `--no-new-keyring`.
    pub no_new_keyring: bool,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
}

/// `run`.
#[derive(Clone, Debug)]
pub struct RunRequest {
    /// The create half.
    pub create: CreateRequest,
    /// `--detach`.
    pub detach: bool,
    /// `--keep`: do not delete after the exit.
    pub keep: bool,
    /// `--no-subreaper`.
    pub no_subreaper: bool,
}

/// `exec`.
#[derive(Clone, Debug)]
pub struct ExecRequest {
    /// The container's id.
    pub id: ContainerId,
    /// `--process FILE`: absolute path of an OCI process object that replaces everything.
    pub process: Option<PathBuf>,
    /// The command, when there is no `--process`.
    pub args: Vec<String>,
    /// `--cwd`.
    pub cwd: Option<String>,
    /// `--env`, `KEY=VALUE`, in the order given.
    pub env: Vec<String>,
    /// `--tty`.
    pub tty: bool,
    /// `--user UID[:GID]`, parsed strictly (CVE-2026-30892: never 0 by default).
    pub user: Option<(u32, Option<u32>)>,
    /// `--additional-gids`.
    pub additional_gids: Vec<u32>,
    /// `--detach`.
    pub detach: bool,
    /// `--pid-file`.
    pub pid_file: Option<PathBuf>,
    /// `--console-socket`.
    pub console_socket: Option<PathBuf>,
    /// `--pidfd-socket`.
    pub pidfd_socket: Option<PathBuf>,
    /// `--process-label` (SELinux).
    pub process_label: Option<String>,
    /// `--apparmor`.
    pub apparmor: Option<String>,
    /// `--no-new-privs`.
    pub no_new_privs: bool,
    /// `--cap`, added to bounding, effective and permitted (never inheritable: CVE-2022-29162).
    pub caps: Vec<String>,
    /// `--preserve-fds`.
    pub preserve_fds: u32,
    /// `--cgroup [CONTROLLERS:]PATH`, below the container's own cgroup.
    pub cgroup: Vec<String>,
    /// `--ignore-paused`.
    pub ignore_paused: bool,
}

/// `kill`.
#[derive(Clone, Debug)]
pub struct KillRequest {
    /// The container's id.
    pub id: ContainerId,
    /// Signal number, 0 to 64.
    pub signal: i32,
    /// `--all`: every process of the container.
    pub all: bool,
}

/// `delete`.
#[derive(Clone, Debug)]
pub struct DeleteRequest {
    /// The container's id.
    pub id: ContainerId,
    /// `--force`.
    pub force: bool,
}

/// `update`: the resource JSON is the OCI `linux.resources` object; the flags are turned into it by the
/// command line, field by field, absent where not given.
#[derive(Clone, Debug)]
pub struct UpdateRequest {
    /// The container's id.
    pub id: ContainerId,
    /// OCI `linux.resources`, as JSON text.
    pub resources: Vec<u8>,
    /// `--l3-cache-schema`.
    pub l3_cache_schema: Option<String>,
    /// `--mem-bw-schema`.
    pub mem_bw_schema: Option<String>,
}

/// `events`.
#[derive(Clone, Debug)]
pub struct EventsRequest {
    /// The container's id.
    pub id: ContainerId,
    /// `--stats`: one sample, then exit.
    pub once: bool,
    /// `--interval`.
    pub interval: std::time::Duration,
}

/// `explain`.
#[derive(Clone, Debug)]
pub struct ExplainRequest {
    /// Absolute bundle directory.
    pub bundle: PathBuf,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// Id used where a plan needs one.
    pub id: ContainerId,
    /// Nothing but the id was given: if there is such a container, that one is meant.
    pub of_container: bool,
}
