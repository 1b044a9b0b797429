//! What the types alone cannot rule out: impossible combinations and values out of range.
//!
//! Each finding is one line with the JSON path. Only the document is judged here: whether a path exists,
//! or a namespace file is of the right kind, is the runtime's to see.

mod hooks;
mod ids;
mod linux;
mod lists;
mod mounts;
mod namespaces;
mod nul;
mod process;
mod resources;
mod seccomp;
pub(crate) mod sysctl;
mod warn;

pub(crate) use ids::container_ids;
pub(crate) use mounts::clean;
pub(crate) use nul::nul_bytes;

use crate::spec::{Process, Resources, Spec, SpecError, Warning};

/// Checks a whole configuration; returns what deserves a warning.
pub(crate) fn spec(spec: &Spec) -> Result<Vec<Warning>, SpecError> {
    let mut warnings = Vec::new();
    oci_version(&spec.oci_version)?;
    if spec.root.path.is_empty() {
        return Err(SpecError::new("root.path", "missing: the container needs a root file system"));
    }
    if spec.annotations.contains_key("") {
        return Err(SpecError::new("annotations", "a key must not be empty"));
    }
    if let Some(process) = &spec.process {
        process::check(process, &mut warnings)?;
        container_ids(process, &spec.linux)?;
    }
    hooks::check(&spec.hooks)?;
    namespaces::check(spec)?;
    mounts::check(spec, &mut warnings)?;
    linux::check(spec, &mut warnings)?;
    sysctl::check(spec)?;
    if let Some(profile) = &spec.linux.seccomp {
        seccomp::check(profile)?;
    }
    if let Some(limits) = &spec.linux.resources {
        resources::check(limits)?;
        resources::useless_access(limits, &mut warnings);
    }
    Ok(warnings)
}

/// Checks a process that is added to a container. The ids are judged later, against its mappings.
pub(crate) fn process(process: &Process) -> Result<(), SpecError> {
    process::check(process, &mut Vec::new())
}

/// Checks limits given to `update`.
pub(crate) fn resources(limits: &Resources) -> Result<(), SpecError> {
    resources::check(limits)
}

/// Any 1.x version; the specification promises compatibility within a major version.
fn oci_version(version: &str) -> Result<(), SpecError> {
    let fail = |message: String| Err(SpecError::new("ociVersion", message));
    if version.is_empty() {
        return fail("missing".to_owned());
    }
    // A pre-release or build suffix ("1.2.0-rc.1+dev") does not change the major version.
    let core = version.split(['-', '+']).next().unwrap_or_default();
    // A part that is no number makes it no version.
    let numbers: Option<Vec<u32>> = core.split('.').map(|part| part.parse().ok()).collect();
    match numbers.as_deref() {
        Some([1, _, _]) => Ok(()),
        Some([_, _, _]) => fail(format!("{version:?} is not supported, only 1.x is")),
        _ => fail(format!("{version:?} is not a semantic version")),
    }
}
