//! What giving an SELinux label depends on.

use crate::decide::caller::Caller;
use anyhow::{Context as _, Result};
use casemate_policy::{AutoLabel, SelinuxFacts, Values};
use casemate_sys::errno_text;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::path::Path;

/// Where the kernel's interface is mounted.
const SELINUXFS: &str = "/sys/fs/selinux";

/// What giving a label depends on; `None`: this caller may give none.
pub(crate) fn facts(values: &Values, caller: &Caller) -> Result<Option<SelinuxFacts>> {
    if !(caller.privileged && caller.initial_user_namespace) {
        return Ok(None);
    }
    let path = Path::new(SELINUXFS).join("enforce");
    let enforce = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let wanted = AutoLabel::of(values);
    let unknown = [&wanted.process, &wanted.file].into_iter().find_map(|label| unknown(label));
    Ok(Some(SelinuxFacts { enforcing: enforce.starts_with(b"1"), fault: unknown }))
}

/// Why the loaded policy does not take a label of this kind; `None`: it does.
fn unknown(label: &str) -> Option<String> {
    let label = format!("{label}:c0,c1");
    let path = Path::new(SELINUXFS).join("context");
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let answer = rustix::fs::open(&path, flags, Mode::empty())
        .and_then(|file| rustix::io::write(&file, label.as_bytes()));
    match answer {
        Ok(_) => None,
        Err(Errno::INVAL) => Some(format!(
            "the loaded SELinux policy has no label {label} (hint: install container-selinux)"
        )),
        Err(e) => Some(format!("{}: {}", path.display(), errno_text(e))),
    }
}
