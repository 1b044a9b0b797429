//! What would become of the containers that run on this host if they were started again now: by
//! this release, with the policy that is in force.
//!
//! Containers of casemate are compared with what was decided when they were made, those of other
//! runtimes with their configuration. Only state directories and bundles are read.

use crate::census::{self, Census, Member};
use crate::foreign::Found;
use crate::kept;
use crate::report::Decision;
use crate::roots::{each_once, everywhere};
use anyhow::{Context as _, Result};
use casemate_policy::Source;
use casemate_runtime::procfs;
use casemate_runtime::request::Global;
use casemate_runtime::state::{Record, StateRoot, Status};
use casemate_runtime::survey::survey;
use casemate_runtime::ContainerId;
use serde::Serialize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What would become of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It would not be made.
    Refused,
    /// It would be made, and be another one.
    Changed,
    /// It cannot be told.
    Unknown,
    /// It would be as it is.
    Same,
}

/// One control that would do something else than it did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its id; `profile` for the profile itself; empty where the configuration as a whole is
    /// refused.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub control: String,
    /// What it would do.
    pub verdict: String,
    /// Why, with the override that leaves it.
    pub reason: String,
}

/// One container.
#[derive(Clone, Debug, Serialize)]
pub struct Simulated {
    /// Its id.
    pub id: String,
    /// The runtime that made it.
    pub runtime: &'static str,
    /// The state root that it was found in.
    pub root: PathBuf,
    /// Its first process.
    pub pid: i32,
    /// What would become of it.
    pub outcome: Outcome,
    /// The profile that it would get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<&'static str>,
    /// In what it would differ, or why it cannot be told.
    pub differences: Vec<Difference>,
}

/// All of them.
#[derive(Clone, Debug, Serialize)]
pub struct Simulation {
    /// Refused ones first.
    pub containers: Vec<Simulated>,
    /// State directories that could not be read; a line each.
    pub problems: Vec<String>,
}

impl Simulation {
    /// How many have this outcome.
    #[must_use]
    pub fn count(&self, outcome: Outcome) -> usize {
        self.containers.iter().filter(|one| one.outcome == outcome).count()
    }
}

/// Looks at every running container below `roots`, or where runtimes and engines usually keep their
/// state.
///
/// # Errors
/// A policy that cannot be used: then nothing would be made at all.
pub fn simulate(global: &Global, roots: &[PathBuf]) -> Result<Simulation> {
    casemate_runtime::ops::policy(global, None)?;
    let usual = match roots {
        [] => everywhere(global),
        named => each_once(named.to_vec()),
    };
    let Census { members, mut problems } = census::take(&usual);
    let mut containers = Vec::new();
    for member in members {
        match one(global, &member) {
            Ok(found) => containers.extend(found),
            Err(error) => problems.push(format!("{}: {error:#}", member.dir.display())),
        }
    }
    containers.sort_by(|a, b| (a.outcome, &a.id).cmp(&(b.outcome, &b.id)));
    Ok(Simulation { containers, problems })
}

/// `None`: a container that does not run.
fn one(global: &Global, member: &Member) -> Result<Option<Simulated>> {
    let Member { id, root, dir, foreign } = member;
    let (found, record, before) = match foreign {
        Some(found) => (found.clone(), None, Ok(Vec::new())),
        None => {
            let state = StateRoot::open(root)?.container(&ContainerId::parse(id)?)?;
            let Some(record) = state.load()? else { return Ok(None) };
            if !Status::of(&record, &state, procfs::open()?)?.is_alive() {
                return Ok(None);
            }
            let before = kept::decisions(&state)
                .and_then(|kept| kept.context("decisions.json: not there"))
                .map_err(|error| format!("what was decided cannot be read: {error:#}"));
            let pid = record.init.map(|init| init.pid);
            let (bundle, state) = (Some(record.bundle.clone()), dir.clone());
            let found = Found { id: id.clone(), runtime: "casemate", state, bundle, pid };
            (found, Some(record), before)
        }
    };
    let Some(pid) = found.pid else { return Ok(None) };
    let (outcome, profile, differences) = match before {
        Ok(before) => judged(global, dir, &found, record.as_deref(), &before),
        // It runs, so it is listed: what cannot be compared is not left out.
        Err(reason) => whole(Outcome::Unknown, reason),
    };
    let Found { id, runtime, .. } = found;
    let root = root.clone();
    Ok(Some(Simulated { id, runtime, root, pid, outcome, profile, differences }))
}

