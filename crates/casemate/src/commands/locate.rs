//! Which container a command means: the one of that id in the state root, as for runc; and only where nobody named a root and
//! there is none, whatever container of this host answers to the word. So engines, which name a root or a whole id, pay nothing.

use super::style::clean;
use crate::context::Context;
use anyhow::{anyhow, Result};
use casemate_inspect::gone::{find, Gone};
use casemate_inspect::locate::{locate, Located, Search};
use casemate_runtime::hinted::hinted;
use casemate_runtime::report::bounded;
use casemate_runtime::request::Global;
use casemate_runtime::ContainerId;
use std::io::Write;

/// The id that the command is to go on with. The state root of `context` becomes the container's.
///
/// # Errors
/// The word means several containers, or one that casemate did not make.
pub(super) fn container(word: &str, context: &mut Context<'_>) -> Result<ContainerId> {
    if is_here(word, &context.global) {
        return ContainerId::parse(word);
    }
    let Search { found, problems } = elsewhere(word, &context.global)?;
    match found {
        Some(found) => own(word, &found, context),
        None => missing(&problems).map_or_else(|| ContainerId::parse(word), Err),
    }
}

/// What is kept of a container that has gone, where there is none of that id, whoever's it was. One that is there goes first.
///
/// # Errors
/// The word means several.
pub(super) fn gone(word: &str, global: &Global) -> Result<Option<Gone>> {
    // A directory that no id can be is nothing that is kept.
    // What is no id is in no root, and a root that cannot be searched the command itself will complain of.
    let is_there = ContainerId::parse(word).is_ok_and(|id| global.root.join(id).exists());
    if is_there || word.contains('/') && global.root_is_explicit {
        return Ok(None);
    }
    find(global, word)
}

/// Goes on with a container that was found elsewhere.
///
/// # Errors
/// casemate did not make it.
pub(super) fn own(word: &str, found: &Located, context: &mut Context<'_>) -> Result<ContainerId> {
    let id = &found.member.id;
    if let Some(foreign) = &found.member.foreign {
        return Err(hinted(
            format!("{word}: {} was made by {}, not by casemate", found.shown(), foreign.runtime),
            format!(
                "'casemate audit {id}' looks at it, 'casemate compare {id}' says what would change"
            ),
        ));
    }
    tell(&format!("{word} is {}", found.shown()));
    context.global.root.clone_from(&found.member.root);
    context.global.root_is_explicit = true;
    context.global.root_in_xdg_runtime_dir = false;
    ContainerId::parse(id)
}

/// Whether nothing is to be looked for: a root was named, or has a directory of that name.
pub(super) fn is_here(word: &str, global: &Global) -> bool {
    // What cannot be told there the command itself will tell.
    let has = |id: ContainerId| global.root.join(id).symlink_metadata().is_ok();
    global.root_is_explicit || ContainerId::parse(word).is_ok_and(has)
}

/// The container of this host that answers to the word.
///
/// # Errors
/// The word means several containers.
pub(super) fn elsewhere(word: &str, global: &Global) -> Result<Search> {
    let search = locate(global, word)?;
    for problem in search.problems.iter().filter(|_| search.found.is_some()) {
        tell(&format!("not looked at: {problem}"));
    }
    Ok(search)
}

/// That there is none cannot be said where not all could be looked at. As runc words it, because engines match on that.
pub(super) fn missing(problems: &[String]) -> Option<anyhow::Error> {
    let all = problems.join("; ");
    (!all.is_empty()).then(|| anyhow!("container does not exist, as far as can be seen: {all}"))
}

/// Standard error is the only place left: standard output is the command's answer.
fn tell(text: &str) {
    let _unwritable = writeln!(std::io::stderr(), "casemate: {}", clean(&bounded(text.to_owned())));
}
