//! Which overrides leave alone what a control did: found by granting each and judging the configuration again, so that a
//! report names none that would not help. Only for reports: it takes one admission for each name of a control that acted.

use super::every::harden_through;
use crate::choice::Choice;
use crate::control::Control;
use crate::decision::{Decision, Verdict};
use crate::facts::HostFacts;
use crate::source::Source;
use crate::spec::Spec;
use std::collections::BTreeMap;

/// For each decision the names without which it would have been another one; for capabilities one for each that was
/// lost. Empty where nothing was changed, or nothing helps.
#[must_use]
pub fn ways_around(
    spec: &Spec,
    choice: &Choice,
    facts: &HostFacts,
    decisions: &[Decision],
) -> Vec<Vec<String>> {
    let judged = |choice: &Choice| {
        // What cannot be judged at all has no way around.
        harden_through(spec, choice, facts).map_or_else(|_| Vec::new(), |(all, _)| all.decisions)
    };
    let base = judged(choice);
    let mut tried: BTreeMap<&'static str, Vec<Decision>> = BTreeMap::new();
    let mut ways = Vec::with_capacity(decisions.len());
    for decision in decisions {
        let lost = decision.lost();
        if !lost.is_empty() || !is_change(decision) {
            ways.push(lost);
            continue;
        }
        // Made later, by what was found on the host: ids, labels.
        let is_later = !base.iter().any(|other| is_same(decision, other));
        let mut helping = Vec::new();
        for name in names(decision) {
            let without = tried.entry(name).or_insert_with(|| judged(&granting(choice, name)));
            if is_later || !without.iter().any(|other| is_same(decision, other)) {
                helping.push(name.to_owned());
            }
        }
        ways.push(helping);
    }
    ways
}

fn is_change(decision: &Decision) -> bool {
    matches!(decision.verdict, Verdict::Tightened | Verdict::Added)
}

/// The names of its control that can be asked for: patterns are for the node's policy alone.
fn names(decision: &Decision) -> impl Iterator<Item = &'static str> {
    let control = Control::find(decision.rule.as_str());
    let names = control.map_or(&[][..], |control| control.allow);
    names.iter().copied().filter(|name| !name.contains('*'))
}

fn granting(choice: &Choice, name: &str) -> Choice {
    let mut choice = choice.clone();
    choice.overrides.granted.insert(name.to_owned(), Source::CommandLine);
    choice
}

fn is_same(one: &Decision, other: &Decision) -> bool {
    (one.rule, &one.pointer, one.verdict, &one.after)
        == (other.rule, &other.pointer, other.verdict, &other.after)
}
