//! `policy`: what the node's policy says, without a container.

use crate::decide::caller::Caller;
use crate::decide::policy_choice::{node_policy, read_dir};
use crate::files::read_capped;
use crate::procfs;
use crate::request::Global;
use anyhow::{Context as _, Result};
use casemate_policy::{Control, NodePolicy, CONTROLS};
use serde::Serialize;
use std::path::Path;

/// The policy in a directory other than the node's, with the same checks; `None` when it is not there.
///
/// # Errors
/// Files that cannot be used: what `create` would say.
pub fn policy_in(dir: &Path) -> Result<Option<NodePolicy>> {
    read_dir(dir, &Caller::probe(procfs::open()?)?)
}

/// What applies to containers on this node.
#[derive(Clone, Debug, Serialize)]
pub struct PolicyReport {
    /// The files that were read, in their order; none: the built-in policy.
    pub files: Vec<String>,
    /// The profile of containers that name none and that no rule is for.
    pub profile: &'static str,
    /// Every control.
    pub controls: Vec<ControlReport>,
    /// What nobody gets: name or pattern, and the place that says so.
    pub forbidden: Vec<(String, String)>,
    /// What callers may ask for by annotation: name, and the place that says so.
    pub permitted: Vec<(String, String)>,
    /// Rules for some containers: where, and for which.
    pub rules: Vec<(String, String)>,
    /// What will not do what it seems to say.
    pub notes: Vec<String>,
}

/// One control.
#[derive(Clone, Debug, Serialize)]
pub struct ControlReport {
    /// Its id.
    pub control: &'static str,
    /// What it does in containers that no rule is for.
    pub mode: &'static str,
    /// What its overrides are called that are not forbidden.
    pub allow: Vec<&'static str>,
    /// What it is for, in a line.
    pub summary: &'static str,
}

/// The policy that is in force, after all checks of its files; of `file` alone where one is named, whose owner does not matter
/// yet.
///
/// # Errors
/// Files that cannot be used: what `create` would say.
pub fn policy(global: &Global, file: Option<&Path>) -> Result<PolicyReport> {
    match file {
        Some(file) => Ok(report(&read(file)?)),
        None => {
            let policy = node_policy(global, &Caller::probe(procfs::open()?)?)?;
            Ok(report(&policy))
        }
    }
}

fn read(file: &Path) -> Result<NodePolicy> {
    let shown = file.display().to_string();
    let bytes = read_capped(file)?;
    let text = std::str::from_utf8(&bytes).with_context(|| shown.clone())?;
    let mut policy = NodePolicy::default();
    policy.add(&shown, text)?;
    Ok(policy)
}

fn report(policy: &NodePolicy) -> PolicyReport {
    let choice = policy.for_everyone();
    let row = |control: &Control| ControlReport {
        control: control.id.as_str(),
        mode: choice.mode(control.id).as_str(),
        allow: control.allow.iter().copied().filter(|name| choice.leaves_open(name)).collect(),
        summary: control.summary,
    };
    PolicyReport {
        files: policy.files().to_vec(),
        profile: choice.profile.name.as_str(),
        controls: CONTROLS.iter().map(row).collect(),
        forbidden: policy.forbidden().map(|(name, by)| (name.to_owned(), by.to_owned())).collect(),
        permitted: policy.permitted(),
        rules: policy.rules().map(|(place, matches)| (place.to_owned(), matches)).collect(),
        notes: policy.notes().into_iter().chain(no_log(policy)).collect(),
    }
}

/// The audit log cannot be written on this host.
fn no_log(policy: &NodePolicy) -> Option<String> {
    let dir = Path::new(policy.audit().file.as_ref()?).parent()?;
    // One that cannot be looked at is for `create` to complain of.
    let missing = matches!(dir.try_exists(), Ok(false));
    let dir = dir.display();
    missing.then(|| format!("audit.file: its directory is missing here: install -d -m 0700 {dir}"))
}
