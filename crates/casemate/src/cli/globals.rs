//! The options of casemate itself, the same for every command, and what becomes of them: the state
//! directory, the cgroup driver, rootless or not.
//!
//! They are kept as text until [`resolve`]: the log must be open before a mistake in another option is
//! told, for containerd looks for it there.

use super::scan::parse_go_bool;
use crate::report::LogArgs;
use crate::usage::UsageError;
use anyhow::{bail, Context};
use casemate_runtime::hinted::hinted;
use casemate_runtime::request::{known_names, path, CgroupManager, Global, Rootless};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Options of casemate itself, the same for every command.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct GlobalArgs {
    /// Directory for the state of containers [default: /run/casemate, or
    /// $XDG_RUNTIME_DIR/casemate for an ordinary user]
    #[arg(long, value_name = "DIR", help_heading = "State")]
    pub(crate) root: Option<OsString>,

    /// Where to log and how much.
    #[command(flatten)]
    pub(crate) log: LogArgs,

    /// Hardening profile for new containers: privileged, baseline, hardened or restricted
    /// [default: from the node policy, otherwise hardened]
    #[arg(long, value_name = "NAME", help_heading = "Hardening")]
    pub(crate) profile: Option<String>,

    /// Override one control for a new container, such as rootfs.writable or capabilities.net_raw;
    /// repeatable, or several with commas
    #[arg(long, value_name = "NAME", help_heading = "Hardening", action = clap::ArgAction::Append)]
    pub(crate) allow: Vec<String>,

    /// Node policy to use instead of /etc/casemate, if that has none; for tests
    #[arg(long, value_name = "DIR", hide = true)]
    pub(crate) policy_dir: Option<OsString>,

    /// Let systemd create the cgroups; cgroupsPath then has the form SLICE:PREFIX:NAME
    #[arg(long, help_heading = "Cgroups")]
    pub(crate) systemd_cgroup: bool,

    /// Who creates the cgroups: cgroupfs, systemd or disabled; overrides --systemd-cgroup
    #[arg(long, value_name = "MANAGER", help_heading = "Cgroups")]
    pub(crate) cgroup_manager: Option<String>,

    /// Tolerate missing cgroup permissions: true, false or auto [default: auto]
    #[arg(long, value_name = "WHEN", help_heading = "Cgroups")]
    pub(crate) rootless: Option<String>,

    /// Accepted for compatibility with older callers; has no effect
    #[arg(long, value_name = "PATH", hide = true)]
    pub(crate) criu: Option<OsString>,

    /// Print the release, the commit and the specification it follows
    #[arg(short = 'v', long, short_alias = 'V')]
    pub(crate) version: bool,
}

/// Where real root keeps containers.
const SYSTEM_ROOT: &str = "/run/casemate";

/// What the default state directory depends on.
#[derive(Debug)]
struct Caller {
    euid: u32,
    xdg_runtime_dir: Option<OsString>,
    user: Option<OsString>,
    /// Asked only where it matters: it costs a file to read.
    in_user_namespace: fn() -> bool,
}

impl Caller {
    fn current() -> Self {
        Self {
            euid: rustix::process::geteuid().as_raw(),
            xdg_runtime_dir: std::env::var_os("XDG_RUNTIME_DIR"),
            user: std::env::var_os("USER"),
            in_user_namespace,
        }
    }
}

/// Resolves the global options.
pub(crate) fn resolve(args: &GlobalArgs) -> anyhow::Result<Global> {
    let (root, root_in_xdg_runtime_dir) = match &args.root {
        Some(root) => (explicit_root(root)?, false),
        None => default_root(&Caller::current()),
    };
    let profile = args.profile.clone();
    let allow = overrides(&args.allow);
    known_names(profile.as_deref(), &allow)?;
    Ok(Global {
        root,
        root_is_explicit: args.root.is_some(),
        root_in_xdg_runtime_dir,
        cgroup_manager: cgroup_manager(args)?,
        rootless: rootless(args.rootless.as_deref())?,
        profile,
        allow,
        policy_dir: args.policy_dir.as_ref().map(path::absolute).transpose()?,
        debug: args.log.is_debug(),
    })
}

fn overrides(lists: &[String]) -> Vec<String> {
    lists.iter().flat_map(|list| list.split(',')).map(ToOwned::to_owned).collect()
}

/// `delete` removes directories below the root, so the root directory itself can never be it.
fn explicit_root(root: &OsStr) -> anyhow::Result<PathBuf> {
    if root.is_empty() {
        bail!("option --root must not be empty");
    }
    let root = path::clean(&path::absolute(root)?);
    if root == Path::new("/") {
        bail!("option --root must not be set to /");
    }
    Ok(root)
}

/// runc's rule. Podman never passes `--root` and calls with different environments for one container,
/// so that every condition here matters: real root must not look at `$XDG_RUNTIME_DIR`, and root
/// inside a user namespace must look at it with and without `$USER`.
fn default_root(caller: &Caller) -> (PathBuf, bool) {
    let xdg = caller.xdg_runtime_dir.as_deref().map(Path::new).filter(|dir| dir.is_absolute());
    match xdg {
        Some(dir) if has_own_runtime_dir(caller) => (dir.join("casemate"), true),
        _ => (SYSTEM_ROOT.into(), false),
    }
}

