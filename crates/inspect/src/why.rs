//! Why a container was refused, or ended: what is known of it from all sides, brought together for one answer.

use crate::denials::{self, Denial};
use crate::engine_says::{self, End};
use crate::gone;
use crate::locate::{Located, Search};
use crate::names::Called;
use crate::report::Decision;
use crate::{kept, locate};
use anyhow::{bail, Result};
use casemate_policy::spec::Spec;
use casemate_policy::CONTROLS;
use casemate_runtime::audit_log::refusals::{self, Refused};
use casemate_runtime::hinted::hinted;
use casemate_runtime::request::Global;
use casemate_runtime::state::{StateRoot, Status};
use casemate_runtime::{procfs, ContainerId};
use serde::Serialize;

/// So many denials are named.
const LAST: usize = 5;

/// What a control took away, or put in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cut {
    /// The control.
    pub control: String,
    /// Why, as it was decided.
    pub reason: String,
    /// Overrides that leave it alone, of several the one that fits; none where nothing does.
    pub allow: Vec<String>,
}

/// The answer.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The whole id.
    pub id: String,
    /// The engine, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<&'static str>,
    /// What the engine calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The profile that it was made with, or refused by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// running, paused, created, stopped, gone or refused.
    pub status: String,
    /// When it was deleted, and how long that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// The exit status of its process, where the engine has kept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_status: Option<i64>,
    /// The engine says that it met its memory limit.
    pub out_of_memory: bool,
    /// The line that it was refused with, or failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What it asked for and was not given.
    pub cut: Vec<Cut>,
    /// What its programs were denied while it ran, the last of it, as far as there are records.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub denials: Vec<Denial>,
    /// How many more there are records of.
    #[serde(skip_serializing_if = "is_zero")]
    pub denials_before: usize,
    /// Why there may be more: the records could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denials_unread: Option<String>,
    /// What the error of a refusal names as what lets it pass: all of it together.
    #[serde(skip)]
    named: Vec<String>,
    /// By what its engine's records of it are found.
    #[serde(skip)]
    naming: Spec,
}