type Judgement = (Outcome, Option<&'static str>, Vec<Difference>);

fn whole(outcome: Outcome, reason: String) -> Judgement {
    let verdict = if outcome == Outcome::Refused { "refused" } else { "unknown" }.to_owned();
    (outcome, None, vec![Difference { control: String::new(), verdict, reason }])
}

fn judged(
    global: &Global,
    dir: &Path,
    found: &Found,
    record: Option<&Record>,
    before: &[Decision],
) -> Judgement {
    let unknown = |reason: String| whole(Outcome::Unknown, reason);
    let own = rustix::process::geteuid().as_raw();
    match dir.symlink_metadata() {
        Ok(meta) if meta.uid() == own => {}
        Ok(meta) => return unknown(format!("made by uid {}: ask as that user", meta.uid())),
        Err(error) => return unknown(error.to_string()),
    }
    let Some(bundle) = &found.bundle else {
        return unknown("the state does not say where the bundle is".to_owned());
    };
    let named = record.and_then(|record| record.config.as_ref());
    let file = named.cloned().unwrap_or_else(|| bundle.join("config.json"));
    if let Err(error) = file.metadata() {
        return unknown(format!("{}: {error}", file.display()));
    }
    match survey(&as_it_was_called(global, record), bundle, named, &found.id) {
        // What `create` would say: a policy that forbids, a configuration that cannot be read.
        Err(error) => whole(Outcome::Refused, format!("{error:#}")),
        Ok(then) => {
            let now = match serde_json::to_value(&then.decisions).and_then(Decision::list) {
                Ok(now) => now,
                Err(error) => return unknown(format!("what would be decided: {error}")),
            };
            let mut differences = differences(&now, before);
            let profile = then.profile.as_str();
            let was = record.map(|record| record.spec.profile().as_str());
            let other = was.filter(|was| *was != profile);
            differences.splice(..0, other.map(|was| Difference {
                control: "profile".to_owned(),
                verdict: "changed".to_owned(),
                reason: format!("{profile}, is {was} (what an engine passes as --profile is not known here)"),
            }));
            let outcome = match differences.iter().any(|one| one.verdict == "refused") {
                true => Outcome::Refused,
                false if differences.is_empty() => Outcome::Same,
                false => Outcome::Changed,
            };
            (outcome, Some(profile), differences)
        }
    }
}

/// With the overrides that the command line gave the container when it was made.
fn as_it_was_called(global: &Global, record: Option<&Record>) -> Global {
    let mut global = global.clone();
    let granted = record.map(|record| &record.spec.overrides().granted);
    let by_line = granted.into_iter().flatten().filter(|(_, by)| **by == Source::CommandLine);
    global.allow.extend(by_line.map(|(name, _)| name.clone()));
    global
}

/// Controls that look at whoever calls: the engine's shim then, somebody's shell now.
const OF_THE_CALLER: [&str; 2] = ["oom.score", "rlimits.defaults"];

/// What is done that was not, and what was done that is not: by control, verdict and place. What a
/// control puts there is compared too, but for ids and labels, which are another container's each
/// time.
fn differences(now: &[Decision], before: &[Decision]) -> Vec<Difference> {
    let counts = |decision: &&Decision| {
        let verdict = decision.verdict.as_str();
        let of_caller = !before.is_empty() && OF_THE_CALLER.contains(&decision.rule.as_str());
        verdict == "refused" || matches!(verdict, "tightened" | "added") && !of_caller
    };
    let is_same = |a: &Decision, b: &Decision| {
        let given_out = ["userns.auto", "selinux.assign"].contains(&a.rule.as_str());
        (&a.rule, &a.verdict, &a.pointer) == (&b.rule, &b.verdict, &b.pointer)
            && (given_out || a.after == b.after)
    };
    let is_in = |list: &[Decision], one: &Decision| list.iter().any(|other| is_same(one, other));
    let difference = |one: &Decision, verdict: &str| Difference {
        control: one.rule.clone(),
        verdict: verdict.to_owned(),
        reason: one.reason.clone(),
    };
    let new = now.iter().filter(counts).filter(|one| !is_in(before, one));
    let gone = before.iter().filter(counts).filter(|one| !is_in(now, one));
    let mut all: Vec<Difference> = new.map(|one| difference(one, &one.verdict)).collect();
    for one in gone {
        // The same control with another value is one difference.
        if !all.iter().any(|known| known.control == one.rule) {
            all.push(difference(one, "no longer"));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decisions(list: serde_json::Value) -> Vec<Decision> {
        Decision::list(list).unwrap()
    }

    #[test]
    fn decisions_are_compared_by_control_verdict_place_and_value() {
        let before = decisions(json!([
            {"rule": "pids.limit", "verdict": "added", "pointer": "/p", "after": 512},
            {"rule": "userns.auto", "verdict": "added", "pointer": "/u", "after": [1]},
            {"rule": "root.readonly", "verdict": "tightened", "pointer": "/r", "after": true},
            {"rule": "process.root", "verdict": "kept", "pointer": ""},
        ]));
        let now = decisions(json!([
            {"rule": "pids.limit", "verdict": "added", "pointer": "/p", "after": 9},
            {"rule": "userns.auto", "verdict": "added", "pointer": "/u", "after": [2]},
            {"rule": "mounts.sources", "verdict": "refused", "pointer": "/m"},
            {"rule": "process.root", "verdict": "warned", "pointer": ""},
        ]));
        let found: Vec<(String, String)> =
            differences(&now, &before).into_iter().map(|one| (one.control, one.verdict)).collect();
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(
            found,
            [
                pair("pids.limit", "added"),
                pair("mounts.sources", "refused"),
                pair("root.readonly", "no longer")
            ]
        );
        assert!(differences(&before, &before).is_empty());
    }
}
