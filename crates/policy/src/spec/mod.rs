//! The checked configuration: the OCI runtime specification 1.3 for Linux, as Rust types.
//!
//! These types are what `config.json` means, not how it is spelt: defaults are filled in, there is no
//! `Option<bool>`, and names with a fixed set of values are enumerations. They stop at meaning: what is
//! *possible on this host* (a path that exists, an inode of the right namespace type) is not known here.
//! Properties of other platforms (`windows`, `solaris`, `vm`, `zos`) and unknown ones are ignored, as the
//! specification demands; [`Spec::unknown`] lists them.

mod capability;
pub(crate) mod de;
mod error;
mod hooks;
mod linux;
mod mount;
mod process;
mod resources;
mod seccomp;
mod spelling;
mod unknown;

pub use crate::check::sysctl::Sysctl;
pub use capability::{CapSet, Capability};
pub use error::SpecError;
pub use hooks::{Hook, Hooks};
pub use linux::{
    Clock, Device, DeviceKind, IntelRdt, Linux, MemoryPolicy, MemoryPolicyFlag, MemoryPolicyMode,
    Namespace, NamespaceKind, NetDevice, Personality, PersonalityDomain, Propagation, TimeOffset,
};
pub use mount::{IdMapping, Mount};
pub use process::{
    Capabilities, ConsoleSize, ExecCpuAffinity, IoPriority, IoPriorityClass, Process, Rlimit,
    RlimitKind, Scheduler, SchedulerFlag, SchedulerPolicy, User,
};
pub use resources::{
    BlockIo, Cpu, DeviceRule, DeviceRuleKind, HugepageLimit, InterfacePriority, Memory, Network,
    Pids, Rdma, Resources, ThrottleDevice, WeightDevice,
};
pub use seccomp::{SeccompArg, SeccompProfile, SeccompSyscall};

use de::{is_default, map, maybe_object, non_empty, nullable, object, objects, Object};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// One container's configuration: the whole of `config.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Spec {
    /// Version of the specification that the bundle follows, 1.x.
    #[serde(deserialize_with = "nullable")]
    pub oci_version: String,
    /// What to run. May be missing at `create`; `start` then refuses.
    #[serde(deserialize_with = "maybe_object", skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
    /// The root file system.
    #[serde(deserialize_with = "object")]
    pub root: Root,
    /// Host name; needs a private UTS namespace.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// NIS domain name; needs a private UTS namespace.
    #[serde(deserialize_with = "non_empty", skip_serializing_if = "Option::is_none")]
    pub domainname: Option<String>,
    /// Mounts, in the order in which they are made.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub mounts: Vec<Mount>,
    /// Programs to run at points of the life cycle.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    pub hooks: Hooks,
    /// Free-form metadata.
    #[serde(deserialize_with = "map", skip_serializing_if = "is_default")]
    pub annotations: BTreeMap<String, String>,
    /// The Linux part; all defaults when the bundle has none.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    pub linux: Linux,
    /// What is accepted but deserves a line in the log; filled in by the check.
    #[serde(skip)]
    pub warnings: Vec<Warning>,
    /// Properties that are not here, as JSON paths, in the order of the document; filled in when it is read.
    #[serde(skip)]
    pub unknown: Vec<String>,
}

/// The container's root file system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Root {
    /// Directory on the host, absolute or relative to the bundle.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// Read-only for the container.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub readonly: bool,
}

/// Something that the specification allows and that is probably a mistake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// JSON path, dotted.
    pub path: String,
    /// What was noticed, and what is done about it.
    pub message: String,
}

impl Spec {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// Malformed JSON, a wrong type, an unknown value or an impossible combination: one line with the
    /// JSON path. Nothing on the host is looked at.
    pub fn parse(bytes: &[u8]) -> Result<Self, SpecError> {
        Self::read(bytes, |_| {})
    }

    /// The same for a bundle in `dir`, with the container's own path for each destination that is written with the root file
    /// system's before it, as runc takes it.
    ///
    /// # Errors
    /// As [`Spec::parse`].
    pub fn parse_in(dir: &Path, bytes: &[u8]) -> Result<Self, SpecError> {
        Self::read(bytes, |spec| {
            let rootfs = dir.join(&spec.root.path);
            for mount in &mut spec.mounts {
                let below = Path::new(&mount.destination).strip_prefix(&rootfs);
                // Outside of it is what a destination normally is.
                if let Some(below) = below.ok().and_then(Path::to_str) {
                    mount.destination = format!("/{below}");
                }
            }
        })
    }

    fn read(bytes: &[u8], change: impl FnOnce(&mut Self)) -> Result<Self, SpecError> {
        let mut notes = Notes::default();
        let mut spec: Self = from_json(bytes, "", &mut notes)?;
        spec.unknown = notes.unknown;
        change(&mut spec);
        spec.warnings = notes.misspelt;
        spec.warnings.extend(crate::check::spec(&spec)?);
        if let Some(limits) = &mut spec.linux.resources {
            limits.forget_useless_access();
        }
        Ok(spec)
    }

    /// The kernel parameters, with the path below `/proc/sys` that each key means.
    ///
    /// # Errors
    /// None for a configuration that [`Spec::parse`] accepted.
    pub fn sysctls(&self) -> Result<Vec<Sysctl>, SpecError> {
        crate::check::sysctl::resolve(self)
    }

