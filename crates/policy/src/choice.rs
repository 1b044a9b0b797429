//! A profile, and what one container gets beside it: what controls ask.
//!
//! How it comes about (policy files, annotations, the command line) is `choose`'s.

use crate::control::{ControlId, Mode};
use crate::engine::Engine;
use crate::forbid::Forbidden;
use crate::hardened::HardenedSpec;
use crate::node::Permits;
use crate::overrides::Overrides;
use crate::profile::Profile;
use crate::refusal::Remedy;

/// A profile, and what one container gets beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The profile.
    pub profile: &'static Profile,
    /// What differs from it.
    pub overrides: Overrides,
    pub(crate) permits: Permits,
    /// The engine that made the configuration, as far as it can be told.
    pub engine: Option<Engine>,
    /// What the default filter refuses is to be recorded by the kernel.
    pub record_denials: bool,
}

impl From<&'static Profile> for Choice {
    /// The profile and nothing beside it.
    fn from(profile: &'static Profile) -> Self {
        Self {
            profile,
            overrides: Overrides::default(),
            permits: Permits::default(),
            engine: None,
            record_denials: false,
        }
    }
}

impl Choice {
    /// What a container was made with, for what is added to it: nobody grants it anything any more.
    pub(crate) fn of_container(container: &HardenedSpec) -> Self {
        Self {
            profile: container.profile().profile(),
            overrides: container.overrides().clone(),
            permits: Permits::default(),
            engine: None,
            record_denials: container.extras().record_denials,
        }
    }

    /// The mode of a control.
    #[must_use]
    pub fn mode(&self, rule: ControlId) -> Mode {
        self.overrides.mode(self.profile.name, rule)
    }

    /// True when configurations are run as written and nothing else is demanded.
    #[must_use]
    pub fn is_verbatim(&self) -> bool {
        self.profile.is_verbatim() && self.overrides.modes.values().all(|mode| *mode == Mode::Off)
    }

    /// Whether callers may ask for this override by annotation.
    #[must_use]
    pub fn permits(&self, name: &str) -> bool {
        self.permits.permitted(name).is_some() && self.forbidden(name).is_none()
    }

    /// The way to an override, as messages tell it.
    pub(crate) fn remedy(&self, name: &str) -> Remedy {
        Remedy {
            name: name.to_owned(),
            permitted: self.permits(name),
            forbidden: self.forbidden(name),
            engine: self.engine,
        }
    }

    /// Why nobody can have this override, if that is so; one line.
    #[must_use]
    pub fn forbidden(&self, name: &str) -> Option<String> {
        let forbidden = Forbidden { permits: &self.permits, denied: &self.overrides.denied };
        forbidden.check(name).err().map(|error| error.to_string())
    }
}
