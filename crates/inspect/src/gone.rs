//! Containers that have gone, found as those that run are: by what is kept of them for a while.

use crate::names::SHORTEST;
use crate::names::{self, Called};
use crate::report::Decision;
use crate::roots::everywhere;
use anyhow::{bail, Context as _, Result};
use casemate_runtime::request::Global;
use casemate_runtime::state::past::{self, Past, MOST};
use serde_json::{json, Value};
use std::path::{Path, PathBuf};

/// A container that has gone.
#[derive(Debug)]
pub struct Gone {
    /// What is kept of it.
    pub past: Past,
    /// The state root that it was in.
    pub root: PathBuf,
    /// What its engine called it, as far as the engine still knows.
    pub called: Called,
}

impl Gone {
    /// When it went, and for how long that is known.
    #[must_use]
    pub fn ended(&self) -> String {
        format!(
            "it was deleted at {}, and this is kept until {MOST} others of {} have gone, or until the next boot",
            self.past.ended,
            self.root.display()
        )
    }

    /// As `explain` reports a container.
    #[must_use]
    pub fn explained(&self) -> Value {
        let Past { id, bundle, profile, overrides, created, ended, decisions, .. } = &self.past;
        let mut warnings = vec![format!("the container has gone: {}", self.ended())];
        if decisions.is_none() {
            warnings.push("what was decided about it is not kept".to_owned());
        }
        json!({
            "id": id, "bundle": bundle, "profile": profile, "overrides": overrides,
            "decisions": decisions.clone().unwrap_or_else(|| json!([])), "warnings": warnings,
            "created": created, "ended": ended, "root": self.root,
            "engine": self.called.engine, "name": self.called.name(),
        })
    }

    /// What was decided about it.
    ///
    /// # Errors
    /// Another release wrote it, in a form that is not known here.
    pub fn decisions(&self) -> Result<Vec<Decision>> {
        let decisions = self.past.decisions.clone();
        Decision::list(decisions.unwrap_or_else(|| json!([])))
            .with_context(|| format!("decisions of {}", self.past.id))
    }
}

/// Looks for a container that has gone: by its whole id, then by its name, then by the beginning of its id. Of several with
/// one name the last one is meant, as a service that is started again and again has one. In a root that was named, ids alone count.
///
/// # Errors
/// The beginning of an id means several, or something that is kept cannot be read.
pub fn find(global: &Global, word: &str) -> Result<Option<Gone>> {
    if global.root_is_explicit {
        return in_root(&global.root, word);
    }
    let roots = everywhere(global);
    let mut all = Vec::new();
    for root in &roots {
        // Another user's, for instance. What runs was looked for before, and that was told.
        let Ok(ids) = past::ids(root) else { continue };
        if ids.iter().any(|id| id == word) {
            return in_root(root, word);
        }
        for id in &ids {
            all.extend(in_root(root, id)?);
        }
    }
    all.sort_by(|a, b| a.past.ended.cmp(&b.past.ended));
    if let Some(last) = all.iter().rposition(|one| one.called.names.iter().any(|name| name == word))
    {
        return Ok(Some(all.swap_remove(last)));
    }
    let begins = |one: &Gone| word.len() >= SHORTEST && one.past.id.starts_with(word);
    all.retain(begins);
    if all.len() > 1 {
        let ids: Vec<&str> = all.iter().map(|one| one.past.id.as_str()).collect();
        bail!("{word} means {} containers that have gone: {}", ids.len(), ids.join(", "));
    }
    Ok(all.pop())
}

fn in_root(root: &Path, id: &str) -> Result<Option<Gone>> {
    let Some(past) = past::read(root, id)? else { return Ok(None) };
    // The engine's files may be gone or another container's by now; then the id is what is left.
    let called = names::of(&past.id, &past.bundle, &past.naming).unwrap_or_default();
    Ok(Some(Gone { past, root: root.to_owned(), called }))
}