    /// The namespace entry of one kind, if the container has its own or joins one.
    #[must_use]
    pub fn namespace(&self, kind: NamespaceKind) -> Option<&Namespace> {
        self.linux.namespaces.iter().find(|namespace| namespace.kind == kind)
    }

    /// Whether it asks for a new user namespace and names no ids for it, which OCI permits.
    pub(crate) fn leaves_ids_open(&self) -> bool {
        let Linux { uid_mappings, gid_mappings, .. } = &self.linux;
        let new = self.namespace(NamespaceKind::User).is_some_and(|own| own.path.is_none());
        new && uid_mappings.is_empty() && gid_mappings.is_empty()
    }
}

impl Process {
    /// Reads and checks a process object: the file that `exec --process` names.
    ///
    /// # Errors
    /// As [`Spec::parse`]; paths start at `process`.
    pub fn parse(bytes: &[u8]) -> Result<Self, SpecError> {
        let place = "process";
        let process: Self =
            from_json(bytes, place, &mut Notes::default()).map_err(|error| error.below(place))?;
        process.check()?;
        Ok(process)
    }

    /// Checks a process that did not come as JSON.
    ///
    /// # Errors
    /// As [`Process::parse`].
    pub fn check(&self) -> Result<(), SpecError> {
        crate::check::process(self)
    }
}

impl Resources {
    /// Reads and checks a `linux.resources` object: what `update` is given.
    ///
    /// # Errors
    /// As [`Spec::parse`]; paths start at `linux.resources`.
    pub fn parse(bytes: &[u8]) -> Result<Self, SpecError> {
        let place = "linux.resources";
        let mut resources: Self =
            from_json(bytes, place, &mut Notes::default()).map_err(|error| error.below(place))?;
        crate::check::resources(&resources)?;
        resources.forget_useless_access();
        Ok(resources)
    }

    /// Nobody who reads the rules is to wonder what other letters mean.
    fn forget_useless_access(&mut self) {
        for rule in &mut self.devices {
            rule.access.retain(DeviceRule::is_access);
        }
    }
}

/// What is noticed while a document is read.
#[derive(Default)]
struct Notes {
    /// As [`Spec::unknown`].
    unknown: Vec<String>,
    /// Properties in other letters than the specification's.
    misspelt: Vec<Warning>,
}

/// Reads JSON fast; only one with names that are not known, or a failure, pays for another reading. `place` is where the document
/// stands in a configuration.
fn from_json<T: DeserializeOwned>(
    bytes: &[u8],
    place: &str,
    notes: &mut Notes,
) -> Result<T, SpecError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| SpecError::new("", format!("not UTF-8: {error}")))?;
    crate::check::nul_bytes(text)?;
    let first = read_once(text, &mut notes.unknown);
    // Not taken apart: the value is large, and each move of it a copy.
    if first.is_ok() && !notes.unknown.iter().any(|path| spelling::is_misspelt(path)) {
        return first.or_else(|error| located(text, &error));
    }
    read_corrected(text, place, notes, first)
}

#[inline]
fn read_once<T: DeserializeOwned>(
    text: &str,
    unknown: &mut Vec<String>,
) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read: Result<Object<T>, _> =
        serde_ignored::deserialize(&mut reader, |path| unknown.push(unknown::render(&path)));
    read.and_then(|value| reader.end().map(|()| value.0))
}

/// Reads once more with the specification's own names, if the document has others for some. Not inline, as [`located`].
#[inline(never)]
fn read_corrected<T: DeserializeOwned>(
    text: &str,
    place: &str,
    notes: &mut Notes,
    first: Result<T, serde_json::Error>,
) -> Result<T, SpecError> {
    let corrected = match (spelling::corrected(text, place), &first) {
        (Ok(corrected), _) => corrected,
        (Err(spelling::Fault::Doubled(error)), _) => return Err(error),
        // It has names in other letters, and values among those that no property is known for which nobody can read.
        (Err(spelling::Fault::Unreadable(error)), Ok(_)) => return Err(error),
        // What is wrong with it the first reading has said.
        (Err(spelling::Fault::Unreadable(_)), Err(_)) => None,
    };
    let Some((text, misspelt)) = corrected else {
        return first.or_else(|error| located(text, &error));
    };
    notes.misspelt = misspelt;
    notes.unknown.clear();
    read_once(&text, &mut notes.unknown).or_else(|error| located(&text, &error))
}

/// Reads once more to say where the mistake is. Not inline: what it has on the stack, sound configurations need not have.
#[inline(never)]
fn located<T: DeserializeOwned>(text: &str, first: &serde_json::Error) -> Result<T, SpecError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    match serde_path_to_error::deserialize::<_, Object<T>>(&mut reader) {
        Err(error) => {
            let path = error.path().to_string();
            // "?" is a key that could not be read: the message names it.
            let path = path.strip_suffix(".?").unwrap_or(&path);
            let path = if matches!(path, "." | "?") { "" } else { path };
            Err(SpecError::new(path, error.into_inner().to_string()))
        }
        // The value itself is sound: what failed is what follows it.
        Ok(_) => Err(SpecError::new("", first.to_string())),
    }
}
