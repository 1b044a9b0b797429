//! What libseccomp makes of several rules for one system call, so that a bundle written for runc
//! or crun means the same here. libseccomp keeps a tree of half-argument comparisons per call;
//! walking that tree depth first is the same as trying whole rules in the order computed here.
//!
//! Observed of libseccomp 2.5.4 and 2.6.0:
//! - A rule without comparisons removes all rules with comparisons, and is itself never replaced.
//! - Of two rules where one's comparisons begin the other's, the shorter counts if it came first;
//!   a shorter rule that comes second with another action is an error, as are equal comparisons
//!   with another action.
//! - Otherwise: higher argument first; on one argument equality (and inequality and masks) before
//!   "less" before "greater"; then the larger value first, for "less" the smaller.
//!
//! Where every rule of a call has the same action the order cannot matter, and where several rules
//! with different actions overlap in more intricate ways (comparisons whose values share only the
//! high half) libseccomp's own answer depends on the order of insertion; there ours is "first
//! listed".

use crate::model::{Action, Arg, Op};
use std::cmp::Ordering;

/// A rule of one system call of one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    /// Sorted by argument, comparisons that always hold left out.
    pub(crate) tests: Vec<Arg>,
    pub(crate) action: Action,
}

/// All rules of one call: tried in order, then the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cases {
    pub(crate) special: Vec<Case>,
    /// The rule without comparisons, if there is one.
    pub(crate) rest: Option<Action>,
}

/// Two rules that cannot both hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conflict(pub(crate) Action, pub(crate) Action);

impl Cases {
    /// Adds a rule as libseccomp would.
    pub(crate) fn add(&mut self, new: Case) -> Result<(), Conflict> {
        if self.rest.is_some() {
            return Ok(());
        }
        if new.tests.is_empty() {
            self.special.clear();
            self.rest = Some(new.action);
            return Ok(());
        }
        for old in &self.special {
            if new.tests.starts_with(&old.tests) {
                let equal = new.tests.len() == old.tests.len();
                let same = new.action == old.action;
                return if equal && !same { Err(Conflict(old.action, new.action)) } else { Ok(()) };
            }
            if old.tests.starts_with(&new.tests) && old.action != new.action {
                return Err(Conflict(old.action, new.action));
            }
        }
        self.special.push(new);
        Ok(())
    }

    /// Puts the rules into the order of libseccomp's tree.
    pub(crate) fn sort(&mut self) {
        let mut actions = self.special.iter().map(|case| case.action);
        let first = actions.next();
        if actions.any(|action| Some(action) != first) {
            self.special.sort_by(|left, right| compare(&left.tests, &right.tests));
        }
    }
}

fn compare(left: &[Arg], right: &[Arg]) -> Ordering {
    let pairs = left.iter().zip(right);
    pairs.map(|(left, right)| compare_one(left, right)).find(|it| it.is_ne()).unwrap_or_else(|| {
        // The longer rule is the more special one.
        right.len().cmp(&left.len())
    })
}

fn compare_one(left: &Arg, right: &Arg) -> Ordering {
    let by_place = right.index.cmp(&left.index);
    let by_rank = rank(right.op).cmp(&rank(left.op));
    let by_value = datum(right).cmp(&datum(left));
    let by_value = if rank(left.op) == 2 { by_value.reverse() } else { by_value };
    by_place.then(by_rank).then(by_value)
}

fn rank(op: Op) -> u8 {
    match op {
        Op::Eq | Op::Ne | Op::MaskedEq => 3,
        Op::Lt | Op::Le => 2,
        Op::Gt | Op::Ge => 1,
    }
}

fn datum(arg: &Arg) -> u64 {
    match arg.op {
        Op::MaskedEq => arg.value & arg.value_two,
        _ => arg.value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(tests: &[Arg], action: Action) -> Case {
        Case { tests: tests.to_vec(), action }
    }

    const ONE: Arg = Arg::new(0, Op::Eq, 1);
    const TWO: Arg = Arg::new(1, Op::Eq, 2);

    #[test]
    fn an_unconditional_rule_wins_and_stays() {
        let mut cases = Cases::default();
        cases.add(case(&[ONE], Action::Log)).unwrap();
        cases.add(case(&[], Action::Allow)).unwrap();
        cases.add(case(&[], Action::Trap)).unwrap();
        cases.add(case(&[ONE], Action::Trap)).unwrap();
        assert_eq!(cases, Cases { special: vec![], rest: Some(Action::Allow) });
    }

    #[test]
    fn equal_comparisons_with_another_action_conflict() {
        let mut cases = Cases::default();
        cases.add(case(&[ONE], Action::Log)).unwrap();
        let conflict = Conflict(Action::Log, Action::Allow);
        assert_eq!(cases.add(case(&[ONE], Action::Allow)), Err(conflict));
    }

    #[test]
    fn a_shorter_rule_counts_only_when_it_comes_first() {
        let mut cases = Cases::default();
        cases.add(case(&[ONE], Action::Log)).unwrap();
        cases.add(case(&[ONE, TWO], Action::Allow)).unwrap();
        assert_eq!(cases.special, [case(&[ONE], Action::Log)]);

        let mut cases = Cases::default();
        cases.add(case(&[ONE, TWO], Action::Allow)).unwrap();
        assert!(cases.add(case(&[ONE], Action::Log)).is_err());
    }

    #[test]
    fn special_rules_are_tried_from_the_highest_argument_and_value() {
        let less = |value| Arg::new(0, Op::Lt, value);
        let mut cases = Cases::default();
        let listed = [less(20), less(10), ONE, TWO, Arg::new(0, Op::Eq, 7)];
        for (errno, test) in (1..).zip(listed) {
            cases.add(case(&[test], Action::Errno(errno))).unwrap();
        }
        cases.sort();
        let errnos: Vec<_> = cases.special.iter().map(|case| case.action).collect();
        assert_eq!(errnos, [4, 5, 3, 2, 1].map(Action::Errno));
    }
}
