//! Mounts: where they may go and what their options need.

use super::ids;
use super::warn::warn;
use crate::mount_options::MountPlanFlags;
use crate::spec::{Mount, NamespaceKind, Spec, SpecError, Warning};
use std::borrow::Cow;

/// The only files inside /proc that may be covered: what lxcfs provides, and two that CRIU and FIPS
/// set-ups need. Anything else there could fake the kernel's own answers to the runtime (CVE-2019-16884).
const COVERABLE: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(super) fn check(spec: &Spec, warnings: &mut Vec<Warning>) -> Result<(), SpecError> {
    let mut proc_mounts = 0;
    for (i, mount) in spec.mounts.iter().enumerate() {
        let fail = |(field, message): (String, String)| {
            SpecError::new(format!("mounts[{i}]{field}"), message)
        };
        let destination = destination(mount).map_err(fail)?;
        if !mount.destination.starts_with('/') {
            let message = format!("{:?} is relative; taken from /", mount.destination);
            warn(warnings, format!("mounts[{i}].destination"), message);
        }
        proc_mounts += usize::from(destination == "/proc" && mount.kind.as_deref() == Some("proc"));
        if proc_mounts > 1 {
            // The second would be built through the first (CVE-2023-28642).
            return Err(fail((".destination".to_owned(), "/proc is mounted twice".to_owned())));
        }
        let flags = MountPlanFlags::parse(&mount.options)
            .map_err(|error| fail((format!(".options[{}]", error.index), error.message)))?;
        source(mount, &flags).map_err(fail)?;
        mappings(spec, mount, &flags, i)?;
        useless_options(mount, &flags, i, warnings);
    }
    Ok(())
}

fn destination(mount: &Mount) -> Result<Cow<'_, str>, (String, String)> {
    let fail = |message: String| Err((".destination".to_owned(), message));
    if mount.destination.is_empty() {
        return fail("missing".to_owned());
    }
    let path = clean(&mount.destination);
    if path == "/" {
        return fail(format!("{:?} is the root itself", mount.destination));
    }
    if path == "/proc" && !mount.is_bind() && mount.kind.as_deref() != Some("proc") {
        return fail("\"/proc\" cannot be mounted because it is not of type proc".to_owned());
    }
    if path.starts_with("/proc/") && !COVERABLE.contains(&path.as_ref()) {
        return fail(format!("{path:?} cannot be mounted because it is inside /proc"));
    }
    Ok(path)
}

/// The absolute path without `.`, `..`, doubled and trailing slashes; `..` stops at the root. Symbolic
/// links are not considered: who opens the path does that, inside the root.
pub(crate) fn clean(path: &str) -> Cow<'_, str> {
    if is_clean(path.as_bytes()) {
        return Cow::Borrowed(path);
    }
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    Cow::Owned(format!("/{}", parts.join("/")))
}

/// Byte by byte, because every path of every list comes by here, and hardly one of them needs cleaning.
fn is_clean(path: &[u8]) -> bool {
    let mut start = 1;
    for (end, byte) in path.iter().enumerate().skip(1) {
        if *byte == b'/' {
            if matches!(&path[start..end], b"" | b"." | b"..") {
                return false;
            }
            start = end + 1;
        }
    }
    path.first() == Some(&b'/') && !matches!(path.get(start..), None | Some(b"" | b"." | b".."))
}

fn source(mount: &Mount, flags: &MountPlanFlags) -> Result<(), (String, String)> {
    if flags.bind.is_some() {
        return match mount.source {
            Some(_) => Ok(()),
            None => Err((".source".to_owned(), "missing: a bind mount needs one".to_owned())),
        };
    }
    let only_changes = flags.remount || !flags.propagation.is_empty();
    if mount.kind.is_none() && !only_changes {
        let message = "missing: neither a file system type nor a bind mount";
        return Err((".type".to_owned(), message.to_owned()));
    }
    Ok(())
}

fn mappings(spec: &Spec, mount: &Mount, flags: &MountPlanFlags, i: usize) -> Result<(), SpecError> {
    let given = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    if !given && flags.idmap.is_none() {
        return Ok(());
    }
    let fail =
        |field: &str, message: &str| Err(SpecError::new(format!("mounts[{i}]{field}"), message));
    if flags.bind.is_none() {
        return fail("", "only bind mounts can be idmapped");
    }
    if !given {
        // Without its own mappings the mount takes those of the container's user namespace.
        return match spec.namespace(NamespaceKind::User) {
            Some(_) => Ok(()),
            None => fail("", "idmap needs mappings or a user namespace"),
        };
    }
    if mount.uid_mappings.is_empty() {
        return fail(".uidMappings", "missing although gidMappings are given");
    }
    if mount.gid_mappings.is_empty() {
        return fail(".gidMappings", "missing although uidMappings are given");
    }
    ids::mappings(&format!("mounts[{i}].uidMappings"), &mount.uid_mappings)?;
    ids::mappings(&format!("mounts[{i}].gidMappings"), &mount.gid_mappings)
}

fn useless_options(mount: &Mount, flags: &MountPlanFlags, i: usize, warnings: &mut Vec<Warning>) {
    if flags.bind.is_some() && !flags.data.is_empty() {
        let names: Vec<&str> = flags.data.iter().map(|option| option.key.as_str()).collect();
        let message =
            format!("a bind mount has no file system options; ignored: {}", names.join(", "));
        warn(warnings, format!("mounts[{i}].options"), message);
    }
    if flags.tmpcopyup && mount.kind.as_deref() != Some("tmpfs") {
        warn(warnings, format!("mounts[{i}].options"), "tmpcopyup is for tmpfs only; ignored");
    }
}
