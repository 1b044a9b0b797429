//! What `audit` is to look at: a process, a bundle, a container of the state root, or one of the host.

use super::super::locate;
use super::Audit;
use crate::context::Context;
use anyhow::{bail, Result};
use casemate_inspect::gone::Gone;
use casemate_inspect::locate::{Located, Search};
use casemate_inspect::subject::{self, Target};
use casemate_runtime::request::path;
use casemate_runtime::ContainerId;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// What was meant.
pub(super) enum Meant {
    /// It is there.
    Target(Target),
    /// A container that has gone.
    Gone(Box<Gone>),
}

/// A word with a slash is a directory. Any other is a container of the state root if there is one of that name, else a directory,
/// else whatever container of this host answers to it, or answered before it went.
pub(super) fn of(args: &Audit, context: &mut Context<'_>) -> Result<Meant> {
    let config = args.config.clone();
    if let Some(pid) = args.pid {
        if args.target.is_some() {
            bail!("--pid and a bundle or container cannot both be looked at");
        }
        return Ok(Meant::Target(Target::Process(pid)));
    }
    let word = args.target.as_deref().unwrap_or(OsStr::new("."));
    let text = word.to_string_lossy();
    // What is no id can be a directory.
    // What is no id may be a directory, or an engine's name.
    let id = ContainerId::parse(&text).ok().filter(|_| config.is_none());
    let global = &context.global;
    let is_container = id.as_deref().map_or(Ok(false), |id| subject::is_container(global, id));
    if let (Ok(true), Some(id)) = (&is_container, id) {
        return Ok(Meant::Target(Target::Container(id.into())));
    }
    let dir = bundle(word, config.as_deref());
    if let Ok(Some(dir)) = dir {
        return Ok(Meant::Target(Target::Bundle(dir, config)));
    }
    let mut unseen = None;
    if config.is_none() && !context.global.root_is_explicit {
        let Search { found, problems } = locate::elsewhere(&text, &context.global)?;
        if let Some(found) = found {
            return of_host(&text, found, context).map(Meant::Target);
        }
        unseen = locate::missing(&problems);
    }
    if config.is_none() {
        if let Some(gone) = locate::gone(&text, &context.global)? {
            return Ok(Meant::Gone(Box::new(gone)));
        }
    }
    is_container?;
    dir?;
    unseen.map_or(Ok(()), Err)?;
    bail!("{text}: neither a container nor a directory with a config.json")
}

/// `None`: a directory without a configuration.
fn bundle(word: &OsStr, config: Option<&Path>) -> Result<Option<PathBuf>> {
    let dir = path::directory(word)?;
    Ok((config.is_some() || dir.join("config.json").exists()).then_some(dir))
}

fn of_host(word: &str, found: Located, context: &mut Context<'_>) -> Result<Target> {
    if let Some(foreign) = found.member.foreign {
        return Ok(Target::Foreign(foreign));
    }
    let id = locate::own(word, &found, context)?;
    Ok(Target::Container(id.into()))
}
