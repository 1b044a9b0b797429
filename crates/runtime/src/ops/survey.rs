//! What would be made of a bundle, for reports: as `explain`, but a refusal does not end it, so that all reasons are
//! found at once. Nothing on the host is changed.

use crate::decide::bundle::Bundle;
use crate::decide::decide_by;
use crate::request::Global;
use anyhow::Result;
use casemate_policy::spec::Spec;
use casemate_policy::{
    harden_through, ways_around, Choice, ControlId, Decision, HardenedSpec, HostFacts, Overrides,
    ProfileName, Refusal, Verdict,
};
use std::path::{Path, PathBuf};

/// A bundle, and what would be made of it.
#[derive(Debug)]
pub struct Survey {
    /// The configuration as given.
    pub asked: Spec,
    /// The configuration as hardened; where something refuses it, as if that had only warned.
    pub hardened: HardenedSpec,
    /// Every decision, the refusals among them.
    pub decisions: Vec<Decision>,
    /// The profile that was chosen for it.
    pub profile: ProfileName,
    /// What it gets beside that profile.
    pub overrides: Overrides,
    choice: Choice,
    facts: HostFacts,
}

impl Survey {
    /// For each decision the names of the overrides that would leave alone what it changed.
    #[must_use]
    pub fn ways_around(&self) -> Vec<Vec<String>> {
        ways_around(&self.asked, &self.choice, &self.facts, &self.decisions)
    }
}

/// Looks at a bundle.
///
/// # Errors
/// A configuration that cannot be read, or that no profile could run; a policy that cannot be used.
pub fn survey(
    global: &Global,
    bundle: &Path,
    config: Option<&PathBuf>,
    id: &str,
) -> Result<Survey> {
    let mut chosen = None;
    let mut refused: Vec<Decision> = Vec::new();
    let bundle = Bundle::open(bundle, config.map(PathBuf::as_path))?;
    let mut decided = decide_by(global, bundle, id, |spec, choice, facts| {
        chosen = Some((choice.profile.name, choice.overrides.clone()));
        let (hardened, refusals) = harden_through(&spec, choice, facts)?;
        refused = refusals.into_iter().map(with_remedy).collect();
        Ok(hardened)
    })?;
    crate::resolve::userns::predict(&mut decided, id)?;
    crate::resolve::selinux::predict(&mut decided, id)?;
    let asked = decided.bundle.spec()?;
    let (profile, overrides) = chosen.unwrap_or((ProfileName::DEFAULT, Overrides::default()));
    let mut decisions = decided.decisions;
    let rules: Vec<ControlId> = refused.iter().map(|decision| decision.rule).collect();
    // What the same control said when it was let through to look further.
    decisions.retain(|d| !(rules.contains(&d.rule) && d.verdict == Verdict::Warned));
    decisions.extend(refused);
    let (choice, facts, hardened) = (decided.choice, decided.facts, decided.spec);
    Ok(Survey { asked, hardened, decisions, profile, overrides, choice, facts })
}

fn with_remedy(refusal: Refusal) -> Decision {
    let mut decision = *refusal.decision;
    if let Some(remedy) = refusal.allow {
        decision.reason = format!("{}; override: {}", decision.reason, remedy.name).into();
    }
    decision
}
