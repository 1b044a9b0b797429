//! What one container gets beside its profile: overrides that were granted, controls that were switched, and by whom.
//!
//! [`Choice`] is what rules ask. How it comes about (policy files, annotations, the command line) is `policy`'s; this
//! module only holds it, and stores with the container what `exec` has to know.

mod hooks;

pub use hooks::AllowedHook;

use crate::check::clean;
use crate::control::{Allow, ControlId, Mode};
use crate::error::PolicyError;
use crate::profile::{Profile, ProfileName};
use crate::source::Source;
use crate::spec::Capability;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};

/// What differs from the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Overrides {
    /// Canonical override names that are granted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub granted: BTreeMap<String, Source>,
    /// Override names that may not be granted, and capabilities to be taken away beyond the ceiling.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub denied: BTreeSet<String>,
    /// Controls whose mode is not the profile's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub modes: BTreeMap<ControlId, Mode>,
    /// Values that are not the profile's.
    #[serde(skip_serializing_if = "Values::is_none")]
    pub values: Values,
}

/// Values that a policy file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Values {
    /// Control `pids.limit`: tasks, for containers that name no limit.
    #[serde(rename = "pids.limit", skip_serializing_if = "Option::is_none")]
    pub pids_limit: Option<NonZeroU32>,
    /// Control `memory.limit`: bytes, for containers that name no limit.
    #[serde(rename = "memory.limit", skip_serializing_if = "Option::is_none")]
    pub memory_limit: Option<NonZeroU64>,
    /// Control `landlock.layer`: the TCP ports that may be bound, and no others.
    #[serde(rename = "landlock.tcp-bind", skip_serializing_if = "Option::is_none")]
    pub tcp_bind: Option<BTreeSet<u16>>,
    /// Control `landlock.layer`: the TCP ports that may be connected to, and no others.
    #[serde(rename = "landlock.tcp-connect", skip_serializing_if = "Option::is_none")]
    pub tcp_connect: Option<BTreeSet<u16>>,
    /// Control `userns.auto`: where the ids of containers come from, in place of /etc/subuid and /etc/subgid.
    #[serde(rename = "userns.range", skip_serializing_if = "Option::is_none")]
    pub userns_range: Option<IdRange>,
    /// Control `hooks.allow`: the hooks that may run on the host's side, and no others.
    #[serde(rename = "hooks.allow", skip_serializing_if = "Option::is_none")]
    pub hooks_allow: Option<Vec<AllowedHook>>,
    /// Control `mounts.sources`: more places for data, absolute paths.
    #[serde(
        rename = "paths.data",
        skip_serializing_if = "Option::is_none",
        deserialize_with = "data_paths"
    )]
    pub paths_data: Option<Vec<String>>,
    /// Control `selinux.assign`: the type of processes, in place of `container_t`.
    #[serde(rename = "selinux.process-type", skip_serializing_if = "Option::is_none")]
    pub selinux_process_type: Option<TypeName>,
    /// Control `selinux.assign`: the type of files, in place of `container_file_t`.
    #[serde(rename = "selinux.file-type", skip_serializing_if = "Option::is_none")]
    pub selinux_file_type: Option<TypeName>,
    /// Control `selinux.assign`: a root file system that is a plain directory gets the label, file by file.
    #[serde(rename = "selinux.relabel", skip_serializing_if = "Option::is_none")]
    pub selinux_relabel: Option<bool>,
}

/// A place for data is a directory of its own: calling `/` data would be no judgement at all.
fn data_paths<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let paths = Vec::<String>::deserialize(deserializer)?;
    let fault = |path: &&String| clean(path) != path.as_str() || *path == "/";
    match paths.iter().find(fault) {
        None => Ok(Some(paths)),
        Some(path) => Err(D::Error::custom(format!(
            "{path:?} is not an absolute path without links and dots"
        ))),
    }
}

/// The name of an SELinux type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TypeName(String);

impl TryFrom<String> for TypeName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
        match !text.is_empty() && text.chars().all(known) {
            true => Ok(Self(text)),
            false => Err(format!("{text:?} is not the name of an SELinux type")),
        }
    }
}

impl fmt::Display for TypeName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Ids of the host, users and groups alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// The first one.
    pub first: NonZeroU32,
    /// How many; a container takes 65536.
    pub count: NonZeroU32,
}