impl Why {
    /// The overrides of all that was cut, each once; of what was cut and not refused those that are a control's only one.
    #[must_use]
    pub fn overrides(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        let fits = |cut: &&Cut| self.status == "refused" || cut.allow.len() == 1;
        let of_cuts = self.cut.iter().filter(fits).flat_map(|cut| &cut.allow);
        for name in self.named.iter().chain(of_cuts) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// Asks about a container by its id, the beginning of it, or its name.
///
/// # Errors
/// Nobody knows it; or the word means several; or what is known cannot be read.
pub fn ask(global: &Global, word: &str) -> Result<Why> {
    let Search { found, problems } = here(global, word)?;
    let mut why = match found {
        Some(found) => of_container(&found)?,
        None => match gone::find(global, word)? {
            Some(gone) => of_gone(&gone)?,
            None => of_refusal(global, word, &problems)?,
        },
    };
    if why.status != "refused" {
        match denials::collect(global, Some(&why.id)) {
            Ok(mut found) => {
                let older = found.denials.len().saturating_sub(LAST);
                why.denials = found.denials.split_off(older);
                why.denials_before = older;
            }
            // Who may not read them is told so; the rest of the answer does not depend on it.
            Err(error) => why.denials_unread = Some(format!("{error:#}")),
        }
    }
    if !["running", "paused", "created"].contains(&why.status.as_str()) {
        let End { status, out_of_memory, error } =
            engine_says::end(&why.id, why.engine, &why.naming)?;
        (why.exit_status, why.out_of_memory) = (status, out_of_memory);
        why.error = why.error.or(error);
    }
    Ok(why)
}

/// In the root that was named, by its id alone.
fn here(global: &Global, word: &str) -> Result<Search> {
    match global.root_is_explicit {
        true => locate::in_root(&global.root, word),
        false => locate::locate(global, word),
    }
}

fn of_container(found: &Located) -> Result<Why> {
    let member = &found.member;
    if let Some(foreign) = &member.foreign {
        bail!("{} was made by {}, not by casemate", found.shown(), foreign.runtime);
    }
    let state = StateRoot::open(&member.root)?.container(&ContainerId::parse(&member.id)?)?;
    let Some(record) = state.load()? else { bail!("container does not exist") };
    let status = Status::of(&record, &state, procfs::open()?)?;
    Ok(Why {
        id: member.id.clone(),
        engine: found.called.engine,
        name: found.called.name().map(ToOwned::to_owned),
        profile: Some(record.spec.profile().as_str().to_owned()),
        status: status.name().to_owned(),
        cut: cuts(&kept::decisions(&state)?.unwrap_or_default()),
        naming: (*record.spec).clone(),
        ..Why::default()
    })
}

fn of_gone(gone: &gone::Gone) -> Result<Why> {
    Ok(Why {
        id: gone.past.id.clone(),
        engine: gone.called.engine,
        name: gone.called.name().map(ToOwned::to_owned),
        profile: Some(gone.past.profile.clone()),
        status: "gone".to_owned(),
        ended: Some(gone.ended()),
        cut: cuts(&gone.decisions()?),
        naming: gone.past.naming.clone(),
        ..Why::default()
    })
}

/// One that never was: its engine may know it, and the audit log what it was told.
fn of_refusal(global: &Global, word: &str, problems: &[String]) -> Result<Why> {
    let known = engine_says::known(word)?;
    let id = known.as_ref().map_or(word, |(id, _)| id.as_str());
    let refused = refusals::last(global, id)?;
    if known.is_none() && refused.is_none() {
        let unseen = problems.join("; ");
        let seen =
            if unseen.is_empty() { String::new() } else { format!(" (not looked at: {unseen})") };
        return Err(hinted(
            format!("no record of {word}{seen}"),
            "refusals are kept in the audit log, once the node's policy names one",
        ));
    }
    let id = refused.as_ref().map_or(id, |refused| refused.id.as_str()).to_owned();
    let Called { engine, names } = known.map(|(_, called)| called).unwrap_or_default();
    let Refused { error, profile, decisions, .. } = refused.unwrap_or_default();
    let text = error.as_deref().unwrap_or_default();
    let named = overrides_in(text);
    let refused = |(control, reason): (String, String)| {
        let names = names_of(&control);
        let is_of = |name: &String| {
            names.iter().any(|own| match own.strip_suffix('*') {
                Some(begin) => name.starts_with(begin),
                None => own == name,
            })
        };
        let allow = named.iter().filter(|name| is_of(name)).cloned().collect();
        // What else was decided had no part in it.
        text.contains(&format!("(rule {control})")).then_some(Cut { allow, control, reason })
    };
    let cut: Vec<Cut> = decisions.into_iter().filter_map(refused).collect();
    Ok(Why {
        id,
        engine,
        name: names.into_iter().next(),
        profile,
        status: "refused".to_owned(),
        error,
        cut,
        named,
        ..Why::default()
    })
}

/// What a caller asked for and did not get, each control once. What hardening adds beside takes nothing away that was asked for.
fn cuts(decisions: &[Decision]) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    for decision in decisions.iter().filter(|one| one.verdict == "tightened") {
        if cuts.iter().all(|cut| cut.control != decision.rule) {
            let allow = allow(decision);
            cuts.push(Cut {
                control: decision.rule.clone(),
                reason: decision.reason.clone(),
                allow,
            });
        }
    }
    cuts
}

/// The capabilities that were taken away have names of their own.
fn allow(decision: &Decision) -> Vec<String> {
    let list = |value: &serde_json::Value| -> Vec<String> {
        let all = value.as_array().into_iter().flatten().filter_map(|one| one.as_str());
        all.map(ToOwned::to_owned).collect()
    };
    if !decision.allow.is_empty() {
        return decision.allow.clone();
    }
    if decision.rule != "capabilities.ceiling" {
        return names_of(&decision.rule).into_iter().filter(|name| !name.contains('*')).collect();
    }
    let after = list(&decision.after);
    let taken = list(&decision.before).into_iter().filter(|name| !after.contains(name));
    taken
        .map(|name| format!("capabilities.{}", name.trim_start_matches("CAP_").to_lowercase()))
        .collect()
}

/// The overrides that a control has: which of several fits depends on what it saw.
fn names_of(control: &str) -> Vec<String> {
    let row = CONTROLS.iter().find(|row| row.id.as_str() == control);
    row.into_iter().flat_map(|row| row.allow).map(|name| (*name).to_owned()).collect()
}

/// The overrides that a refusal names.
fn overrides_in(error: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for rest in error.split("--allow ").skip(1) {
        let list = rest.split_whitespace().next().unwrap_or_default();
        for name in list.split(',').map(|name| name.trim_end_matches(';')) {
            if !name.is_empty() && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overrides_of_a_refusal_are_those_that_it_names() {
        let one = "denied: a (rule x); allow with --allow a.b, or annotation k/a.b=true";
        assert_eq!(overrides_in(one), ["a.b"]);
        let all =
            "denied: a; allow all with --allow a.b,c.d, or annotation; allow with --allow c.d, x";
        assert_eq!(overrides_in(all), ["a.b", "c.d"]);
        assert!(overrides_in("exec: no such file").is_empty());
    }
}
