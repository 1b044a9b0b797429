//! Namespaces, and what only makes sense with one of them.

use super::ids;
use crate::spec::{NamespaceKind, NetDevice, Spec, SpecError};

/// Longest host or domain name, `__NEW_UTS_LEN`.
const MAX_NAME: usize = 64;

/// Longest interface name, IFNAMSIZ without its NUL.
const MAX_INTERFACE: usize = 15;

pub(super) fn check(spec: &Spec) -> Result<(), SpecError> {
    entries(spec)?;
    user(spec)?;
    uts(spec)?;
    time(spec)?;
    net_devices(spec)?;
    masks(spec)
}

fn entries(spec: &Spec) -> Result<(), SpecError> {
    let namespaces = &spec.linux.namespaces;
    for (i, namespace) in namespaces.iter().enumerate() {
        let kind = namespace.kind;
        if namespaces[..i].iter().any(|earlier| earlier.kind == kind) {
            let message = format!("a second {} namespace", kind.name());
            return Err(SpecError::new(format!("linux.namespaces[{i}].type"), message));
        }
        if namespace.path.as_deref().is_some_and(|path| !path.starts_with('/')) {
            let message = "is not an absolute path";
            return Err(SpecError::new(format!("linux.namespaces[{i}].path"), message));
        }
    }
    Ok(())
}

fn user(spec: &Spec) -> Result<(), SpecError> {
    let sides = [
        ("linux.uidMappings", &spec.linux.uid_mappings),
        ("linux.gidMappings", &spec.linux.gid_mappings),
    ];
    let namespace = spec.namespace(NamespaceKind::User);
    if spec.leaves_ids_open() {
        return Ok(());
    }
    for (path, mappings) in sides {
        match namespace {
            None if !mappings.is_empty() => {
                return Err(SpecError::new(
                    path,
                    "mappings need a user namespace, and there is none",
                ));
            }
            // A namespace that is joined brings its own.
            Some(entry) if entry.path.is_none() && mappings.is_empty() => {
                return Err(SpecError::new(path, "missing: a new user namespace needs mappings"));
            }
            _ => ids::mappings(path, mappings)?,
        }
    }
    Ok(())
}

fn uts(spec: &Spec) -> Result<(), SpecError> {
    let private = spec.namespace(NamespaceKind::Uts).is_some();
    for (path, name) in [("hostname", &spec.hostname), ("domainname", &spec.domainname)] {
        let Some(name) = name else { continue };
        if !private {
            let message = format!("unable to set {path} without a private UTS namespace");
            return Err(SpecError::new(path, message));
        }
        if name.len() > MAX_NAME {
            let message = format!("{} bytes, the kernel takes {MAX_NAME}", name.len());
            return Err(SpecError::new(path, message));
        }
    }
    Ok(())
}

fn time(spec: &Spec) -> Result<(), SpecError> {
    let offsets = &spec.linux.time_offsets;
    if offsets.is_empty() {
        return Ok(());
    }
    match spec.namespace(NamespaceKind::Time) {
        None => return Err(SpecError::new("linux.timeOffsets", "need a time namespace")),
        Some(entry) if entry.path.is_some() => {
            let message = "cannot be set in a time namespace that is joined by path";
            return Err(SpecError::new("linux.timeOffsets", message));
        }
        Some(_) => {}
    }
    match offsets.values().any(|offset| offset.nanosecs > 999_999_999) {
        true => Err(SpecError::new("linux.timeOffsets", "nanosecs must be below 1000000000")),
        false => Ok(()),
    }
}

fn net_devices(spec: &Spec) -> Result<(), SpecError> {
    let devices = &spec.linux.net_devices;
    if !devices.is_empty() && spec.namespace(NamespaceKind::Network).is_none() {
        let message = "need a network namespace to move into";
        return Err(SpecError::new("linux.netDevices", message));
    }
    for (host_name, NetDevice { name }) in devices {
        let names = [Some(host_name.as_str()), name.as_deref()];
        if let Some(bad) = names.into_iter().flatten().find(|name| !is_interface_name(name)) {
            let message = format!("{bad:?} is not a network device name");
            return Err(SpecError::new(format!("linux.netDevices.{host_name}"), message));
        }
    }
    Ok(())
}

/// As the kernel's dev_valid_name(); `%d` in a new name is a template and passes.
fn is_interface_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= MAX_INTERFACE
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace())
}

fn masks(spec: &Spec) -> Result<(), SpecError> {
    let lists = [
        ("linux.maskedPaths", &spec.linux.masked_paths),
        ("linux.readonlyPaths", &spec.linux.readonly_paths),
    ];
    for (path, list) in lists {
        if !list.is_empty() && spec.namespace(NamespaceKind::Mount).is_none() {
            let message = "unable to restrict paths without a private mount namespace";
            return Err(SpecError::new(path, message));
        }
        if let Some(i) = list.iter().position(|entry| !entry.starts_with('/')) {
            let message = format!("{:?} is not an absolute path", list[i]);
            return Err(SpecError::new(format!("{path}[{i}]"), message));
        }
    }
    Ok(())
}
