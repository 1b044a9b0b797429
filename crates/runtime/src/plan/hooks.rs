//! Hooks, and the state JSON that they read.

use crate::decide::caller::Caller;
use crate::state::Record;
use anyhow::{Context, Result};
use casemate_policy::spec::{Hook as SpecHook, Process};
use casemate_policy::HardenedSpec;
use casemate_sandbox::plan::{Hook, HookState};
use casemate_sandbox::plan::{HookGuard, Pin};
use casemate_sandbox::trust::Owners;
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Environment of a hook that names none.
#[derive(Clone, Debug)]
pub(crate) enum DefaultEnv {
    /// A PATH and nothing of anybody's (CVE-2025-23266: a hook must not inherit the container's LD_PRELOAD).
    Minimal,
    /// The runtime's own, as runc and crun do.
    Inherit,
    /// These, as runc does for startContainer: the process's.
    Given(Vec<String>),
}

/// What a hook begins with where the bundle does not say.
#[derive(Clone, Debug)]
pub(crate) struct Defaults {
    /// Environment.
    pub env: DefaultEnv,
    /// Working directory, which no bundle can name; `None`: that of the process.
    pub dir: Option<PathBuf>,
}

impl Defaults {
    /// For hooks that run where the runtime does. A configuration that is used as written gets what runc and crun give; else
    /// a hook begins nowhere in particular, because what lies in the bundle may be the container's.
    pub(crate) fn of_host(spec: &HardenedSpec, bundle: &Path) -> Self {
        if spec.is_verbatim() {
            Self { env: DefaultEnv::Inherit, dir: Some(bundle.to_owned()) }
        } else {
            Self::nothing()
        }
    }

    /// For createContainer hooks.
    pub(crate) fn of_tree(spec: &HardenedSpec, rootfs: &Path) -> Self {
        let dir = if spec.is_verbatim() { rootfs } else { Path::new("/") };
        Self { dir: Some(dir.to_owned()), ..Self::nothing() }
    }

    /// For startContainer hooks.
    pub(crate) fn of_process(spec: &HardenedSpec, process: &Process) -> Self {
        if spec.is_verbatim() {
            Self { env: DefaultEnv::Given(process.env.clone()), dir: None }
        } else {
            Self::nothing()
        }
    }

    fn nothing() -> Self {
        Self { env: DefaultEnv::Minimal, dir: Some(PathBuf::from("/")) }
    }
}

/// What hooks are asked about again when they run; nothing where the policy asks for nothing.
#[derive(Clone, Debug)]
pub(crate) struct Guards<'a> {
    owners: Option<Owners>,
    digests: Option<&'a BTreeMap<String, String>>,
}

impl<'a> Guards<'a> {
    /// As the rules decided when the container was made, for hooks that `caller` runs.
    pub(crate) fn of(spec: &'a HardenedSpec, caller: &Caller) -> Self {
        let checks = &spec.extras().hooks;
        let owners = Owners { euid: caller.euid, initial: caller.initial_user_namespace };
        Self { owners: checks.trusted.then_some(owners), digests: Some(&checks.digests) }
    }

    /// startContainer hooks are programs of the container.
    pub(crate) fn none() -> Self {
        Self { owners: None, digests: None }
    }

    /// For hooks that run in a user namespace that was entered before: owners have other ids there. They were asked about
    /// when it was decided, a moment ago.
    pub(crate) fn in_another_namespace(self) -> Self {
        Self { owners: None, ..self }
    }

    fn get(&self, pointer: &str) -> HookGuard {
        let pin = |sha256: &String| Pin { sha256: sha256.clone(), take: crate::digest::of_open };
        let pinned = self.digests.and_then(|digests| digests.get(pointer)).map(pin);
        HookGuard { owners: self.owners, pin: pinned }
    }
}

/// Lower all hooks of one kind.
pub(crate) fn lower(
    kind: &str,
    hooks: &[SpecHook],
    default: &Defaults,
    guards: &Guards<'_>,
) -> Result<Vec<Hook>> {
    let lower_one = |(index, hook): (usize, &SpecHook)| {
        let label = format!("{kind} hook #{index}");
        let guard = guards.get(&format!("/hooks/{kind}/{index}"));
        one(hook, label, default, guard).with_context(|| format!("hooks.{kind}[{index}]"))
    };
    hooks.iter().enumerate().map(lower_one).collect()
}