fn has_own_runtime_dir(caller: &Caller) -> bool {
    if caller.euid != 0 {
        return true;
    }
    caller.user.as_deref() != Some("root".as_ref()) && (caller.in_user_namespace)()
}

/// The initial user namespace maps the whole range of ids onto itself; no other can.
fn in_user_namespace() -> bool {
    match std::fs::read_to_string("/proc/self/uid_map") {
        Ok(map) => map.split_whitespace().ne(["0", "0", "4294967295"]),
        // No such file: a kernel without user namespaces, or no /proc.
        Err(_) => false,
    }
}

fn cgroup_manager(args: &GlobalArgs) -> anyhow::Result<CgroupManager> {
    match args.cgroup_manager.as_deref() {
        Some("cgroupfs") => Ok(CgroupManager::Cgroupfs),
        Some("systemd") => Ok(CgroupManager::Systemd),
        Some("disabled") => Ok(CgroupManager::Disabled),
        Some(other) => {
            let message = format!("invalid cgroup-manager: {other}");
            Err(hinted(message, "one of cgroupfs, systemd, disabled"))
        }
        None if args.systemd_cgroup => Ok(CgroupManager::Systemd),
        None => Ok(CgroupManager::Cgroupfs),
    }
}

fn rootless(value: Option<&str>) -> anyhow::Result<Rootless> {
    match value {
        None | Some("auto") => Ok(Rootless::Auto),
        Some(text) => {
            let reason = "neither true, false nor auto";
            parse_go_bool(text)
                .map(|yes| if yes { Rootless::Yes } else { Rootless::No })
                .ok_or_else(|| UsageError::bad_value(text.as_ref(), "rootless", reason))
                .context("cannot decide whether to run rootless")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(euid: u32, xdg: Option<&str>, user: Option<&str>, userns: bool) -> Caller {
        Caller {
            euid,
            xdg_runtime_dir: xdg.map(Into::into),
            user: user.map(Into::into),
            in_user_namespace: if userns { || true } else { || false },
        }
    }

    #[test]
    fn default_root_follows_the_caller() {
        let own = Path::new("/run/user/7/casemate");
        let system = Path::new(SYSTEM_ROOT);
        let xdg = Some("/run/user/7");
        let cases = [
            // Real root ignores the variable, whoever USER says it is.
            (caller(0, xdg, Some("root"), false), system),
            (caller(0, xdg, Some("alice"), false), system),
            (caller(0, xdg, None, false), system),
            // Root of a user namespace: only USER=root makes it look like the system's.
            (caller(0, xdg, Some("root"), true), system),
            (caller(0, xdg, Some("alice"), true), own),
            (caller(0, xdg, None, true), own),
            // An ordinary user.
            (caller(1000, xdg, Some("root"), false), own),
            (caller(1000, xdg, None, true), own),
            // Podman sets the variable to nothing when it runs as root.
            (caller(0, Some(""), None, true), system),
            (caller(1000, Some(""), None, false), system),
            (caller(1000, None, None, false), system),
            (caller(1000, Some("relative"), None, false), system),
        ];
        for (caller, root) in cases {
            assert_eq!(default_root(&caller), (root.into(), root == own), "{caller:?}");
        }
    }

    #[test]
    fn root_directory_is_refused_as_state_directory() {
        for root in ["/", "//", "/a/..", "", "../../../../../../../../../../../../../../.."] {
            assert!(explicit_root(root.as_ref()).is_err(), "{root}");
        }
        assert_eq!(explicit_root("/run/x/".as_ref()).unwrap(), Path::new("/run/x"));
    }

    #[test]
    fn cgroup_manager_wins_over_systemd_cgroup() {
        let args = |manager: Option<&str>, systemd_cgroup| GlobalArgs {
            cgroup_manager: manager.map(ToOwned::to_owned),
            systemd_cgroup,
            ..GlobalArgs::default()
        };
        assert_eq!(cgroup_manager(&args(None, false)).unwrap(), CgroupManager::Cgroupfs);
        assert_eq!(cgroup_manager(&args(None, true)).unwrap(), CgroupManager::Systemd);
        assert_eq!(cgroup_manager(&args(Some("disabled"), true)).unwrap(), CgroupManager::Disabled);
        assert!(cgroup_manager(&args(Some("v1"), false)).is_err());
    }

    #[test]
    fn rootless_takes_go_booleans_and_auto() {
        for (text, wanted) in
            [("true", Rootless::Yes), ("0", Rootless::No), ("auto", Rootless::Auto)]
        {
            assert_eq!(rootless(Some(text)).unwrap(), wanted);
        }
        assert_eq!(rootless(None).unwrap(), Rootless::Auto);
        assert!(rootless(Some("maybe")).is_err());
    }
}