impl Values {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Takes what the other one has.
    pub(crate) fn take_from(&mut self, other: &Self) {
        self.pids_limit = other.pids_limit.or(self.pids_limit);
        self.memory_limit = other.memory_limit.or(self.memory_limit);
        self.userns_range = other.userns_range.or(self.userns_range);
        if other.hooks_allow.is_some() {
            self.hooks_allow.clone_from(&other.hooks_allow);
        }
        if other.paths_data.is_some() {
            self.paths_data.clone_from(&other.paths_data);
        }
        self.selinux_relabel = other.selinux_relabel.or(self.selinux_relabel);
        for (own, other) in [
            (&mut self.selinux_process_type, &other.selinux_process_type),
            (&mut self.selinux_file_type, &other.selinux_file_type),
        ] {
            if other.is_some() {
                own.clone_from(other);
            }
        }
        for (own, other) in
            [(&mut self.tcp_bind, &other.tcp_bind), (&mut self.tcp_connect, &other.tcp_connect)]
        {
            if other.is_some() {
                own.clone_from(other);
            }
        }
    }
}

impl Values {
    /// Takes of the other one what is stricter than what is here, and than what `profile` has where nothing is here. What
    /// cannot be compared is left: ranges and labels, and a list where there is one already.
    pub(crate) fn tighten_by(&mut self, other: &Self, profile: &Profile) {
        let tasks = self.pids_limit.map_or(profile.pids_limit, |limit| limit.get().into());
        if other.pids_limit.is_some_and(|limit| i64::from(limit.get()) < tasks) {
            self.pids_limit = other.pids_limit;
        }
        let is_less = |limit: NonZeroU64| self.memory_limit.is_none_or(|own| limit < own);
        if other.memory_limit.is_some_and(is_less) {
            self.memory_limit = other.memory_limit;
        }
        if self.hooks_allow.is_none() {
            self.hooks_allow.clone_from(&other.hooks_allow);
        }
        for (own, other) in
            [(&mut self.tcp_bind, &other.tcp_bind), (&mut self.tcp_connect, &other.tcp_connect)]
        {
            if own.is_none() {
                own.clone_from(other);
            }
        }
    }
}

impl Overrides {
    /// True when nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Grants an override; `name` as [`Allow::parse`] reads it.
    ///
    /// # Errors
    /// An unknown name.
    pub fn grant(&mut self, name: &str, source: &Source) -> Result<(), PolicyError> {
        for name in Allow::parse(name)?.names {
            self.granted.insert(name, source.clone());
        }
        Ok(())
    }

    /// Who granted this, if anybody did; a canonical name.
    #[must_use]
    pub fn allows(&self, name: &str) -> Option<&Source> {
        self.granted.get(name)
    }

    /// The mode of a control.
    #[must_use]
    pub fn mode(&self, profile: ProfileName, rule: ControlId) -> Mode {
        self.modes.get(&rule).copied().unwrap_or_else(|| profile.profile().mode(rule))
    }

    /// The granted `seccomp.<feature>` names, without the prefix.
    pub fn seccomp_features(&self) -> impl Iterator<Item = (&str, &Source)> {
        let named = self.granted.iter();
        named
            .filter_map(|(name, source)| Some((name.strip_prefix("seccomp.")?, source)))
            .filter(|(feature, _)| *feature != "unconfined")
    }

    /// The granted capabilities, as a mask, and who granted the first of them.
    pub(crate) fn capabilities(&self) -> (u64, Option<&Source>) {
        let mut found = (0, None);
        for (name, source) in &self.granted {
            let mask = capability_mask(name);
            if mask != 0 {
                found = (found.0 | mask, found.1.or(Some(source)));
            }
        }
        found
    }

    /// Capabilities that are taken away beyond the ceiling, as a mask.
    pub(crate) fn denied_capabilities(&self) -> u64 {
        self.denied.iter().fold(0, |mask, name| mask | capability_mask(name))
    }
}

/// The bits of `capabilities.NAME`; 0 for any other override.
fn capability_mask(name: &str) -> u64 {
    match name.strip_prefix("capabilities.") {
        Some("all") => u64::MAX,
        Some(part) => Capability::from_name(part).map_or(0, Capability::mask),
        None => 0,
    }
}
