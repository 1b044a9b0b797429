//! What a caller may ask of the runtime: typed requests, already parsed, not yet resolved.
//!
//! Where a request is no more than the flags of a command, it is their definition for clap as well: a
//! flag is declared once, with its help and the reader of its value. The crate `casemate` reads the
//! command line with them, and fills in the others. Nothing here touches the host but to ask for the
//! working directory: every path is absolute.

mod create;
mod exec;
mod ids;
pub mod path;

pub use create::{CreateRequest, DeleteRequest, RunRequest};
pub use exec::ExecRequest;

pub use crate::hinted::Invalid;
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
