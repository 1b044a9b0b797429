//! What a prohibition reaches: names that include the forbidden one, grants of policy files, and
//! profiles and modes that would give what nobody may have.
//!
//! `forbid` is the last word of the node's policy. A control that is off gives all that its
//! overrides would give, so a profile, or a line of `[controls]`, that switches a control off under
//! a prohibition is cut to the names that are left.

use crate::control::{all_names, ControlId, Mode, CONTROLS};
use crate::error::PolicyError;
use crate::node::{Permits, PROFILE};
use crate::overrides::Overrides;
use crate::profile::ProfileName;
use crate::source::Source;
use std::collections::BTreeMap;

/// An override that gives what other names give one by one.
struct Umbrella {
    /// All that it gives.
    parts: Vec<String>,
    /// Its parts without the forbidden ones can stand in its place: they belong to the same
    /// control.
    can_be_cut: bool,
}

impl Umbrella {
    fn of(name: &str) -> Option<Self> {
        let of_control = |id: ControlId| {
            let control = CONTROLS.iter().find(|control| control.id == id);
            control.map(all_names).unwrap_or_default().into_iter().filter(|part| part != name)
        };
        let cut = |id| Some(Self { parts: of_control(id).collect(), can_be_cut: true });
        let whole = |parts: Vec<String>| Some(Self { parts, can_be_cut: false });
        let listed = |parts: &[&str]| whole(parts.iter().map(|part| (*part).to_owned()).collect());
        match name {
            "capabilities.all" => cut(ControlId::Capabilities),
            "seccomp.unconfined" => cut(ControlId::DefaultSeccomp),
            // Rules of the cgroup as they are asked for let every node be used.
            "devices.all" => whole(of_control(ControlId::DeviceNodes).collect()),
            // Directories that contain other places of the list.
            "mounts.host-root" => whole(of_control(ControlId::MountSources).collect()),
            "mounts.host-run" => listed(&[
                "mounts.docker-sock",
                "mounts.containerd-sock",
                "mounts.crio-sock",
                "mounts.podman-sock",
                "mounts.systemd-sock",
                "mounts.socket",
                "mounts.engine-data",
            ]),
            "mounts.host-var" => listed(&["mounts.engine-data"]),
            "mounts.host-etc" => listed(&["mounts.host-system"]),
            _ => None,
        }
    }
}

/// What nobody gets in one container: by the policy, and by the annotations that deny.
#[derive(Clone, Copy)]
pub(crate) struct Forbidden<'a> {
    pub(crate) permits: &'a Permits,
    pub(crate) denied: &'a std::collections::BTreeSet<String>,
}

impl<'a> Forbidden<'a> {
    fn itself(self, name: &str) -> Option<&'a str> {
        let denied = || self.denied.contains(name).then_some("an annotation");
        self.permits.forbidden(name).or_else(denied)
    }

    /// That the name is not forbidden, and nothing that it includes is.
    ///
    /// # Errors
    /// The name, what of it is forbidden, and where.
    pub(crate) fn check(self, name: &str) -> Result<(), PolicyError> {
        if let Some(place) = self.itself(name) {
            return Err(PolicyError::new(format!("{name} is forbidden by {place}")));
        }
        let Some(umbrella) = Umbrella::of(name) else { return Ok(()) };
        let find = |part: &String| self.itself(part).map(|place| (part.clone(), place));
        let Some((part, place)) = umbrella.parts.iter().find_map(find) else { return Ok(()) };
        let error =
            PolicyError::new(format!("{name} includes {part}, which is forbidden by {place}"));
        Err(match umbrella.can_be_cut {
            true => error.with_hint("name what is needed one by one"),
            false => error,
        })
    }

    fn is_free(self, name: &str) -> bool {
        // The message is for those who asked; here only the answer counts.
        self.check(name).is_ok()
    }

    /// Takes from the grants what is forbidden: a name that includes it gives way to the rest of
    /// its parts, where these give no more than it did.
    fn cut(self, granted: &mut BTreeMap<String, Source>) {
        let caught: Vec<String> =
            granted.keys().filter(|name| !self.is_free(name)).cloned().collect();
        for name in caught {
            let Some(source) = granted.remove(&name) else { continue };
            let parts = match Umbrella::of(&name) {
                Some(Umbrella { parts, can_be_cut: true }) if self.itself(&name).is_none() => parts,
                _ => continue,
            };
            for part in parts.into_iter().filter(|part| self.is_free(part)) {
                granted.entry(part).or_insert_with(|| source.clone());
            }
        }
    }

    /// Makes every grant, and every control that is not in force, keep to what is not forbidden. A
    /// control with a forbidden name does what it does in the default profile, or in the
    /// container's own where that is stricter, and whatever else it would have let pass is granted
    /// one by one.
    pub(crate) fn hold(self, profile: ProfileName, overrides: &mut Overrides) {
        if self.permits.forbids_nothing() && self.denied.is_empty() {
            return;
        }
        let Overrides { granted, modes, .. } = overrides;
        self.cut(granted);
        if self.permits.forbids_nothing() {
            return;
        }
        for control in CONTROLS {
            let reference = control.mode(ProfileName::DEFAULT).max(control.mode(profile));
            let mode = modes.get(&control.id).copied().unwrap_or_else(|| control.mode(profile));
            if mode >= reference {
                continue;
            }
            let names = all_names(control);
            let (free, caught): (Vec<String>, Vec<String>) =
                names.into_iter().partition(|name| self.is_free(name));
            if caught.is_empty() {
                continue;
            }
            modes.insert(control.id, reference);
            if reference == Mode::Enforce {
                let source = Source::Profile;
                free.into_iter().for_each(|name| {
                    granted.entry(name).or_insert_with(|| source.clone());
                });
            }
        }
    }
}

/// The first profile from `named` on that is not forbidden.
pub(crate) fn profile(permits: &Permits, named: ProfileName, node: ProfileName) -> ProfileName {
    let mut from = ProfileName::ALL.into_iter().filter(|profile| *profile >= named);
    from.find(|profile| !is_forbidden(permits, *profile, node)).unwrap_or(ProfileName::Restricted)
}

/// Whether nobody can have a profile. The node's own and the default one can be had, and what is
/// stricter than both: `profile.*` stands for those that are looser.
pub(crate) fn is_forbidden(permits: &Permits, profile: ProfileName, node: ProfileName) -> bool {
    profile < node.max(ProfileName::DEFAULT)
        && permits.forbidden(&format!("{PROFILE}{profile}")).is_some()
}
