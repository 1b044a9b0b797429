//! Programs that run at six points of a container's life (config.md, "POSIX-platform Hooks").

use super::de::{is_default, nullable, objects};
use serde::{Deserialize, Serialize};

/// All hooks, each kind in its listed order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hooks {
    /// Deprecated by the specification, still what several toolkits use: runtime namespaces, before pivot.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub prestart: Vec<Hook>,
    /// Runtime namespaces, right after `prestart`.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub create_runtime: Vec<Hook>,
    /// Container namespaces, before pivot.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub create_container: Vec<Hook>,
    /// Container namespaces, after `start`, before the program.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub start_container: Vec<Hook>,
    /// Runtime namespaces, after the program started.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub poststart: Vec<Hook>,
    /// Runtime namespaces, after the container is gone.
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    pub poststop: Vec<Hook>,
}

impl Hooks {
    /// Each kind's JSON name and hooks, in the order of the life cycle.
    #[must_use]
    pub fn kinds(&self) -> [(&'static str, &[Hook]); 6] {
        [
            ("prestart", &self.prestart),
            ("createRuntime", &self.create_runtime),
            ("createContainer", &self.create_container),
            ("startContainer", &self.start_container),
            ("poststart", &self.poststart),
            ("poststop", &self.poststop),
        ]
    }
}

impl Hooks {
    /// As [`Hooks::kinds`], to be changed.
    pub(crate) fn kinds_mut(&mut self) -> [(&'static str, &mut Vec<Hook>); 6] {
        [
            ("prestart", &mut self.prestart),
            ("createRuntime", &mut self.create_runtime),
            ("createContainer", &mut self.create_container),
            ("startContainer", &mut self.start_container),
            ("poststart", &mut self.poststart),
            ("poststop", &mut self.poststop),
        ]
    }
}

/// One program.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Hook {
    /// Absolute path.
    #[serde(deserialize_with = "nullable")]
    pub path: String,
    /// The whole argument vector, `argv[0]` included; empty means the path alone.
    #[serde(deserialize_with = "nullable", skip_serializing_if = "is_default")]
    pub args: Vec<String>,
    /// The exact environment; `None` where the bundle does not say, which is not the same as empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// Seconds until the hook is killed, greater than 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
}
