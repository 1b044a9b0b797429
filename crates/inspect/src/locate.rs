//! One container of this host, by its id, the beginning of it, or what its engine calls it, whoever's state root it is in.

use crate::census::{self, Census, Member};
use crate::names::{self, Called, SHORTEST};
use crate::roots::everywhere;
use anyhow::Result;
use casemate_policy::spec::Spec;
use casemate_runtime::files::read_regular;
use casemate_runtime::hinted::hinted;
use casemate_runtime::request::Global;
use casemate_runtime::state::StateRoot;
use casemate_runtime::ContainerId;
use std::path::Path;

/// A container that was found.
#[derive(Clone, Debug)]
pub struct Located {
    /// Where it is, and whose.
    pub member: Member,
    /// What its engine calls it.
    pub called: Called,
}

/// The answer of a search.
#[derive(Debug, Default)]
pub struct Search {
    /// The container, if there is one.
    pub found: Option<Located>,
    /// What could not be looked at, so that there may be another one; a line each.
    pub problems: Vec<String>,
}

impl Located {
    /// As people call it, with what tells it from others.
    #[must_use]
    pub fn shown(&self) -> String {
        let Member { id, root, foreign, .. } = &self.member;
        let runtime = foreign.as_ref().map_or("casemate", |found| found.runtime);
        let name = self.called.name().map(|name| format!(" {name}")).unwrap_or_default();
        let engine = self.called.engine.unwrap_or(runtime);
        format!("{id} ({engine}{name}, in {})", root.display())
    }
}

/// What a container's engine calls it; a container of another runtime is asked by its configuration.
///
/// # Errors
/// Its record or configuration, or a file of its engine, cannot be read.
pub fn called(member: &Member) -> Result<Called> {
    match &member.foreign {
        None => {
            let state =
                StateRoot::open(&member.root)?.container(&ContainerId::parse(&member.id)?)?;
            let Some(record) = state.load()? else { return Ok(Called::default()) };
            names::of(&member.id, &record.bundle, &record.spec)
        }
        Some(found) => match &found.bundle {
            Some(bundle) => of_bundle(&member.id, bundle),
            None => Ok(Called::default()),
        },
    }
}

fn of_bundle(id: &str, bundle: &Path) -> Result<Called> {
    let file = bundle.join("config.json");
    // One that has gone has nothing more to say.
    if !file.try_exists()? {
        return Ok(Called::default());
    }
    names::of(id, bundle, &Spec::parse_in(bundle, &read_regular(&file)?)?)
}

/// Looks for `word` in all state roots of this host: as a whole id, then as a name, then as the beginning of an id. The first of
/// these that anything answers to decides, as with docker and podman.
///
/// # Errors
/// It means several containers: all of them are named.
pub fn locate(global: &Global, word: &str) -> Result<Search> {
    let roots = everywhere(global);
    let mut found = match ContainerId::parse(word) {
        Ok(id) => Candidates::of(census::of_id(&roots, &id)),
        // With slashes it may be a name of a pod's.
        Err(_) => Candidates::default(),
    };
    if found.all.is_empty() && !is_whole(word) {
        let mut others = Candidates::of(census::take(&roots));
        others.keep(word);
        found = others;
    }
    let Candidates { mut all, problems } = found;
    if all.len() > 1 {
        let candidates: Vec<String> = all.iter().map(Located::shown).collect();
        return Err(hinted(
            format!("{word} means {} containers: {}", all.len(), candidates.join("; ")),
            "more of the id, or --root with one of these directories",
        ));
    }
    Ok(Search { found: all.pop(), problems })
}

/// The container of this id in one state root.
///
/// # Errors
/// The word is no id.
pub fn in_root(root: &Path, word: &str) -> Result<Search> {
    let id = ContainerId::parse(word)?;
    let Candidates { mut all, problems } = Candidates::of(census::of_id(&[root.to_owned()], &id));
    Ok(Search { found: all.pop(), problems })
}

/// As engines make ids: nothing longer begins with it, and nobody is called so. Engines ask for containers that are gone, and no
/// record is read for that.
fn is_whole(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[derive(Default)]
struct Candidates {
    all: Vec<Located>,
    problems: Vec<String>,
}

impl Candidates {
    fn of(census: Census) -> Self {
        let Census { members, mut problems } = census;
        let all = members.into_iter().map(|member| with_name(member, &mut problems)).collect();
        Self { all, problems }
    }

    /// Those of that name, else those whose id begins so.
    fn keep(&mut self, word: &str) {
        let is_named = |one: &Located| one.called.names.iter().any(|name| name == word);
        let begins = |one: &Located| word.len() >= SHORTEST && one.member.id.starts_with(word);
        match self.all.iter().any(is_named) {
            true => self.all.retain(is_named),
            false => self.all.retain(begins),
        }
    }
}

/// One whose name is not known can still be meant by its id.
fn with_name(member: Member, problems: &mut Vec<String>) -> Located {
    let called = called(&member).unwrap_or_else(|error| {
        problems.push(format!("{}: {error:#}", member.dir.display()));
        Called::default()
    });
    Located { member, called }
}
