//! Kernel parameters: only those that belong to a namespace of the container, under a name that has one
//! meaning (CVE-2022-0811: a `+` in a value smuggled in a second parameter).

use crate::spec::{NamespaceKind, Spec, SpecError};
use serde::Serialize;

/// A parameter as the runtime writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sysctl {
    /// Path below `/proc/sys`, without a leading slash.
    pub path: String,
    /// What is written.
    pub value: String,
    /// The namespace that it belongs to.
    pub namespace: NamespaceKind,
}

/// Parameters of the IPC namespace below `kernel`.
const IPC: [&str; 8] = [
    "kernel/msgmax",
    "kernel/msgmnb",
    "kernel/msgmni",
    "kernel/sem",
    "kernel/shmall",
    "kernel/shmmax",
    "kernel/shmmni",
    "kernel/shm_rmid_forced",
];

pub(super) fn check(spec: &Spec) -> Result<(), SpecError> {
    resolve(spec).map(drop)
}

/// All parameters of a configuration, in the order of their keys, with their paths.
pub(crate) fn resolve(spec: &Spec) -> Result<Vec<Sysctl>, SpecError> {
    let mut sysctls: Vec<Sysctl> = Vec::with_capacity(spec.linux.sysctl.len());
    for (key, value) in &spec.linux.sysctl {
        let fail = |message: String| Err(SpecError::new(format!("linux.sysctl[{key:?}]"), message));
        let path = match path_of(key) {
            Ok(path) => path,
            Err(message) => return fail(message.to_owned()),
        };
        let namespace = match owner(&path) {
            Ok(namespace) => namespace,
            Err(message) => return fail(message.to_owned()),
        };
        if spec.namespace(namespace).is_none() {
            let message = format!("needs a private {} namespace", namespace.name());
            return fail(message);
        }
        if value.contains(['\n', '\r', '\0']) {
            return fail("the value contains a line break".to_owned());
        }
        if sysctls.iter().any(|earlier| earlier.path == path) {
            return fail("is another spelling of a parameter that is set already".to_owned());
        }
        sysctls.push(Sysctl { path, value: value.clone(), namespace });
    }
    Ok(sysctls)
}

/// Turns a key into a path. sysctl.d(5): the first separator decides; if it is a dot, dots separate and a
/// slash stands for a dot inside a name (`net.ipv4.conf.eth0/1.forwarding`); if it is a slash, slashes do.
fn path_of(key: &str) -> Result<String, &'static str> {
    let odd =
        |c: char| !c.is_ascii_graphic() || matches!(c, '+' | '=' | '*' | '\\' | '"' | '\'' | '%');
    if key.contains(odd) {
        return Err("the name contains a character that no parameter has");
    }
    let dots_first = matches!(key.find(['.', '/']), Some(at) if key.as_bytes()[at] == b'.');
    let path: String = if dots_first {
        key.chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect()
    } else {
        key.to_owned()
    };
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err("the name has an empty or relative part");
    }
    Ok(path)
}

/// The namespace that a parameter belongs to; everything else is the host's.
fn owner(path: &str) -> Result<NamespaceKind, &'static str> {
    if IPC.contains(&path) || path.starts_with("fs/mqueue/") {
        return Ok(NamespaceKind::Ipc);
    }
    match path.split_once('/') {
        Some(("net", _)) => Ok(NamespaceKind::Network),
        Some(("user", _)) => Ok(NamespaceKind::User),
        Some(("kernel", "domainname")) => Ok(NamespaceKind::Uts),
        Some(("kernel", "hostname")) => Err("use the hostname property instead"),
        _ => Err("belongs to the host, not to a namespace of the container"),
    }
}
