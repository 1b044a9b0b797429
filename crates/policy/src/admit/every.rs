//! Every reason for which a configuration is refused: whoever is told one at a time comes back as often as there are some.
//!
//! Admission ends with its first refusal. Here it is asked again, as if what each refusal asks for had been granted, until
//! nothing refuses: the names together are what lets the configuration run. Only for configurations that are refused
//! anyway, so that the way of a start does not pay for it.

use super::harden_as;
use crate::choice::Choice;
use crate::control::Mode;
use crate::decision::Decision;
use crate::engine::Engine;
use crate::facts::HostFacts;
use crate::hardened::Hardened;
use crate::refusal::{self, Refusal};
use crate::source::Source;
use crate::spec::{Capability, Spec};

/// More reasons than there are names of overrides are not looked for.
const MOST: usize = 100;

/// More capabilities than this were not asked for by name: that is a configuration that wants them all.
const MOST_BY_NAME: usize = 8;

/// What docker and containerd give a container that asks for none in particular. The first three podman and CRI-O do not give: whose
/// container has them has named them.
pub const USUAL: [&str; 14] = [
    "MKNOD",
    "NET_RAW",
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
];

/// Those of them that are this engine's own; docker and ctr are not told from who calls by hand.
fn usual(engine: Option<Engine>) -> &'static [&'static str] {
    match engine {
        Some(Engine::Podman | Engine::CriO) => &USUAL[3..],
        Some(Engine::Containerd) | None => &USUAL,
    }
}

impl Hardened {
    /// What the configuration asks for by name and does not get, and the way to it: a line for the caller's log, because what the
    /// program says of it ("Operation not permitted") tells nobody. `choice`: with which it was hardened.
    #[must_use]
    pub fn not_given(&self, choice: &Choice) -> Option<String> {
        let cut = cut_by_name(self, choice.engine);
        match cut.len() {
            0 => None,
            1..=MOST_BY_NAME => {
                let remedies: Vec<_> = cut.iter().map(|name| choice.remedy(name)).collect();
                Some(refusal::not_given(&remedies))
            }
            many => Some(format!(
                "all capabilities are asked for, as with --privileged, and {many} of them are not given: \
                 the profile applies, and docs/user/OVERRIDE.md names the overrides"
            )),
        }
    }
}

impl Refusal {
    /// The same with everything else that refuses the configuration, and what it asks for by name and does not get.
    /// `spec`: as it was handed to [`harden_as`].
    #[must_use]
    pub fn with_others(mut self, spec: &Spec, choice: &Choice, facts: &HostFacts) -> Self {
        let All { mut refusals, cut } = all(spec, choice, facts);
        if !refusals.is_empty() {
            // The first is this one.
            refusals.remove(0);
        }
        self.others = refusals;
        self.cut = cut.iter().map(|name| choice.remedy(name)).collect();
        self
    }
}

/// A configuration as if what refuses it only warned, and everything that refuses it.
///
/// # Errors
/// Never with a profile of ours: what refuses only warns.
pub fn harden_through(
    spec: &Spec,
    choice: &Choice,
    facts: &HostFacts,
) -> Result<(Hardened, Vec<Refusal>), Refusal> {
    let mut lenient = choice.clone();
    let mut refusals = Vec::new();
    loop {
        match harden_as(spec.clone(), &lenient, facts) {
            Ok(hardened) => return Ok((hardened, refusals)),
            Err(refusal) => {
                if refusals.is_empty() {
                    refusals = all(spec, choice, facts).refusals;
                }
                let rule = refusal.decision.rule;
                if lenient.overrides.modes.insert(rule, Mode::Warn) == Some(Mode::Warn) {
                    return Err(refusal);
                }
                if !refusals.iter().any(|known| known.decision.rule == rule) {
                    refusals.push(refusal);
                }
            }
        }
    }
}

struct All {
    refusals: Vec<Refusal>,
    /// Overrides of capabilities.
    cut: Vec<String>,
}

fn all(spec: &Spec, choice: &Choice, facts: &HostFacts) -> All {
    let mut what_if = choice.clone();
    let mut found = All { refusals: Vec::new(), cut: Vec::new() };
    while found.refusals.len() < MOST {
        match harden_as(spec.clone(), &what_if, facts) {
            Err(refusal) => {
                if !let_through(&mut what_if, &refusal) {
                    break;
                }
                found.refusals.push(refusal);
            }
            Ok(hardened) => {
                let cut = cut_by_name(&hardened, choice.engine);
                if !found.cut.is_empty() || cut.is_empty() || cut.len() > MOST_BY_NAME {
                    break;
                }
                // Some refuse something else once they are granted.
                grant(&mut what_if, &cut);
                found.cut = cut;
            }
        }
    }
    found
}

/// Grants what would let a refusal pass; where nothing would, its control only warns. Whether that changes anything.
fn let_through(what_if: &mut Choice, refusal: &Refusal) -> bool {
    if let Some(remedy) = &refusal.allow {
        if what_if.overrides.allows(&remedy.name).is_none() {
            grant(what_if, std::slice::from_ref(&remedy.name));
            return true;
        }
    }
    let modes = &mut what_if.overrides.modes;
    modes.insert(refusal.decision.rule, Mode::Warn) != Some(Mode::Warn)
}

fn grant(what_if: &mut Choice, names: &[String]) {
    for name in names {
        what_if.overrides.granted.insert(name.clone(), Source::CommandLine);
    }
}

/// Overrides of the capabilities that were taken away and that engines give nobody who does not name them.
fn cut_by_name(hardened: &Hardened, engine: Option<Engine>) -> Vec<String> {
    let usual = usual(engine);
    let mut names: Vec<String> = hardened.decisions.iter().flat_map(Decision::lost).collect();
    names.retain(|name| {
        let part = name.strip_prefix("capabilities.").and_then(Capability::from_name);
        part.is_some_and(|part| !usual.contains(&part.name().trim_start_matches("CAP_")))
    });
    names.sort();
    names.dedup();
    names
}
