//! `policy permit`: one more name that annotations may ask for, as a file of its own.
//!
//! Pasting a line into the node's file can break it, and then no container starts. A further file
//! adds to what is permitted already, and can be removed again.

use crate::decide::caller::Caller;
use crate::decide::policy_choice::{open_dir, read_all, MORE, POLICY_DIR};
use crate::files::io_error_text;
use crate::hinted::hinted;
use crate::procfs;
use crate::request::Global;
use anyhow::{anyhow, bail, Context as _, Result};
use casemate_policy::{Allow, NodePolicy, ProfileName};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Permits annotations to ask for overrides, names with commas, or for a profile (`profile.NAME`).
/// Done already is fine. Nothing is done when one of the names cannot be permitted.
///
/// # Errors
/// A name that is unknown or forbidden, a policy that cannot be read before or after, a file that
/// cannot be written.
pub fn permit(global: &Global, names: &str) -> Result<Vec<PathBuf>> {
    let caller = Caller::probe(procfs::open()?)?;
    let policy = read_all(global, &caller)?;
    let names: Vec<String> = names.split(',').map(canonical).collect::<Result<_>>()?;
    for name in &names {
        if let Some(place) = policy.forbids(name) {
            bail!("{name} is forbidden by {place}");
        }
    }
    names.iter().map(|name| permit_one(global, &caller, name)).collect()
}

fn permit_one(global: &Global, caller: &Caller, name: &str) -> Result<PathBuf> {
    let text = format!("permit = [{name:?}]\n");
    let dir = global.policy_dir.clone().unwrap_or_else(|| PathBuf::from(POLICY_DIR));
    // No pattern of a shell, and no name that an override has.
    let file = dir.join(MORE).join(format!("50-{}.toml", name.replace('*', "ANY")));
    for dir in [&dir, &dir.join(MORE)] {
        make_dir(dir)?;
    }
    let more = dir.join(MORE);
    let at = open_dir(rustix::fs::CWD, &more, &more, caller)?;
    let at = at.ok_or_else(|| anyhow!("open {}: no such directory", more.display()))?;
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let inner = file.file_name().unwrap_or_default();
    let is_new = match rustix::fs::openat(&at, inner, flags, Mode::from_raw_mode(0o644)) {
        Ok(fd) => {
            // The caller's umask may have taken what engines of other users need to read it.
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o644))
                .with_context(|| format!("chmod {}", file.display()))?;
            let written = std::fs::File::from(fd).write_all(text.as_bytes());
            written
                .map_err(|e| io_error_text(&e))
                .with_context(|| format!("write {}", file.display()))?;
            true
        }
        Err(Errno::EXIST) => {
            same_text(&file, &text)?;
            false
        }
        Err(e) => bail!("create {}: {}", file.display(), casemate_sys::errno_text(e)),
    };
    if permits(&read_all(global, caller)?, name) {
        return Ok(file);
    }
    if is_new {
        rustix::fs::unlinkat(&at, inner, AtFlags::empty())
            .map_err(|e| anyhow!("unlink {}: {}", file.display(), casemate_sys::errno_text(e)))?;
    }
    bail!("{name} stays as it is: a file behind {} says permit = [\"@none\"]", file.display())
}

/// A file behind ours may say `@none`, which takes back what was permitted before.
fn permits(policy: &NodePolicy, name: &str) -> bool {
    let family = name.strip_suffix('*').unwrap_or(name);
    let is_meant = |known: &str| match family == name {
        true => known == name,
        false => known.starts_with(family),
    };
    policy.permitted().iter().any(|(known, _)| is_meant(known))
}

/// One name, as messages and records have it; also what a file can be called by.
fn canonical(name: &str) -> Result<String> {
    if let Some(profile) = name.strip_prefix("profile.") {
        return Ok(format!("profile.{}", ProfileName::parse(profile)?));
    }
    if name.contains('*') {
        return NodePolicy::default()
            .add_more("policy permit", &format!("permit = [{name:?}]\n"))
            .map(|()| name.to_owned())
            .map_err(Into::into);
    }
    let names = Allow::parse(name)?.names;
    match names.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(hinted(
            format!("{name} is a control"),
            format!("one of its overrides: {}", several.join(", ")),
        )),
    }
}

fn make_dir(dir: &Path) -> Result<()> {
    match rustix::fs::mkdir(dir, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(e) => Err(anyhow!("mkdir {}: {}", dir.display(), casemate_sys::errno_text(e))),
    }
}

fn same_text(file: &Path, text: &str) -> Result<()> {
    let found = crate::files::read_capped(file)?;
    match found == text.as_bytes() {
        true => Ok(()),
        false => bail!("{} exists and says something else", file.display()),
    }
}
