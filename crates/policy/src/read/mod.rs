//! Reading `config.json` and its parts: JSON to the checked model, with the place of a mistake.

mod spelling;
mod unknown;

use crate::check::{self, sysctl};
use crate::spec::de::Object;
use crate::spec::{DeviceRule, Process, Resources, Spec, SpecError, Sysctl, Warning};
use serde::de::DeserializeOwned;
use std::path::Path;

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
        spec.warnings.extend(check::spec(&spec)?);
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
        sysctl::resolve(self)
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
        check::process(self)
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
        check::resources(&resources)?;
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
    check::nul_bytes(text)?;
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