fn one(hook: &SpecHook, label: String, default: &Defaults, guard: HookGuard) -> Result<Hook> {
    let args = if hook.args.is_empty() { std::slice::from_ref(&hook.path) } else { &hook.args };
    let strings = |list: &[String]| {
        list.iter().map(|s| CString::new(s.as_str())).collect::<Result<Vec<_>, _>>()
    };
    let env = match (&hook.env, &default.env) {
        (Some(env), _) | (None, DefaultEnv::Given(env)) => strings(env)?,
        (None, DefaultEnv::Minimal) => {
            vec![c"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()]
        }
        (None, DefaultEnv::Inherit) => own_environment(),
    };
    Ok(Hook {
        label,
        path: PathBuf::from(&hook.path),
        args: strings(args)?,
        env,
        dir: default.dir.clone(),
        home: hook.env.is_none(),
        timeout: seconds(hook),
        guard,
    })
}

/// 0: none given.
fn seconds(hook: &SpecHook) -> u64 {
    // Admission refuses what is not positive.
    hook.timeout.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0)
}

/// How long the container's side may take for a step in which it runs these.
pub(crate) fn limit(hooks: &[SpecHook]) -> Option<Duration> {
    casemate_sandbox::proto::limit(hooks.iter().map(seconds))
}

fn own_environment() -> Vec<CString> {
    use std::os::unix::ffi::OsStringExt;
    std::env::vars_os()
        .filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            // It came as a C string: there is none in it that ends it.
            CString::new(name.into_vec()).ok()
        })
        .collect()
}

/// The state JSON, cut where status and pid go.
pub(crate) fn state(
    version: &str,
    id: &str,
    bundle: &Path,
    rootfs: &Path,
    annotations: &BTreeMap<String, String>,
) -> Result<HookState> {
    let text = |s: &str| serde_json::to_string(s);
    let named = text(&bundle.to_string_lossy())?;
    // crun adds `root`; hooks of nerdctl and others read the rest.
    let root = text(&rootfs.to_string_lossy())?;
    let annotations = serde_json::to_string(annotations)?;
    Ok(HookState {
        bundle: bundle.to_owned(),
        before_status: format!(
            "{{\"ociVersion\":{},\"id\":{},\"status\":\"",
            text(version)?,
            text(id)?
        ),
        before_pid: "\",\"pid\":".to_owned(),
        after_pid: format!(",\"root\":{root},\"bundle\":{named},\"annotations\":{annotations}}}"),
    })
}

/// Hooks that run after `create`, with the state that they read: from the record, not from the bundle.
pub(crate) fn of_record(
    record: &Record,
    kind: &str,
    hooks: &[SpecHook],
    proc: &OwnedFd,
) -> Result<(Vec<Hook>, HookState)> {
    let spec = &record.spec;
    // Whoever runs them; without hooks it need not be known who that is.
    let guards = match hooks.is_empty() {
        true => Guards::none(),
        false => Guards::of(spec, &Caller::probe(proc)?),
    };
    let list = lower(kind, hooks, &Defaults::of_host(spec, &record.bundle), &guards)?;
    let state =
        state(&spec.oci_version, &record.id, &record.bundle, &record.rootfs, &spec.annotations)?;
    Ok((list, state))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_json_whatever_the_strings_hold() {
        let annotations = BTreeMap::from([("a\"b".to_owned(), "c\nd".to_owned())]);
        let state = state("1.2.0", "x", Path::new("/b\"q"), Path::new("/r"), &annotations).unwrap();
        let value: serde_json::Value = serde_json::from_str(&state.render("created", 7)).unwrap();
        assert_eq!(value["status"], "created");
        assert_eq!(value["pid"], 7);
        assert_eq!(value["bundle"], "/b\"q");
        assert_eq!(value["annotations"]["a\"b"], "c\nd");
    }
}
