//! The configuration after the profile: the only kind from which a container is made.
//!
//! It can be read like a [`Spec`] but not changed, and not made by hand: it comes from `harden`, or from the
//! record that the runtime wrote of one that did.

use crate::auto::{AutoLabel, AutoUserns};
use crate::control::{ControlId, Mode};
use crate::decision::Decision;
use crate::overrides::Overrides;
use crate::profile::ProfileName;
use crate::refusal::{Refusal, Remedy};
use crate::spec::de::is_default;
use crate::spec::{Mount, Process, Spec, SpecError};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// A configuration that went through a profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HardenedSpec {
    profile: ProfileName,
    #[serde(default, skip_serializing_if = "Overrides::is_empty")]
    overrides: Overrides,
    extras: Extras,
    spec: Spec,
}

/// What a profile demands and OCI cannot express.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extras {
    /// Load the default system call filter, before the configuration's own if there is one.
    pub default_seccomp: bool,
    /// Of the devices that runtimes allow on their own account, leave out the right to create any node
    /// and /dev/net/tun.
    pub strict_devices: bool,
    /// How many mounts at the head of the list the profile has put there: what follows has the bundle's numbers.
    #[serde(default)]
    pub added_mounts: usize,
    /// What the default filter lets pass on request: the granted `seccomp.<feature>` names, without the prefix.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub seccomp_features: BTreeSet<String>,
    /// What the default filter refuses is recorded by the kernel.
    #[serde(default, skip_serializing_if = "is_default")]
    pub record_denials: bool,
    /// The default filter is the one with the additional refusals of `restricted`.
    #[serde(default)]
    pub strict_seccomp: bool,
    /// The Landlock layer is put on every process.
    #[serde(default)]
    pub landlock: bool,
    /// No user namespaces below the container's own, if it gets one.
    #[serde(default)]
    pub no_nested_userns: bool,
    /// The container gets a user namespace from the runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_userns: Option<AutoUserns>,
    /// The caller's groups are not kept, whatever an annotation says.
    #[serde(default)]
    pub drop_groups: bool,
    /// What is asked of hooks on the host's side each time that one runs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hooks: HookChecks,
    /// The container gets an SELinux label from the runtime.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_label: Option<AutoLabel>,
}

impl Extras {
    /// How many programs the default filter is loaded as: two where its refusals are recorded.
    #[must_use]
    pub fn default_filters(&self) -> usize {
        match (self.default_seccomp, self.record_denials) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        }
    }
}

/// What a hook on the host's side has to be when it runs, as it was decided when the container was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HookChecks {
    /// Nobody but root, and the caller, can change its program.
    pub trusted: bool,
    /// What its program holds, SHA-256, hexadecimal, by JSON pointer: where the node's policy pins it.
    pub digests: BTreeMap<String, String>,
}

impl HardenedSpec {
    pub(crate) fn new(
        profile: ProfileName,
        overrides: Overrides,
        extras: Extras,
        spec: Spec,
    ) -> Self {
        Self { profile, overrides, extras, spec }
    }

    /// Reads back what [`Serialize`] wrote. The caller vouches for the bytes: they come from a state
    /// directory that only the runtime's user can write, not from a bundle.
    ///
    /// # Errors
    /// Bytes that are not such a record.
    pub fn restore(bytes: &[u8]) -> Result<Self, SpecError> {
        serde_json::from_slice(bytes).map_err(|error| SpecError::new("", error.to_string()))
    }

    /// The profile that made it.
    #[must_use]
    pub fn profile(&self) -> ProfileName {
        self.profile
    }

    /// What differs from the profile, for `exec` and for reports.
    #[must_use]
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }

    /// What a control does in this container.
    #[must_use]
    pub fn mode(&self, rule: ControlId) -> Mode {
        self.overrides.mode(self.profile, rule)
    }

    /// True when the profile runs configurations as written.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        self.profile.profile().is_verbatim()
    }

    /// What OCI cannot express.
    #[must_use]
    pub fn extras(&self) -> &Extras {
        &self.extras
    }

    /// Each mount with the number that it has in the bundle's list; those that the profile has put before them have none.
    pub fn numbered_mounts(&self) -> impl Iterator<Item = (Option<usize>, &Mount)> {
        let added = self.extras.added_mounts;
        let all = self.spec.mounts.iter().enumerate();
        all.map(move |(index, mount)| (index.checked_sub(added), mount))
    }

    /// A refusal by a control that looks at what the caller asks for beside the configuration.
    pub(crate) fn refuse_later(
        &self,
        control: ControlId,
        pointer: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
        allow: Option<&str>,
    ) -> Refusal {
        let decision = Box::new(crate::decision::refused(control, pointer, reason));
        let allow = allow.map(Remedy::of_anybody);
        Refusal::new(self.profile, decision, allow)
    }

    pub(crate) fn spec_mut(&mut self) -> &mut Spec {
        &mut self.spec
    }

    /// A copy but for the system call filter, which is compiled by then: what a record keeps. (Its hundreds of names would
    /// be most of the copy.)
    #[must_use]
    pub fn without_seccomp(&mut self) -> Self {
        let filter = self.spec.linux.seccomp.take();
        let rest = self.clone();
        self.spec.linux.seccomp = filter;
        rest
    }

    /// The capabilities that some process of the container can come to hold, as a mask: what the default
    /// filter is chosen by. With no_new_privs an execve cannot add to the permitted set (cap_bprm_creds_from_file
    /// intersects it), without it the bounding set is the limit.
    #[must_use]
    pub fn reachable_capabilities(&self) -> u64 {
        self.spec.process.as_ref().map_or(0, reachable_capabilities)
    }
}

impl Deref for HardenedSpec {
    type Target = Spec;

    fn deref(&self) -> &Spec {
        &self.spec
    }
}

/// A process for `exec` that went through the container's profile.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct HardenedProcess {
    process: Process,
}

impl HardenedProcess {
    pub(crate) fn new(process: Process) -> Self {
        Self { process }
    }

    /// As [`HardenedSpec::reachable_capabilities`], for this process.
    #[must_use]
    pub fn reachable_capabilities(&self) -> u64 {
        reachable_capabilities(&self.process)
    }
}

impl Deref for HardenedProcess {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

pub(crate) fn reachable_capabilities(process: &Process) -> u64 {
    let Some(capabilities) = &process.capabilities else { return 0 };
    let held =
        capabilities.permitted.mask | capabilities.effective.mask | capabilities.ambient.mask;
    match process.no_new_privileges {
        true => held,
        false => held | capabilities.bounding.mask | capabilities.inheritable.mask,
    }
}

/// What `harden` returns.
#[derive(Clone, Debug, PartialEq)]
pub struct Hardened {
    /// What is run.
    pub spec: HardenedSpec,
    /// How it came about, in the order of the rules.
    pub decisions: Vec<Decision>,
}
