//! Which overrides may be asked for in one container.

use super::effects::{Applied, PermitList};
use super::pattern::{Pattern, PERMITTED};

/// How the policy without files is called.
const BUILT_IN: &str = "the built-in policy";

/// Which overrides may be asked for: by annotation what is permitted and not forbidden, on the
/// command line what is not forbidden.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permits {
    /// Takes the place of the built-in ones if it says so.
    permit: PermitList,
    forbid: Vec<Pattern>,
}

impl Permits {
    pub(crate) fn of(all: &[Applied<'_>]) -> Self {
        let mut permits = Self::default();
        for Applied { effects, gives } in all {
            if let Some(list) = &effects.permit {
                let names = if *gives { list.names.clone() } else { Vec::new() };
                permits.permit.add(PermitList { anew: list.anew, names });
            }
            permits.forbid.extend(effects.forbid.iter().cloned());
        }
        permits
    }

    /// Where it is permitted.
    pub(crate) fn permitted(&self, name: &str) -> Option<&str> {
        let listed = self.permit.names.iter().find(|known| known.matches(name));
        let built_in = || (!self.permit.anew && PERMITTED.contains(&name)).then_some(BUILT_IN);
        listed.map(Pattern::place).or_else(built_in)
    }

    /// Where it is forbidden.
    pub(crate) fn forbidden(&self, name: &str) -> Option<&str> {
        self.forbid.iter().find(|known| known.matches(name)).map(Pattern::place)
    }

    /// Whether there is no prohibition at all, the usual case.
    pub(crate) fn forbids_nothing(&self) -> bool {
        self.forbid.is_empty()
    }
}
