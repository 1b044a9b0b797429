//! A new instance of a file system: its parameters, with the ids that its mount will have.

use super::mount_context::MountContext;
use crate::decide::caller::selinux;
use crate::unmappable::Unmappable;
use anyhow::{anyhow, bail, Result};
use casemate_kernel::InnerId;
use casemate_policy::mount_options::MountPlanFlags;
use casemate_policy::spec::{Mount, Spec};
use casemate_sandbox::plan::{Content, MountSource};
use std::path::PathBuf;

/// File systems that a container gets a new one of, whose files are of its own ids. Others have files with owners
/// already.
const NEW: [&str; 8] =
    ["proc", "sysfs", "tmpfs", "ramfs", "devpts", "mqueue", "hugetlbfs", "devtmpfs"];

pub(super) fn filesystem(
    spec: &Spec,
    mount: &Mount,
    flags: &MountPlanFlags,
    context: &MountContext<'_>,
) -> Result<MountSource> {
    let fstype = mount.kind.clone().ok_or_else(|| anyhow!("neither a type nor the option bind"))?;
    if context.mapper.is_some() && !NEW.contains(&fstype.as_str()) {
        let about = format!("{} is a new mount of {fstype}", mount.destination);
        return Err(
            Unmappable::new(format!("{about}, which cannot be shown with other ids")).into()
        );
    }
    let mut options: Vec<(String, Option<String>)> = Vec::new();
    for flag in flags.fsconfig_flags() {
        // The superblock of these may be shared with the host's: only the mount is made read-only.
        if flag != "ro" {
            options.push((flag.to_owned(), None));
        }
    }
    for option in &flags.data {
        if let Some(value) = translate(&fstype, &option.key, option.value.as_deref(), context)? {
            options.push((option.key.clone(), value));
        }
    }
    options.extend(label_option(spec, &fstype)?);
    let is_tmpfs = fstype == "tmpfs";
    let has_mode = options.iter().any(|(key, _)| key == "mode");
    Ok(MountSource::Filesystem {
        source: Some(mount.source.clone().unwrap_or_else(|| fstype.clone())),
        or_bind: stand_in(&fstype, context.nested),
        content: if flags.tmpcopyup && is_tmpfs { Content::Copy } else { Content::Nothing },
        inherit_mode: is_tmpfs && !has_mode,
        label: attribute(spec, &fstype)?,
        options,
        fstype,
    })
}

/// What is bound where the kernel refuses a file system. Only root of the host has no reason to be refused: then something is
/// wrong, and the host's tree no answer.
fn stand_in(fstype: &str, nested: bool) -> Option<PathBuf> {
    (nested && fstype == "sysfs").then(|| PathBuf::from("/sys"))
}

/// uid= and gid= of the container, in ids of who makes the mount. Answers `None` to leave the option out.
#[allow(clippy::option_option)]
fn translate(
    fstype: &str,
    key: &str,
    value: Option<&str>,
    context: &MountContext<'_>,
) -> Result<Option<Option<String>>> {
    let text = value.map(str::to_owned);
    let is_id = matches!(key, "uid" | "gid") && matches!(fstype, "tmpfs" | "devpts" | "ramfs");
    // What is no number is for the kernel to refuse.
    let Some(id) = text.as_deref().filter(|_| is_id).and_then(|text| text.parse::<u32>().ok())
    else {
        return Ok(Some(text));
    };
    let host = if key == "uid" {
        context.ids.host_uid(InnerId(id))
    } else {
        context.ids.host_gid(InnerId(id))
    };
    match host {
        Some(host) => Ok(Some(Some(host.to_string()))),
        None if context.unprivileged => Ok(None),
        None => bail!("{key}={id} is not mapped into the container's user namespace"),
    }
}

/// `linux.mountLabel` for a file system that was made with the namespace, and takes no other option any more.
fn attribute(spec: &Spec, fstype: &str) -> Result<Option<String>> {
    match &spec.linux.mount_label {
        Some(label) if fstype == "mqueue" && selinux()? => Ok(Some(label.clone())),
        _ => Ok(None),
    }
}

/// `linux.mountLabel` as an option, for file systems that take one.
///
/// # Errors
/// Whether SELinux is on cannot be read: the label must not be left out for that.
pub(super) fn label_option(spec: &Spec, fstype: &str) -> Result<Option<(String, Option<String>)>> {
    let Some(label) = &spec.linux.mount_label else { return Ok(None) };
    // The kernel knows the option only while SELinux is on; otherwise the label means nothing.
    if !matches!(fstype, "tmpfs" | "devpts" | "overlay" | "ramfs") || !selinux()? {
        return Ok(None);
    }
    let kinds = ["rootcontext", "fscontext", "defcontext"];
    let asked = spec.annotations.get("run.oci.mount_context_type").map(String::as_str);
    let key = asked.filter(|kind| kinds.contains(kind)).unwrap_or("context");
    Ok(Some((key.to_owned(), Some(label.clone()))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_sysfs_stands_in_for_callers_in_a_container_only() {
        assert_eq!(stand_in("sysfs", false), None);
        assert_eq!(stand_in("sysfs", true), Some(PathBuf::from("/sys")));
        assert_eq!(stand_in("proc", true), None);
    }
}
